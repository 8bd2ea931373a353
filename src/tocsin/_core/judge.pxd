from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from tocsin._core.prefix cimport prefix_t
from tocsin._core.program cimport Program
from tocsin._core.trace cimport WEAKER
from tocsin._core.types cimport hit_t, offset_t

# One logical line on its way through the grouper.
cdef struct input_t:
    const uint8_t *line
    uint32_t size
    offset_t offset
    uint8_t tail            # bytes of its line end
    bint cut                # the line limit cut it
    const hit_t *hits       # of this line only; places relative to `base`
    size_t hit_count
    uint32_t base           # where the line begins in the coordinates of the hits
    uint32_t trimmed        # its size without blanks at the end
    prefix_t prefix
    uint64_t host

# What the literals of a line say about it.
cdef struct verdict_t:
    bint noise
    bint replay             # the record before it is printed once more
    int start               # rule, -1 none
    int32_t[WEAKER] weaker  # the starts behind it, in order; -1 none
    bint by_level           # the start is nothing but a level
    uint32_t roles          # number of (rule, role) pairs below
    uint32_t rule[32]
    uint8_t role[32]
    int console             # console row, -1 none

cdef void judge(Program program, input_t *line, verdict_t *out) noexcept nogil
