from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tocsin._core.grow cimport bytes_t
from tocsin._core.trace cimport trace_t

cdef class Writer:
    cdef bytes_t out
    cdef void u64(self, uint64_t value)
    cdef void i64(self, int64_t value)
    cdef void f64(self, double value)
    cdef void raw(self, bytes value)
    cdef void block(self, const uint8_t *at, size_t size)
    cdef bytes result(self)

cdef class Reader:
    cdef bytes keep
    cdef const uint8_t *at
    cdef size_t size
    cdef size_t pos
    cdef uint64_t u64(self) except? 0xDEAD
    cdef int64_t i64(self) except? -57005
    cdef double f64(self) except? -57005.5
    cdef bytes raw(self, size_t n)
    cdef int block(self, bytes_t *out) except -1
    cdef int end(self) except -1

cdef int write_trace(Writer w, trace_t *t) except -1
cdef trace_t *read_trace(
    Reader r, uint32_t rule_count, uint32_t shape_count, int64_t now
) except NULL
