"""The whole way of a chunk, in one pass without the GIL.

chunk -> blocks that end at a line end -> literals that hit -> the lines around them -> grouper.
While no report is open, a block without a hit is done when the scan is done: its lines are never
looked at. A block with hits has only the lines of its hits judged. While a report is open, every
line is.

Cuts do not matter: bytes after the last line end of a chunk are carried over (at most
`line_bytes`), and a line is judged when it is whole, or in pieces of exactly `line_bytes` counted
from its first byte when it is longer than that (its line end not counted).

This module is also what a stream's state is made of: `dumps` writes it, `loads` reads it.
"""

import zlib

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from tocsin._core.grouper cimport STAMPED_ENOUGH, Grouper, input_t, limits_t, shelf_push
from tocsin._core.grow cimport bytes_free, bytes_push, hits_free, hits_t
from tocsin._core.lines cimport find_newline, line_start, trim_end
from tocsin._core.prefix cimport find_stamp
from tocsin._core.program cimport Program
from tocsin._core.snapshot cimport Reader, Writer, read_trace, write_trace
from tocsin._core.trace cimport ENDED_FLUSH, Trace, trace_t
from tocsin._core.types cimport hit_t, offset_t

cdef enum:
    # Scanned at once: small enough to stay in the L2 cache until its lines are judged.
    BLOCK = 65536
    # Where a stream's first stamps are looked for.
    LEARNED_BYTES = 16384
    # Below this the GIL is kept: letting go and taking it again costs more than the scan.
    NOGIL_BYTES = 8192
    # From this many bytes of a line the prompt can be told: host names have at most 253.
    PROMPT_BYTES = 1024

cdef bytes MAGIC = b"tocsin\x00\x02"
cdef enum:
    MAGIC_BYTES = 8
    FINGERPRINT_BYTES = 16
    SUM_BYTES = 4
    STATES = 7
# Leaves room for every sum of offsets and limits.
cdef offset_t MOST_OFFSET = 0x4000000000000000



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

    # -- the pass ----------------------------------------------------------------------------

    cdef void segment(
        self, const uint8_t *data, size_t start, size_t end, bint cut, size_t low, size_t high
    ) noexcept nogil:
        cdef input_t line
        memset(&line, 0, sizeof(input_t))
        line.line = data + start
        line.size = <uint32_t> (end - start)
        line.offset = self.at + <offset_t> start
        line.cut = cut
        line.hits = self.hits.at + low
        line.hit_count = high - low
        line.base = <uint32_t> start
        self.grouper.line(&line)

    cdef void one_line(
        self, const uint8_t *data, size_t start, size_t end, bint cut, size_t *hit
    ) noexcept nogil:
        """Judge data[start:end): one line of the terminal, one or more messages of the kernel.

        `hit` is the first hit not yet used; it moves behind the line.
        """
        cdef size_t low, high, stop, next_stamp, body
        while hit[0] < self.hits.used and self.hits.at[hit[0]].end <= start:
            hit[0] += 1
        stop = trim_end(data, start, end)
        while True:
            # The stamp of this message itself stands at its start; a later one is another
            # message, printed while a prompt or some text of user space waited on the line.
            body = start
            while body < stop and (data[body] == 13 or data[body] == 0):
                body += 1
            next_stamp = find_stamp(data + start, <uint32_t> (body - start), <uint32_t> (stop - start))
            next_stamp += start
            if next_stamp == body or (next_stamp < stop and self.is_header(data, start, next_stamp)):
                next_stamp = start + find_stamp(
                    data + start, <uint32_t> (next_stamp + 1 - start), <uint32_t> (stop - start)
                )
            low = hit[0]
            while hit[0] < self.hits.used and self.hits.at[hit[0]].start < next_stamp and (
                self.hits.at[hit[0]].end <= next_stamp
            ):
                hit[0] += 1
            high = hit[0]
            self.segment(data, start, next_stamp, cut, low, high)
            if next_stamp >= stop:
                break
            start = next_stamp
        while hit[0] < self.hits.used and self.hits.at[hit[0]].end <= end:
            hit[0] += 1

    cdef bint is_header(self, const uint8_t *data, size_t start, size_t stamp) noexcept nogil:
        """Whether data[start:stamp) is a log header in front of a stamp rather than text of a
        terminal: a level, a syslog or journal header, or escapes end in `>`, `: ` or a letter of an
        escape sequence."""
        cdef uint8_t last
        if stamp == start:
            return True
        last = data[stamp - 1]
        if last == 62:
            return stamp - start <= 5
        if stamp - start >= 8 and last == 32 and data[stamp - 2] == 58:
            return (
                data[stamp - 3] == 108 and data[stamp - 4] == 101  # "kernel: "
            ) or data[start] == 60 or self.syslog_like(data, start, stamp) or (
                stamp - start == 15 and data[start + 6] == 58  # `dmesg -x`
            )
        return False

    cdef bint syslog_like(self, const uint8_t *data, size_t start, size_t stamp) noexcept nogil:
        # A time of day in the first 32 bytes: `Nov 23 01:02:03 host tag: [ 12.3] ...`
        cdef size_t i, last = stamp if stamp - start < 32 else start + 32
        for i in range(start, last):
            if i + 8 <= stamp and data[i + 2] == 58 and data[i + 5] == 58:
                return True
        return False

    cdef void block(self, const uint8_t *data, size_t size, bint cut) noexcept nogil:
        """Judge data[0:size), whole lines (the last may lack its line end); self.at is its offset."""
        cdef size_t at = 0, hit = 0, start, end
        self.hits.used = 0
        self.program.automaton.scan(data, size, &self.hits)
        while at < size:
            if self.grouper.open.used == 0 and not (
                # The first lines are looked at whatever they say: from a kernel that prints
                # stamps, a line without one may be anybody's.
                self.grouper.stamped_seen < STAMPED_ENOUGH
                and self.at + <offset_t> at < LEARNED_BYTES
            ):
                # With nothing open, a literal that can only silence or continue says nothing.
                while hit < self.hits.used and not self.program.wakes[self.hits.at[hit].pattern]:
                    hit += 1
                if hit >= self.hits.used:
                    break
                start = line_start(data, at, self.hits.at[hit].start)
                while hit > 0 and self.hits.at[hit - 1].start >= start:
                    hit -= 1
            else:
                start = at
            end = find_newline(data, start, size)
            self.one_line(data, start, end, cut, &hit)
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

    cdef list drain(self):
        cdef size_t i
        cdef Trace trace
        cdef list out = []
        if self.carry.failed or self.hits.failed or self.grouper.closed.failed or (
            self.grouper.open.failed or self.grouper.folds.failed
        ):
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
            return self.grouper.state
        probe = Pipeline.__new__(Pipeline, self.program, _NO_LIMITS)
        look = probe.grouper
        look.state = self.grouper.state
        look.stamped_seen = self.grouper.stamped_seen
        probe.block(self.carry.at, self.carry.used, False)
        return look.state

    @property
    def boot(self):
        return self.grouper.boot

    @property
    def counts(self):
        """What limits did so far: over-long lines cut, incidents closed early to make room."""
        return {"overlong_lines": self.overlong, "evicted": self.grouper.evicted}

    # -- snapshots ---------------------------------------------------------------------------

    def dumps(self):
        cdef Writer w = Writer()
        cdef limits_t *c = &self.grouper.limits
        cdef size_t i
        self.alone()
        w.raw(MAGIC)
        w.raw(self.program.fingerprint)
        # The limits decide where lines and incidents are cut: part of the state.
        w.u64(c.line_bytes)
        w.u64(c.trace_bytes)
        w.u64(c.trace_lines)
        w.u64(c.trace_total)
        w.u64(c.traces)
        w.u64(c.folds)
        w.u64(c.fold_lines)
        w.i64(c.gap_bytes)
        w.i64(c.fold_bytes)
        w.f64(c.fold_seconds)
        w.i64(self.at)
        w.u64(self.inside)
        w.u64(self.overlong)
        w.block(self.carry.at, self.carry.used)
        w.u64(self.grouper.serial)
        w.u64(self.grouper.stamped_seen)
        w.i64(self.grouper.boot)
        w.u64(self.grouper.state)
        w.u64(self.grouper.before)
        w.u64(self.grouper.banner)
        w.u64(self.grouper.evicted)
        w.u64(self.grouper.open.used)
        for i in range(self.grouper.open.used):
            write_trace(w, self.grouper.open.at[i])
        w.u64(self.grouper.folds.used)
        for i in range(self.grouper.folds.used):
            write_trace(w, self.grouper.folds.at[i])
        state = w.result()
        return state + zlib.crc32(state).to_bytes(SUM_BYTES, "little")

    def loads(self, bytes state not None):
        """Take over a snapshot made by `dumps` under the same ruleset; ValueError otherwise.

        This pipeline must be a fresh one, with the limits that `saved_limits` reads.
        """
        cdef Reader r = open_state(state)
        cdef uint32_t rules = self.program.rule_count
        cdef uint32_t shapes = len(self.program.shapes.names)
        cdef uint64_t n
        if r.raw(FINGERPRINT_BYTES) != self.program.fingerprint:
            raise ValueError(
                "the state was saved under another ruleset: load it with the rules it was made with"
            )
        read_limits(r)
        self.at = r.i64()
        self.inside = r.u64() != 0
        self.overlong = r.u64()
        r.block(&self.carry)
        self.grouper.serial = r.u64()
        self.grouper.stamped_seen = r.u64()
        self.grouper.boot = r.i64()
        n = r.u64()
        if (
            not 0 <= self.at < MOST_OFFSET or self.carry.used > self.grouper.limits.line_bytes
            or n >= STATES or self.grouper.boot < 0
        ):
            raise ValueError(f"damaged scanner state at byte {r.pos}: out of bounds")
        self.grouper.state = <uint8_t> n
        n = r.u64()
        if n >= STATES:
            raise ValueError(f"damaged scanner state at byte {r.pos}: out of bounds")
        self.grouper.before = <uint8_t> n
        self.grouper.banner = r.u64() != 0
        self.grouper.evicted = r.u64()
        for n in range(r.u64()):
            shelf_push(&self.grouper.open, read_trace(r, rules, shapes, self.at))
        for n in range(r.u64()):
            shelf_push(&self.grouper.folds, read_trace(r, rules, shapes, self.at))
        r.end()


cdef Reader open_state(bytes state):
    """A reader of a state's fields: behind its head, without its check sum."""
    cdef Reader r
    if len(state) < MAGIC_BYTES + FINGERPRINT_BYTES + SUM_BYTES or state[:MAGIC_BYTES] != MAGIC:
        raise ValueError("not a scanner state, or one of another version of tocsin")
    if zlib.crc32(state[:-SUM_BYTES]).to_bytes(SUM_BYTES, "little") != state[-SUM_BYTES:]:
        raise ValueError("damaged scanner state: its check sum is wrong")
    r = Reader(state[:-SUM_BYTES])
    r.pos = MAGIC_BYTES
    return r


cdef tuple read_limits(Reader r):
    whole = [r.u64() for _ in range(7)]
    return (*whole, r.i64(), r.i64(), r.f64())


def saved_limits(bytes state not None):
    """The limits a state was saved with, in the order of tocsin.Limits."""
    cdef Reader r = open_state(state)
    r.raw(FINGERPRINT_BYTES)
    return read_limits(r)


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
