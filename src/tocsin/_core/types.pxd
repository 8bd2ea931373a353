"""The widths the core agrees on, and the one shape of a literal's hit."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

# An offset in a stream: 64 bits, because a console is read for months.
ctypedef int64_t offset_t

cdef struct hit_t:
    # Which literal, and its half-open place in the scanned block. In this order because an array
    # of hits is also the buffer that Matches shows to numpy: rows of (pattern, start, end).
    uint32_t pattern
    uint32_t start
    uint32_t end
