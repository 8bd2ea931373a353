from libc.stdint cimport uint8_t, uint64_t

from tocsin._core.grouper cimport Grouper
from tocsin._core.grow cimport bytes_t, hits_t
from tocsin._core.prefix cimport prefix_t
from tocsin._core.program cimport Program
from tocsin._core.types cimport offset_t

cdef class Pipeline:
    cdef Program program
    cdef Grouper grouper
    cdef bytes_t carry          # the unfinished last line, at most line_bytes of it
    cdef hits_t hits            # scratch: hits of what is judged
    cdef hits_t wakers          # scratch: hits of the block at work that can begin something
    cdef offset_t at            # stream offset of the first byte not yet judged (carry's start)
    cdef bint inside            # what comes next is the rest of an over-long line
    cdef uint64_t overlong
    cdef bint busy

    cdef void run(self, const uint8_t *data, size_t size) noexcept nogil
    cdef bint idle(self, size_t at) noexcept nogil
    cdef size_t wake(self, const uint8_t *data, size_t size, bint cut) noexcept nogil
    cdef void find(self, const uint8_t *data, size_t start, size_t end) noexcept nogil
    cdef void block(self, const uint8_t *data, size_t size, bint cut) noexcept nogil
    cdef void piece(self, const uint8_t *data, size_t size) noexcept nogil
    cdef void one_line(
        self, const uint8_t *data, size_t start, size_t end, size_t size, bint cut, size_t *hit
    ) noexcept nogil
    cdef void segment(
        self, const uint8_t *data, size_t start, size_t end, size_t tail, bint cut,
        size_t low, size_t high,
        prefix_t *prefix
    ) noexcept nogil
    cdef bint failed(self) noexcept nogil
    cdef int alone(self) except -1
    cdef list drain(self)
