"""The whole way of a chunk, in one pass without the GIL.

chunk -> blocks that end at a line end -> literals that hit -> the lines around them -> grouper.
While no report is open, a block without a hit is done when the scan is done: its lines are never
looked at. A block with hits has only the lines of its hits judged. While a report is open, every
line is.

Cuts do not matter: bytes after the last line end of a chunk are carried over (at most
`line_bytes`), and a line is judged when it is whole, or in pieces of exactly `line_bytes` counted
from its first byte when it is longer than that (its line end not counted).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t

from tocsin._core.grouper cimport STAMPED_ENOUGH, Grouper, limits_t
from tocsin._core.grow cimport bytes_free, bytes_push, hits_free
from tocsin._core.judge cimport input_t
from tocsin._core.lines cimport find_newline, line_start, trim_end
from tocsin._core.prefix cimport find_stamp, parse_prefix, prefix_t, quoting, retelling
from tocsin._core.program cimport Program
from tocsin._core.trace cimport ENDED_FLUSH, Trace
from tocsin._core.types cimport offset_t

cdef enum:
    # Scanned at once: small enough to stay in the L2 cache until its lines are judged.
    BLOCK = 65536
    # Where a stream's first stamps are looked for.
    LEARNED_BYTES = 16384
    # Below this the GIL is kept: letting go and taking it again costs more than the scan.
    NOGIL_BYTES = 8192
    # From this many bytes of a line the prompt can be told: host names have at most 253.
    PROMPT_BYTES = 1024


cdef class Pipeline:
    """One stream's scanning state. `limits`: see tocsin.Limits; values in its order of fields."""

    def __cinit__(self, Program program not None, limits):
        cdef limits_t *c
        self.program = program
        self.grouper = Grouper(program)
        c = &self.grouper.limits
        c.line_bytes = limits.line_bytes
        c.trace_bytes = limits.trace_bytes
        c.trace_lines = limits.trace_lines
        c.trace_total = limits.trace_total
        c.traces = limits.traces
        c.folds = limits.folds
        c.fold_lines = limits.fold_lines
        c.gap_bytes = limits.gap_bytes
        c.fold_bytes = limits.fold_bytes
        c.fold_seconds = limits.fold_seconds

    def __dealloc__(self):
        bytes_free(&self.carry)
        hits_free(&self.hits)
        hits_free(&self.wakers)

    # -- the pass ----------------------------------------------------------------------------

    cdef void segment(
        self, const uint8_t *data, size_t start, size_t end, size_t tail, bint cut,
        size_t low, size_t high, prefix_t *prefix
    ) noexcept nogil:
        """Hand data[start:end) to the grouper; `tail` bytes of line end follow it."""
        cdef input_t line
        line.line = data + start
        line.size = <uint32_t> (end - start)
        line.offset = self.at + <offset_t> start
        line.tail = <uint8_t> (tail if tail < 255 else 255)
        line.cut = cut
        line.hits = self.hits.at + low
        line.hit_count = high - low
        line.base = <uint32_t> start
        line.prefix = prefix[0]
        line.host = 0
        self.grouper.line(&line)

    cdef void one_line(
        self, const uint8_t *data, size_t start, size_t end, size_t size, bint cut, size_t *hit
    ) noexcept nogil:
        """Judge data[start:end), one line of the terminal: one or more messages of the kernel.

        The block at `data` has `size` bytes. `hit` is the first hit not yet used; it moves behind
        the line.
        """
        cdef size_t low, stop, tail, next_stamp, at
        cdef prefix_t prefix
        cdef bint quoted = False
        stop = trim_end(data, start, end)
        tail = end - stop + (1 if end < size else 0)
        low = hit[0]
        while True:
            parse_prefix(data + start, <uint32_t> (stop - start), &prefix)
            prefix.quoted = quoted
            next_stamp = stop
            if not prefix.syslog:
                # A stamp that is not this message's own begins another message, printed while a
                # prompt or some text of user space waited on the line. Behind a log header it is
                # text like any other: whoever wrote it is named.
                next_stamp = start + find_stamp(
                    data + start, prefix.body, <uint32_t> (stop - start)
                )
                if next_stamp < stop and retelling(
                    data + start, prefix.body, <uint32_t> (next_stamp - start)
                ):
                    next_stamp = stop
            while low < self.hits.used and self.hits.at[low].start < start:
                low += 1
            at = low
            while at < self.hits.used and self.hits.at[at].end <= next_stamp:
                at += 1
            self.segment(
                data, start, next_stamp, tail if next_stamp >= stop else 0, cut, low, at, &prefix
            )
            low = at
            if next_stamp >= stop:
                break
            quoted = quoted or quoting(data + start, next_stamp - start)
            start = next_stamp
        while hit[0] < self.hits.used and self.hits.at[hit[0]].end <= end:
            hit[0] += 1

    cdef inline bint idle(self, size_t at) noexcept nogil:
        """Whether only a literal that wakes can matter from data[at] on.

        The first lines are looked at whatever they say: from a kernel that prints stamps, a line
        without one may be anybody's.
        """
        return self.grouper.open.used == 0 and not (
            self.grouper.stamped_seen < STAMPED_ENOUGH
            and self.at + <offset_t> at < LEARNED_BYTES
        )

    cdef size_t wake(self, const uint8_t *data, size_t size, bint cut) noexcept nogil:
        """Judge the lines that may begin something until one does; where the next line begins."""
        cdef size_t at = 0, waker = 0, hit, start, end
        self.wakers.used = 0
        self.program.automaton.scan_leading(data, size, &self.wakers)
        while waker < self.wakers.used:
            start = line_start(data, at, self.wakers.at[waker].start)
            end = find_newline(data, start, size)
            self.find(data, start, end)
            hit = 0
            self.one_line(data, start, end, size, cut, &hit)
            at = end + 1
            if not self.idle(at):
                return at
            while waker < self.wakers.used and self.wakers.at[waker].start < at:
                waker += 1
        return size

    cdef void find(self, const uint8_t *data, size_t start, size_t end) noexcept nogil:
        """The hits of data[start:end), by their place in data."""
        cdef size_t i
        self.hits.used = 0
        self.program.automaton.scan(data + start, end - start, &self.hits)
        if start:
            for i in range(self.hits.used):
                self.hits.at[i].start += <uint32_t> start
                self.hits.at[i].end += <uint32_t> start

    cdef void block(self, const uint8_t *data, size_t size, bint cut) noexcept nogil:
        """Judge data[0:size), whole lines; the last may lack its line end. self.at: its offset."""
        cdef size_t at = 0, hit = 0, start, end
        if self.idle(0):
            at = self.wake(data, size, cut)
        if at < size:
            self.find(data, at, size)
        while at < size:
            if self.idle(at):
                while hit < self.hits.used and not self.program.wakes(self.hits.at[hit].pattern):
                    hit += 1
                if hit >= self.hits.used:
                    break
                start = line_start(data, at, self.hits.at[hit].start)
                while hit > 0 and self.hits.at[hit - 1].start >= start:
                    hit -= 1
            else:
                start = at
            end = find_newline(data, start, size)
            self.one_line(data, start, end, size, cut, &hit)
            at = end + 1
        self.grouper.expire(self.at + <offset_t> size)

    cdef void run(self, const uint8_t *data, size_t size) noexcept nogil:
        cdef size_t at = 0, end, limit = self.grouper.limits.line_bytes, room
        # No line of a block may be longer than the limit, or a carried one would be cut where
        # this one is not.
        cdef size_t most = BLOCK if BLOCK < limit else limit
        while at < size:
            if self.carry.used or self.inside:
                # Finish the carried line: up to its line end, the end of the chunk, or the byte
                # that shows it to be longer than the limit.
                room = limit + 1 - self.carry.used
                end = size if size - at < room else at + room
                room = find_newline(data, at, end)
                if room < end:  # its line end is here
                    bytes_push(&self.carry, data + at, room + 1 - at)
                    self.block(self.carry.at, self.carry.used, self.inside)
                    self.at += self.carry.used
                    self.carry.used = 0
                    self.inside = False
                    at = room + 1
                    continue
                bytes_push(&self.carry, data + at, end - at)
                at = end
                if self.carry.used > limit and not self.carry.failed:
                    self.piece(self.carry.at, limit)
                    self.carry.at[0] = self.carry.at[limit]
                    self.carry.used = 1
                continue
            # At the start of a line: take as many whole lines as fit a block.
            end = size if size - at < most else at + most
            end = line_start(data, at, end)
            if end == at:
                # Not one whole line in reach: the line is unfinished or longer than a block.
                room = size - at if size - at < limit + 1 else limit + 1
                end = find_newline(data, at, at + room)
                if end < at + room:
                    self.block(data + at, end + 1 - at, False)
                    self.at += end + 1 - at
                    at = end + 1
                elif room > limit:
                    self.piece(data + at, limit)
                    at += limit
                else:
                    bytes_push(&self.carry, data + at, room)
                    at = size
                continue
            self.block(data + at, end - at, False)
            self.at += end - at
            at = end

    cdef void piece(self, const uint8_t *data, size_t size) noexcept nogil:
        """A piece of an over-long line: judged as a line of its own, marked as cut."""
        if not self.inside:
            self.overlong += 1
        self.block(data, size, True)
        self.at += size
        self.inside = True

    # -- the way in --------------------------------------------------------------------------

    cdef int alone(self) except -1:
        # While another thread is in feed() without the GIL, nothing here may be looked at.
        if self.busy:
            raise RuntimeError("this scanner is being fed by another thread; use one per stream")
        return 0

    def feed(self, data):
        """Scan a chunk; the traces that closed in it."""
        cdef const uint8_t[::1] view
        cdef const uint8_t *at
        cdef size_t size
        if PyBytes_CheckExact(data):
            at = <const uint8_t *> PyBytes_AS_STRING(data)
            size = <size_t> PyBytes_GET_SIZE(data)
        else:
            if isinstance(data, str):
                raise TypeError("expected bytes-like data, got str: encode it first")
            view = memoryview(data).cast("B")
            size = <size_t> view.shape[0]
            at = &view[0] if size else NULL
        self.alone()
        self.busy = True
        try:
            if size >= NOGIL_BYTES:
                with nogil:
                    self.run(at, size)
            elif size:
                self.run(at, size)
        finally:
            self.busy = False
        return self.drain()

    def flush(self):
        """Judge the unfinished line and close everything that is open."""
        self.alone()
        if self.carry.used:
            self.block(self.carry.at, self.carry.used, self.inside)
            self.at += self.carry.used
            self.carry.used = 0
        self.inside = False
        self.grouper.end_all(ENDED_FLUSH)
        return self.drain()

    cdef bint failed(self) noexcept nogil:
        """Whether memory ran out, so that the state is no longer whole."""
        return (
            self.carry.failed or self.hits.failed or self.wakers.failed
            or self.grouper.closed.failed or self.grouper.open.failed or self.grouper.folds.failed
        )

    cdef list drain(self):
        cdef size_t i
        cdef Trace trace
        cdef list out = []
        if self.failed():
            raise MemoryError("the scanner ran out of memory; its state is no longer whole")
        for i in range(self.grouper.closed.used):
            trace = Trace.__new__(Trace)
            trace.c = self.grouper.closed.at[i]
            trace.shape_names = self.program.shapes.names
            if trace.c.text.failed or trace.c.lines.failed:
                raise MemoryError("the scanner ran out of memory; its state is no longer whole")
            out.append(trace)
        self.grouper.closed.used = 0
        return out

    @property
    def offset(self):
        """Bytes taken so far."""
        self.alone()
        return self.at + <offset_t> self.carry.used

    @property
    def pending(self):
        """Whether a flush would have anything to do: an open report or an unfinished line."""
        self.alone()
        return bool(self.carry.used or self.grouper.open.used or self.grouper.folds.used)

    @property
    def state(self):
        """Console state by number, an unfinished line (a login prompt) counted in."""
        cdef Grouper look
        cdef Pipeline probe
        self.alone()
        if not self.carry.used or self.carry.used > PROMPT_BYTES or self.inside:
            return self.grouper.console.state
        probe = Pipeline.__new__(Pipeline, self.program, _NO_LIMITS)
        look = probe.grouper
        look.console.state = self.grouper.console.state
        look.stamped_seen = self.grouper.stamped_seen
        probe.block(self.carry.at, self.carry.used, False)
        return look.console.state

    @property
    def boot(self):
        return self.grouper.console.boot

    @property
    def counts(self):
        """What limits did so far: over-long lines cut, incidents closed early to make room."""
        return {"overlong_lines": self.overlong, "evicted": self.grouper.evicted}


class _NoLimits:
    line_bytes = 65536
    trace_bytes = 65536
    trace_lines = 64
    trace_total = 64
    traces = 4
    folds = 4
    fold_lines = 4
    gap_bytes = 65536
    fold_bytes = 65536
    fold_seconds = 60.0


_NO_LIMITS = _NoLimits
