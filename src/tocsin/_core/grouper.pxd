from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from tocsin._core.prefix cimport prefix_t
from tocsin._core.program cimport Program
from tocsin._core.trace cimport trace_t
from tocsin._core.types cimport hit_t, offset_t

cdef enum:
    # Stamped lines seen before an unstamped one is suspect.
    STAMPED_ENOUGH = 8

cdef struct limits_t:
    uint32_t line_bytes
    uint64_t trace_bytes
    uint64_t trace_lines
    uint64_t trace_total
    uint32_t traces
    uint32_t folds
    uint32_t fold_lines
    offset_t gap_bytes
    offset_t fold_bytes
    double fold_seconds

# One logical line on its way through the grouper.
cdef struct input_t:
    const uint8_t *line
    uint32_t size
    offset_t offset
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
    int start               # rule, -1 none
    bint by_level           # the start is nothing but a level
    uint32_t roles          # number of (rule, role) pairs below
    uint32_t rule[32]
    uint8_t role[32]
    int console             # console row, -1 none

cdef struct shelf_t:
    trace_t **at
    size_t used
    size_t room
    bint failed

cdef class Grouper:
    cdef Program program
    cdef limits_t limits
    cdef shelf_t open       # reports, in order of opening
    cdef shelf_t folds      # repeats of one-line rules, in order of opening
    cdef shelf_t closed     # waiting to be handed out
    cdef uint64_t serial
    cdef uint64_t stamped_seen
    cdef int64_t boot
    cdef uint8_t state
    # State that a new boot broke into, until the kernel's banner has told of it; 0 none.
    cdef uint8_t before
    cdef bint banner        # the line at work begins a boot
    cdef uint64_t evicted

    cdef void line(self, input_t *line) noexcept nogil
    cdef void expire(self, offset_t now) noexcept nogil
    cdef void end_all(self, uint8_t reason) noexcept nogil
    cdef void judge(self, input_t *line, verdict_t *out) noexcept nogil
    cdef bint entry_holds(self, input_t *line, hit_t hit, uint32_t entry) noexcept nogil
    cdef void set_console(self, int row, input_t *line) noexcept nogil
    cdef bint same_context(self, trace_t *t, input_t *line) noexcept nogil
    cdef bint joins(self, trace_t *t, input_t *line, uint8_t *shape, bint *shaped) noexcept nogil
    cdef bint takes(self, trace_t *t, verdict_t *v, uint8_t shape) noexcept nogil
    cdef bint continues(self, input_t *line, verdict_t *v) noexcept nogil
    cdef void take(self, trace_t *t, input_t *line, uint8_t shape, uint8_t flags, int rule, bint sure) noexcept nogil
    cdef trace_t *begin(self, input_t *line, int rule) noexcept nogil
    cdef void close(self, shelf_t *shelf, size_t i, uint8_t reason) noexcept nogil
    cdef uint64_t fold_key(self, input_t *line, int rule) noexcept nogil
    cdef void fold(self, input_t *line, int rule) noexcept nogil
    cdef void close_host(self, uint64_t host, uint8_t reason) noexcept nogil
    cdef void pass_by(self, input_t *line, trace_t *taken, bint same) noexcept nogil

cdef void shelf_push(shelf_t *v, trace_t *t) noexcept nogil
cdef void shelf_free(shelf_t *v) noexcept nogil
