"""Which implementation of the scan exists in this build, is usable here, and is chosen."""

from libc.stdint cimport uint8_t, uint16_t

# The contract is at the head of simd/candidates.h.
ctypedef size_t (*candidates_t)(
    const uint8_t *tables, const uint8_t *data, size_t length, size_t lo, size_t hi,
    uint16_t *ends) noexcept nogil

cdef enum:
    TABLES_NONE = 0
    TABLES_PAIRS = 1
    TABLES_NIBBLES = 2


cdef struct variant_t:
    const char *name
    # Which tables `find` reads; TABLES_NONE if the variant has no filter.
    int tables
    # Candidates for 8 buckets of literals, and for 16 (NULL if there is no such).
    candidates_t find
    candidates_t find16
    # Walk eight places at once where the automaton's table is walked.
    bint streams


# The best variant usable here, or the one named. ValueError if that cannot be had.
cdef int choose_variant(object forced, variant_t *chosen) except -1
