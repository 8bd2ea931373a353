"""Which bytes a literal is recognised by: one rare window of each, and a bucket."""

from libc.stdint cimport uint8_t, uint32_t

from tocsin._core.variant cimport candidates_look


cdef enum:
    TABLE_BYTES = 2048


# Choose every literal's window and bucket, greedily, and write the tables (TABLE_BYTES, zeros).
# Literal p is text[ends[p - 1]:ends[p]], folded if `fold`. Of the look, tables, buckets and reach
# count. `turns`: how often each is placed. 0, or -1 if memory is out.
cdef int plan_windows(const uint8_t *text, const size_t *ends, size_t patterns, bint fold,
                      const candidates_look *look, int turns, uint32_t *window,
                      uint8_t *tables) noexcept nogil
