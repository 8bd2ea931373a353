"""A stream's state as bytes: little-endian, field by field, nothing of the machine in it.

Numbers are variable-length (seven bits a byte) so that a quiet stream's state is a few dozen
bytes. A damaged state is a ValueError that says where; it never makes a scanner that misbehaves.
"""

from libc.math cimport isfinite
from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tocsin._core.grow cimport bytes_free, bytes_push, bytes_t
from tocsin._core.trace cimport (
    LINE_START, WEAKER, line_t, lines_push, trace_free, trace_new, trace_t,
)


cdef class Writer:

    def __dealloc__(self):
        bytes_free(&self.out)

    cdef void u64(self, uint64_t value):
        cdef uint8_t c
        while True:
            c = value & 127
            value >>= 7
            if value:
                c |= 128
            bytes_push(&self.out, &c, 1)
            if not value:
                break

    cdef void i64(self, int64_t value):
        # zigzag: small numbers of either sign are short
        self.u64((<uint64_t> value << 1) ^ <uint64_t> (value >> 63))

    cdef void f64(self, double value):
        cdef uint64_t bits
        cdef uint8_t raw[8]
        cdef int i
        memcpy(&bits, &value, 8)
        for i in range(8):
            raw[i] = (bits >> (8 * i)) & 255
        bytes_push(&self.out, raw, 8)

    cdef void raw(self, bytes value):
        bytes_push(&self.out, <const uint8_t *> value, len(value))

    cdef void block(self, const uint8_t *at, size_t size):
        self.u64(size)
        bytes_push(&self.out, at, size)

    cdef bytes result(self):
        if self.out.failed:
            raise MemoryError
        return (<char *> self.out.at)[:self.out.used]


cdef class Reader:

    def __cinit__(self, bytes state):
        self.keep = state
        self.at = <const uint8_t *> state
        self.size = len(state)

    cdef uint64_t u64(self) except? 0xDEAD:
        cdef uint64_t value = 0
        cdef int shift = 0
        while True:
            if self.pos >= self.size or shift > 63:
                raise ValueError(f"damaged scanner state at byte {self.pos}")
            value |= <uint64_t> (self.at[self.pos] & 127) << shift
            self.pos += 1
            if not self.at[self.pos - 1] & 128:
                return value
            shift += 7

    cdef int64_t i64(self) except? -57005:
        cdef uint64_t value = self.u64()
        return <int64_t> (value >> 1) ^ -<int64_t> (value & 1)

    cdef double f64(self) except? -57005.5:
        cdef uint64_t bits = 0
        cdef double value
        cdef int i
        if self.size - self.pos < 8:
            raise ValueError(f"damaged scanner state at byte {self.pos}")
        for i in range(8):
            bits |= <uint64_t> self.at[self.pos + i] << (8 * i)
        self.pos += 8
        memcpy(&value, &bits, 8)
        if not isfinite(value):  # no log has such a time
            raise ValueError(f"damaged scanner state at byte {self.pos}: {value} seconds")
        return value

    cdef bytes raw(self, size_t n):
        if self.size - self.pos < n:
            raise ValueError(f"damaged scanner state at byte {self.pos}: it ends too early")
        self.pos += n
        return self.keep[self.pos - n:self.pos]

    cdef int block(self, bytes_t *out) except -1:
        cdef uint64_t n = self.u64()
        if n > self.size - self.pos:
            raise ValueError(f"damaged scanner state at byte {self.pos}: it ends too early")
        bytes_push(out, self.at + self.pos, n)
        if out.failed:
            raise MemoryError
        self.pos += n
        return 0

    cdef int end(self) except -1:
        if self.pos != self.size:
            raise ValueError(f"damaged scanner state: {self.size - self.pos} bytes too many")
        return 0


cdef int write_trace(Writer w, trace_t *t) except -1:
    cdef size_t i
    cdef line_t *line
    w.i64(t.rule)
    for i in range(WEAKER):
        w.i64(t.weaker[i])
    w.u64(t.lane)
    w.u64(
        t.folded | t.ended << 1 | t.any_caller << 2 | t.provisional << 3 | t.stamped << 4
    )
    w.u64(t.host)
    w.block(t.host_name, t.host_size)
    w.u64(t.caller_kind)
    w.u64(t.caller)
    w.u64(t.alias_count)
    for i in range(t.alias_count):
        w.u64(t.aliases[i])
    w.u64(t.clock)
    w.f64(t.first_time)
    w.f64(t.last_time)
    w.i64(t.level)
    w.u64(t.confidence)
    w.i64(t.boot)
    w.u64(t.before)
    w.u64(t.fold_key)
    w.u64(t.count)
    w.u64(t.rival)
    w.u64(t.serial)
    w.u64(t.foreign)
    w.u64(t.others)
    w.u64(t.total)
    w.u64(t.dropped)
    w.u64(t.held_lost)
    w.i64(t.last_end)
    w.block(t.text.at, t.text.used)
    w.u64(t.lines.used)
    for i in range(t.lines.used):
        line = &t.lines.at[i]
        w.i64(line.offset)
        w.u64(line.at)
        w.u64(line.length)
        w.u64(line.body)
        w.i64(line.rule)
        w.u64(line.shape)
        w.u64(line.flags)
        w.u64(line.tail)
    w.u64(t.sure_lines)
    w.u64(t.sure_text)
    return 0


cdef trace_t *read_trace(
    Reader r, uint32_t rule_count, uint32_t shape_count, int64_t now
) except NULL:
    """`now`: the stream offset of the snapshot, which no line of it can lie behind."""
    cdef trace_t *t = trace_new()
    cdef uint64_t i, n, flags
    cdef line_t line
    cdef bytes name
    if t == NULL:
        raise MemoryError
    try:
        t.rule = <int32_t> r.i64()
        for i in range(WEAKER):
            t.weaker[i] = <int32_t> r.i64()
        t.lane = <uint8_t> r.u64()
        flags = r.u64()
        t.folded = flags & 1
        t.ended = flags >> 1 & 1
        t.any_caller = flags >> 2 & 1
        t.provisional = flags >> 3 & 1
        t.stamped = flags >> 4 & 1
        t.host = r.u64()
        n = r.u64()
        if n > 64:
            raise ValueError(f"damaged scanner state at byte {r.pos}: host name of {n} bytes")
        name = r.raw(n)
        memcpy(t.host_name, <const uint8_t *> name, n)
        t.host_size = <uint8_t> n
        t.caller_kind = <uint8_t> r.u64()
        t.caller = <uint32_t> r.u64()
        n = r.u64()
        if n > 16:
            raise ValueError(f"damaged scanner state at byte {r.pos}: {n} callers")
        t.alias_count = <uint32_t> n
        for i in range(n):
            t.aliases[i] = <uint32_t> r.u64()
        t.clock = <uint8_t> r.u64()
        t.first_time = r.f64()
        t.last_time = r.f64()
        t.level = <int8_t> r.i64()
        t.confidence = <uint8_t> r.u64()
        t.boot = r.i64()
        t.before = <uint8_t> (r.u64() & 255)
        t.fold_key = r.u64()
        t.count = r.u64()
        t.rival = r.u64()
        t.serial = r.u64()
        t.foreign = <uint32_t> r.u64()
        t.others = <uint32_t> r.u64()
        t.total = r.u64()
        t.dropped = r.u64()
        t.held_lost = r.u64()
        t.last_end = r.i64()
        r.block(&t.text)
        n = r.u64()
        for _ in range(n):
            line.offset = r.i64()
            line.at = <uint32_t> r.u64()
            line.length = <uint32_t> r.u64()
            line.body = <uint32_t> r.u64()
            line.rule = <int32_t> r.i64()
            line.shape = <uint8_t> r.u64()
            line.flags = <uint8_t> r.u64()
            line.tail = <uint8_t> r.u64()
            if (
                <uint64_t> line.at + line.length > t.text.used or line.body > line.length
                or not -1 <= line.rule < <int32_t> rule_count or line.shape >= shape_count
                or (line.flags & LINE_START and line.rule < 0)
                or not 0 <= line.offset <= now - <int64_t> line.length
            ):
                raise ValueError(f"damaged scanner state at byte {r.pos}: a line outside its trace")
            lines_push(&t.lines, line)
        t.sure_lines = r.u64()
        t.sure_text = r.u64()
        if (
            not 1 <= t.sure_lines <= t.lines.used or t.sure_text > t.text.used
            or not 0 <= t.rule < <int32_t> rule_count
            or any(rule >= <int32_t> rule_count for rule in t.weaker)
            or t.clock > 2 or t.confidence > 2 or not -1 <= t.level <= 7 or t.boot < -1
            or t.caller_kind not in (0, 67, 84) or not 0 <= t.last_end <= now
        ):
            raise ValueError(f"damaged scanner state at byte {r.pos}: a trace out of bounds")
        if t.lines.failed:
            raise MemoryError
    except BaseException:
        trace_free(t)
        raise
    return t
