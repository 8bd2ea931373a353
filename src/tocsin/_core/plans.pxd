"""Plans of windows made ahead, when a package is built."""

from libc.stdint cimport uint8_t

from tocsin._core.variant cimport candidates_look


# What plan_windows would come to. NULL tables: there is no plan.
cdef struct planned_t:
    const uint8_t *tables       # TABLE_BYTES
    const uint8_t *windows      # one byte a literal

# Whether a blob of plan_ahead is for this look (NULL: for none), and what it says, which points
# into `plan`. ValueError if it is for other patterns.
cdef bint read_plan(object plan, object patterns, const candidates_look *look,
                    planned_t *out) except -1
