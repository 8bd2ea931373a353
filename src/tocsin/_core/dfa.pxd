"""The automaton as a dense table of next states, and the walks over it."""

from libc.stdint cimport uint8_t, uint32_t

from tocsin._core.grow cimport hits_t

cdef extern from "simd/walk.h" nogil:
    const int WALK_STREAMS
    ctypedef struct walk_event_t:
        uint32_t end
        uint32_t state

cdef enum:
    # What the streams walk at once. An eighth of it is no multiple of 4 KB, or the streams would
    # be after the same lines of the first cache; all of it is a multiple of 64.
    PART_BYTES = 8 * (8192 + 320)


cdef struct dfa_t:
    # Next state for (state + class). States are premultiplied by `stride`, so a transition is one
    # add and one load. A row has two columns more than there are classes: the first pattern that
    # ends in the state, plus one, or 0; and how many end there.
    uint32_t *next
    # Bytes that no pattern tells apart share a class. ignore_case is nothing but this map.
    uint8_t class_of[256]
    uint32_t stride
    uint32_t states
    # Match states come right after the start state 0: state - 1 < match_span, unsigned, is the
    # one comparison the scan loop needs. Those in which several patterns end come first of all.
    uint32_t match_span
    uint32_t several_span
    # then[p]: the pattern to report after p, plus one; 0 ends the list. Longer patterns come
    # before shorter ones, equal ones by number.
    uint32_t *then
    # How many patterns the list that starts with p has.
    uint32_t *listed
    uint32_t *lengths
    uint32_t longest
    uint32_t patterns


cdef struct sink_t:
    # Where hits go; NULL: they are only counted.
    hits_t *out
    size_t total
    # How many patterns, the first ones, are looked for. A count is of all.
    uint32_t patterns
    # Whether the last part that was walked for a count had very many.
    bint many
    # Offsets of the literals' windows: only hits whose window ends in [lo, hi) count. NULL: all.
    const uint32_t *window
    size_t reach
    size_t lo
    size_t hi
    # Hits that end in [sure_lo, sure_hi) count whatever the literal.
    size_t sure_lo
    size_t sure_hi
    # Room for the events of walk_streams, made when first needed.
    walk_event_t *events
    size_t room


# 0, or -1 if memory is out. Pattern p is text[ends[p - 1]:ends[p]], folded if it is to be.
cdef int dfa_build(dfa_t *dfa, const uint8_t *text, const size_t *ends, size_t patterns,
                   bint ignore_case) noexcept nogil
cdef void dfa_free(dfa_t *dfa) noexcept nogil
# Reports the hits that end in (lo, hi], in order.
cdef void walk(const dfa_t *dfa, const uint8_t *data, size_t lo, size_t hi,
               sink_t *sink) noexcept nogil
# As walk(), in eight streams if `streams` and the part is long enough for them.
cdef void walk_part(const dfa_t *dfa, const uint8_t *data, size_t lo, size_t hi, bint streams,
                    sink_t *sink) noexcept nogil
