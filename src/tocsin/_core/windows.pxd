"""Which bytes a literal is recognised by: one rare window of each, and a bucket."""

from libc.stdint cimport uint8_t, uint32_t


cdef enum:
    TABLE_BYTES = 2048


# What the plan is for: see candidates_look in simd/candidates.h.
cdef struct look_t:
    int tables
    int buckets
    int reach


# Choose every literal's window and bucket, greedily, and write the tables (TABLE_BYTES, zeros).
# Literal p is text[ends[p - 1]:ends[p]], folded if `fold`. `turns`: how often each is placed. 0,
# or -1 if memory is out.
cdef int plan_windows(const uint8_t *text, const size_t *ends, size_t patterns, bint fold,
                      look_t look, int turns, uint32_t *window, uint8_t *tables) noexcept nogil
