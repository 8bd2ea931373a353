"""Which literals lie where a window of theirs may lie: candidates found, then verified."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from tocsin._core.grow cimport hits_t
from tocsin._core.plans cimport planned_t
from tocsin._core.variant cimport candidates_fn, variant_t


cdef enum:
    BLOCK_BYTES = 16384
    # Bytes behind the literals' text that may be read.
    PADDING = 32
    # A literal is told from others with the same window by so many bytes, if it has them.
    KEY_BYTES = 8
    # The most bytes of a window.
    MOST_SPAN = 6


cdef struct entry_t:
    # Up to 8 bytes of the literal, folded; mask says how many. They begin at its window or, where
    # there are too few from there on, KEY_BYTES - span bytes before.
    uint64_t want
    uint64_t mask
    # The literal is text[at:at + size].
    uint32_t at
    uint32_t size
    uint32_t pattern
    # Offset of the window in the literal.
    uint16_t back
    # Which of the filter's widths the window has, and whether the key begins before it.
    uint8_t width
    uint8_t before


cdef struct prefilter_t:
    # Tables as described in simd/candidates.h, and who reads them. NULL: there is no filter.
    uint8_t *tables
    candidates_fn find
    # Bytes of a window; a candidate is the place `reach` behind its window's first byte.
    size_t span
    size_t reach
    # Windows are hashed by as many bytes as the literal has of them: `widths` different numbers
    # are in use. One bit per value of the hash's upper SCREEN_BITS: whether a literal has it.
    uint32_t widths
    uint64_t width_masks[MOST_SPAN]
    uint8_t *screen
    # Literals by the hash of their window: entries[heads[h]:heads[h + 1]].
    entry_t *entries
    uint32_t *heads
    int head_shift
    bint fold
    # Verification of a block gives up when it costs more than so many nanoseconds a kilobyte.
    uint32_t most_ns
    # The literals, folded, one after the other: pattern p is text[ends[p - 1]:ends[p]].
    uint8_t *text
    size_t *ends
    # Offset of each literal's window.
    uint32_t *window
    # How far a match may reach before its window's first byte, and beyond it.
    uint32_t back_most
    uint32_t ahead_most


# Takes over `text` and `ends`, which must come from malloc; behind the text there must be room for
# PADDING bytes more. `planned`: for the variant's look at so many. 0, or -1 if memory is out.
cdef int prefilter_build(prefilter_t *filter, uint8_t *text, size_t *ends, size_t patterns,
                         bint fold, const variant_t *variant,
                         const planned_t *planned) noexcept nogil
cdef void prefilter_free(prefilter_t *filter) noexcept nogil

# Appends the hits of all windows that end in [lo, hi), in no order. False if candidates are so
# dense that the automaton is the faster way; nothing is appended then. lo is a multiple of 64, hi
# at most length + reach, hi - lo at most BLOCK_BYTES.
cdef bint prefilter_block(const prefilter_t *filter, const uint8_t *data, size_t length,
                          size_t lo, size_t hi, hits_t *out) noexcept nogil

# How many places the tables let through: what the plan of windows is judged by.
cdef size_t prefilter_passed(const prefilter_t *filter, const uint8_t *data,
                             size_t length) noexcept nogil
