"""The result of a search: rows of (pattern, start, end) that Python sees without copying."""

from libc.stdint cimport uint32_t, uint64_t

from tocsin._core.grow cimport bytes_t, hits_t
from tocsin._core.types cimport hit_t


cdef class Matches:
    # Rows of 32 bits as the scan writes them. Where offsets passed 2**32, or rows have a column
    # more, `wide` holds the rows instead and `narrow` is empty.
    cdef hits_t narrow
    cdef bytes_t wide
    # Set by finish(): from then on nothing changes, so buffers may be handed out.
    cdef char *rows
    cdef Py_ssize_t used
    cdef Py_ssize_t shape[2]
    cdef Py_ssize_t strides[2]

    cdef void push_wide(self, uint64_t shift, const hit_t *hit) noexcept nogil
    cdef int finish(self, Py_ssize_t columns, Py_ssize_t width) except -1
    cdef uint64_t cell(self, Py_ssize_t row, int column) noexcept
    cdef tuple row(self, Py_ssize_t row)


cdef class LineMatches(Matches):
    cdef void push_line(self, uint32_t line, uint32_t shift, const hit_t *hit) noexcept nogil
