"""Hits in order: by end, then by start, then by pattern."""

from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy

from tocsin._core.grow cimport hits_t
from tocsin._core.types cimport hit_t


cdef inline bint comes_before(const hit_t *a, const hit_t *b) noexcept nogil:
    if a.end != b.end:
        return a.end < b.end
    if a.start != b.start:
        return a.start < b.start
    return a.pattern < b.pattern


cdef int compare_hits(const void *a, const void *b) noexcept nogil:
    return (<int> comes_before(<const hit_t *> b, <const hit_t *> a)
            - <int> comes_before(<const hit_t *> a, <const hit_t *> b))


cdef void sort_hits(hit_t *at, size_t count) noexcept nogil:
    cdef size_t i, k
    cdef hit_t hit
    if count > 64:
        qsort(at, count, sizeof(hit_t), compare_hits)
        return
    for i in range(1, count):
        hit = at[i]
        k = i
        while k > 0 and comes_before(&hit, &at[k - 1]):
            at[k] = at[k - 1]
            k -= 1
        at[k] = hit


cdef void merge_hits(hits_t *out, size_t middle) noexcept nogil:
    """Merge the sorted runs [0, middle) and [middle, used)."""
    cdef size_t begin = middle, left, right, to, count
    cdef hit_t *early
    # What lies before all of the second run stays; blocks overlap by no more than a literal.
    while begin > 0 and comes_before(&out.at[middle], &out.at[begin - 1]):
        begin -= 1
    count = middle - begin
    if count == 0:
        return
    early = <hit_t *> malloc(count * sizeof(hit_t))
    if early == NULL:
        out.failed = True
        return
    memcpy(early, out.at + begin, count * sizeof(hit_t))
    left = 0
    right = middle
    to = begin
    while left < count:
        if right < out.used and comes_before(&out.at[right], &early[left]):
            out.at[to] = out.at[right]
            right += 1
        else:
            out.at[to] = early[left]
            left += 1
        to += 1
    free(early)
