"""A growable array of plain C values: the only allocation on the hot path.

Growth doubles, so appending is amortised O(1). `failed` is sticky: hot loops append without a
look and the one caller that holds the GIL raises MemoryError afterwards.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from tocsin._core.types cimport hit_t


cdef struct hits_t:
    hit_t *at
    size_t used
    size_t room
    bint failed


cdef inline void hits_free(hits_t *v) noexcept nogil:
    free(v.at)
    v.at = NULL
    v.used = v.room = 0


cdef inline bint hits_reserve(hits_t *v, size_t more) noexcept nogil:
    """Make room for `more` hits; False, and sticky, if there is none."""
    cdef size_t room
    cdef hit_t *at
    if v.used + more > v.room:
        room = v.room * 2 if v.room else 64
        while room < v.used + more:
            room *= 2
        at = <hit_t *> realloc(v.at, room * sizeof(hit_t))
        if at == NULL:
            v.failed = True
            return False
        v.at = at
        v.room = room
    return True


cdef inline void hits_push(hits_t *v, hit_t item) noexcept nogil:
    if v.used == v.room and not hits_reserve(v, 1):
        return
    v.at[v.used] = item
    v.used += 1


cdef struct bytes_t:
    unsigned char *at
    size_t used
    size_t room
    bint failed


cdef inline void bytes_free(bytes_t *v) noexcept nogil:
    free(v.at)
    v.at = NULL
    v.used = v.room = 0


cdef inline void bytes_push(bytes_t *v, const unsigned char *src, size_t n) noexcept nogil:
    cdef size_t room
    cdef unsigned char *at
    if v.used + n > v.room:
        room = v.room * 2 if v.room else 256
        while room < v.used + n:
            room *= 2
        at = <unsigned char *> realloc(v.at, room)
        if at == NULL:
            v.failed = True
            return
        v.at = at
        v.room = room
    if n:
        memcpy(v.at + v.used, src, n)
    v.used += n
