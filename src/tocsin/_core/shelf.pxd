from tocsin._core.trace cimport trace_t

# Traces in the order in which they were put.
cdef struct shelf_t:
    trace_t **at
    size_t used
    size_t room
    bint failed

cdef void shelf_push(shelf_t *v, trace_t *t) noexcept nogil
cdef trace_t *shelf_take(shelf_t *v, size_t i) noexcept nogil
cdef void shelf_free(shelf_t *v) noexcept nogil
