"""The widths the core agrees on, and the one shape of a literal's hit."""

from libc.stdint cimport int64_t, uint8_t, uint32_t

# An offset in a stream: 64 bits, because a console is read for months.
ctypedef int64_t offset_t

cdef struct hit_t:
    # Half-open place of one literal in the scanned block, and which literal it is.
    uint32_t start
    uint32_t end
    uint32_t pattern
