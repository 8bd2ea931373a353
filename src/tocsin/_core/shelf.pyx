"""A growable list of traces that owns them."""

from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from tocsin._core.trace cimport trace_free, trace_t


cdef void shelf_push(shelf_t *v, trace_t *t) noexcept nogil:
    cdef size_t room
    cdef trace_t **at
    if v.used == v.room:
        room = v.room * 2 if v.room else 16
        at = <trace_t **> realloc(v.at, room * sizeof(trace_t *))
        if at == NULL:
            v.failed = True
            trace_free(t)
            return
        v.at = at
        v.room = room
    v.at[v.used] = t
    v.used += 1


cdef trace_t *shelf_take(shelf_t *v, size_t i) noexcept nogil:
    """Take the trace at `i` out; it is the caller's from now on."""
    cdef trace_t *t = v.at[i]
    memmove(&v.at[i], &v.at[i + 1], (v.used - i - 1) * sizeof(trace_t *))
    v.used -= 1
    return t


cdef void shelf_free(shelf_t *v) noexcept nogil:
    cdef size_t i
    for i in range(v.used):
        trace_free(v.at[i])
    free(v.at)
    v.at = NULL
    v.used = v.room = 0
