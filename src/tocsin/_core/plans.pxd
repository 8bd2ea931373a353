"""Plans of windows made ahead, when a package is built."""

from libc.stdint cimport uint8_t

from tocsin._core.windows cimport look_t


# What plan_windows would come to. NULL tables: there is no plan.
cdef struct planned_t:
    look_t look
    const uint8_t *tables       # TABLE_BYTES
    const uint8_t *windows      # one byte a literal

cdef inline bint same_look(look_t a, look_t b) noexcept nogil:
    return a.tables == b.tables and a.buckets == b.buckets and a.reach == b.reach

# What a blob of plan_ahead says; it points into `plan`. ValueError if it is for other patterns.
cdef int read_plan(object plan, object patterns, planned_t *out) except -1
