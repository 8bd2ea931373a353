"""Where a literal may lie: one rare window of each, looked for with byte tables."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tocsin._core.grow cimport hits_t
from tocsin._core.variant cimport candidates_t, variant_t


cdef enum:
    BLOCK_BYTES = 16384
    PADDING = 32
    WINDOW_BYTES = 5
    # A window's last feature lies this far behind its first byte.
    WINDOW_REACH = 3


cdef struct entry_t:
    # Up to 8 bytes of the literal from its window's first byte on, folded; mask says how many.
    uint64_t want
    uint64_t mask
    uint32_t pattern
    # Offset of the window in the literal.
    uint32_t back


cdef struct prefilter_t:
    # Tables as described in simd/candidates.h, and who reads them. NULL: there is no filter.
    uint8_t *tables
    candidates_t find
    # Literals by the hash of their window: entries[heads[h]:heads[h + 1]].
    entry_t *entries
    uint32_t *heads
    int head_shift
    # One bit per value of the upper SCREEN_BITS of that hash: whether there is such an entry.
    uint8_t *screen
    # How many bytes of a window are hashed: all five, unless the literal is shorter. The widths in
    # use, and the bytes they leave of a word.
    uint32_t widths
    uint32_t key_widths[WINDOW_BYTES]
    uint64_t key_masks[WINDOW_BYTES]
    bint fold
    # Verification of a block gives up at one step for so many of its bytes.
    uint32_t bytes_a_step
    # The literals, folded, one after the other: pattern p is text[ends[p - 1]:ends[p]].
    uint8_t *text
    size_t *ends
    # Offset of each literal's window.
    uint32_t *window
    # How far a match may reach before its window's first byte, and beyond it.
    uint32_t back_most
    uint32_t ahead_most


# A plan made ahead: what plan_windows would come to. NULL tables: there is none.
cdef struct planned_t:
    int kind
    int buckets
    const uint8_t *tables       # TABLE_BYTES
    const uint8_t *windows      # one byte a literal

cdef enum:
    TABLE_BYTES = 2048

# Takes over `text` and `ends`, which must come from malloc; behind the text there must be room for
# PADDING bytes more. 0, or -1 if memory is out.
cdef int prefilter_build(prefilter_t *filter, uint8_t *text, size_t *ends, size_t patterns,
                         bint fold, const variant_t *variant,
                         const planned_t *planned) noexcept nogil
cdef void prefilter_free(prefilter_t *filter) noexcept nogil
# What a plan made ahead says; it points into `plan`. ValueError if it is for other patterns.
cdef int read_plan(object plan, object patterns, planned_t *out) except -1

# Appends the hits of all windows that end in [lo, hi), in no order. False if candidates are so
# dense that the automaton is the faster way; nothing is appended then. lo is a multiple of 64, hi
# at most length + 3, hi - lo at most BLOCK_BYTES.
cdef bint prefilter_block(const prefilter_t *filter, const uint8_t *data, size_t length,
                          size_t lo, size_t hi, hits_t *out) noexcept nogil

# How many places the tables let through: what the plan of windows is judged by.
cdef size_t prefilter_passed(const prefilter_t *filter, const uint8_t *data,
                             size_t length) noexcept nogil
