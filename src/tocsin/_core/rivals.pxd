"""Two reports at once where no caller is told."""

from tocsin._core.shapes cimport Shapes
from tocsin._core.trace cimport trace_t

# Give the older report what is its own among the lines of the younger, if it went on beside it.
cdef void part_rivals(trace_t *older, trace_t *younger, Shapes shapes) noexcept nogil
