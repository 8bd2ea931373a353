"""Hits in order: by end, then by start, then by pattern."""

from tocsin._core.grow cimport hits_t
from tocsin._core.types cimport hit_t

cdef void sort_hits(hit_t *at, size_t count) noexcept nogil
# Merge the sorted runs [0, middle) and [middle, used).
cdef void merge_hits(hits_t *out, size_t middle) noexcept nogil
