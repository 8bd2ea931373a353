from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tocsin._core.console cimport console_now_t
from tocsin._core.judge cimport input_t, verdict_t
from tocsin._core.program cimport Program
from tocsin._core.shelf cimport shelf_t
from tocsin._core.trace cimport trace_t
from tocsin._core.types cimport offset_t

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

cdef class Grouper:
    cdef Program program
    cdef limits_t limits
    cdef shelf_t open       # reports, in order of opening
    cdef shelf_t folds      # repeats of one-line rules, in order of opening
    cdef shelf_t closed     # waiting to be handed out
    cdef uint64_t serial
    cdef uint64_t stamped_seen
    cdef console_now_t console
    cdef uint64_t evicted
    # The last stamped line that began or repeated something, and whether printk has announced that
    # it says the record before once more.
    cdef int begun_rule
    cdef double begun_time
    cdef bint replayed
    # The last stamped line that meant something, and where it ended: a log taken from two consoles
    # at once holds each line twice.
    cdef uint64_t told
    cdef offset_t told_end
    cdef bint twofold

    cdef bint stands_twice(self, input_t *line, verdict_t *v) noexcept nogil
    cdef bint said_before(self, input_t *line, verdict_t *v) noexcept nogil
    cdef void line(self, input_t *line) noexcept nogil
    cdef void expire(self, offset_t now) noexcept nogil
    cdef void end_all(self, uint8_t reason) noexcept nogil
    cdef void hear_console(self, int row, input_t *line) noexcept nogil
    cdef bint same_context(self, trace_t *t, input_t *line) noexcept nogil
    cdef bint same_printer(self, trace_t *t, input_t *line) noexcept nogil
    cdef void yields(self, input_t *line, trace_t *younger) noexcept nogil
    cdef bint told_apart(self, trace_t *t) noexcept nogil
    cdef size_t settle(self, size_t i) noexcept nogil
    cdef bint joins(self, trace_t *t, input_t *line, uint8_t *shape, bint *shaped) noexcept nogil
    cdef trace_t *within_limit(self, trace_t *t) noexcept nogil
    cdef bint continues(self, input_t *line, verdict_t *v) noexcept nogil
    cdef void take(
        self, trace_t *t, input_t *line, uint8_t shape, uint8_t flags, int rule, bint sure
    ) noexcept nogil
    cdef trace_t *begin(self, input_t *line, verdict_t *v) noexcept nogil
    cdef size_t close(self, shelf_t *shelf, size_t i, uint8_t reason) noexcept nogil
    cdef uint64_t fold_key(self, input_t *line, int rule) noexcept nogil
    cdef size_t mildest(self, shelf_t *shelf) noexcept nogil
    cdef void fold(self, input_t *line, verdict_t *v) noexcept nogil
    cdef void close_host(self, uint64_t host, uint8_t reason) noexcept nogil
    cdef void pass_by(self, input_t *line, trace_t *taken, bint same) noexcept nogil
