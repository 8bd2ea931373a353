"""Which implementation of the scan exists in this build, is usable here, and is chosen."""

from libc.stdint cimport uint8_t, uint16_t

cdef extern from "simd/candidates.h" nogil:
    # The contract is at the head of that file.
    ctypedef size_t (*candidates_fn)(
        const uint8_t *tables, const uint8_t *data, size_t length, size_t lo, size_t hi,
        uint16_t *ends) noexcept nogil
    ctypedef struct candidates_look:
        int tables
        int buckets
        int reach
        candidates_fn find
        size_t many
    const int CANDIDATES_LOOKS
    const int TABLES_PAIRS
    const int TABLES_NIBBLES


cdef struct variant_t:
    const char *name
    # Its looks, for ever more literals; the first has no `find` if the variant has no filter.
    const candidates_look *looks
    # Walk eight places at once where the automaton's table is walked.
    bint streams


# The look for so many literals; NULL if the variant has no filter.
cdef const candidates_look *look_for(const variant_t *variant, size_t patterns) noexcept nogil
# The best variant usable here, or the one named. ValueError if that cannot be had.
cdef int choose_variant(object forced, variant_t *chosen) except -1
