"""A closed trace: the lines of one report with their places, as Python sees it.

The grouper fills a `trace_t`; `Trace` owns it from the moment it is closed. Everything here is a
view computed when asked for: a caller that only counts incidents never pays for their text.

Long because each view reads the lines in its own way, and none of them is of use elsewhere.
"""

from libc.stdlib cimport calloc, free, realloc
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr

from tocsin._core.grow cimport bytes_free, bytes_push, bytes_t
from tocsin._core.lines cimport skip_escapes, text_end
from tocsin._core.shapes cimport (
    SHAPE_ABSENT, SHAPE_FRAME, braced_frame, frame_t, message_end, parse_frame,
)


cdef trace_t *trace_new() noexcept nogil:
    return <trace_t *> calloc(1, sizeof(trace_t))


cdef void trace_free(trace_t *trace) noexcept nogil:
    if trace != NULL:
        bytes_free(&trace.text)
        free(trace.lines.at)
        free(trace)


cdef void trace_cut(trace_t *trace) noexcept nogil:
    """Forget the held lines at the end: nothing confirmed them."""
    trace.lines.used = trace.sure_lines
    trace.text.used = trace.sure_text


cdef void lines_push(lines_t *v, line_t item) noexcept nogil:
    cdef size_t room
    cdef line_t *at
    if v.used == v.room:
        room = v.room * 2 if v.room else 16
        at = <line_t *> realloc(v.at, room * sizeof(line_t))
        if at == NULL:
            v.failed = True
            return
        v.at = at
        v.room = room
    v.at[v.used] = item
    v.used += 1


cdef enum:
    # What is read of one message: printk cuts its own at 1 KiB, syslog at 2. A regular expression
    # may take the square of a line's length; without a bound one line could take minutes.
    READ_BYTES = 2048


cdef void push_plain(bytes_t *out, const uint8_t *s, size_t size) noexcept nogil:
    """Push what can be read of a line: no colours, no NULs, no blanks at its end."""
    cdef size_t at = 0, start = 0
    size = text_end(s, size)
    if memchr(s, 27, size) == NULL and memchr(s, 0, size) == NULL:
        bytes_push(out, s, size)
        return
    while at < size:
        if s[at] == 0:
            bytes_push(out, s + start, at - start)
            at += 1
            start = at
        elif s[at] == 27:
            bytes_push(out, s + start, at - start)
            at = skip_escapes(s, <uint32_t> at, <uint32_t> size)
            start = at
        else:
            at += 1
    bytes_push(out, s + start, size - start)


cdef inline uint32_t read_length(const line_t *line) noexcept nogil:
    cdef uint32_t length = line.length - line.body
    return length if length < READ_BYTES else READ_BYTES


cdef void push_unquoted(bytes_t *out, const uint8_t *s, size_t size) noexcept nogil:
    """Push what the string s[0:...) says, up to the `"` that closes it.

    A backslash or a second `"` keeps one; a line end that was part of the message goes.
    """
    cdef size_t at = 0, before = out.used
    cdef uint8_t c
    while at < size:
        c = s[at]
        if c == 34:
            if at + 1 >= size or s[at + 1] != 34:
                break
            at += 1
        elif c == 92 and at + 1 < size and s[at + 1] in (34, 47, 92, 110, 114, 116):
            at += 1
            c = s[at]
            if c == 116:
                c = 9
            elif c == 110 or c == 114:
                c = 32
        bytes_push(out, &c, 1)
        at += 1
    while out.used > before and out.at[out.used - 1] == 32:
        out.used -= 1


cdef void push_body(bytes_t *out, const uint8_t *line, const line_t *l) noexcept nogil:
    """Push the message of a line as it was before somebody put it into JSON or a table."""
    cdef const uint8_t *body = line + l.body
    cdef size_t size = read_length(l), last = text_end(body, size), i
    cdef bint odd = False
    if l.body > 1 and line[0] == 123:
        push_unquoted(out, body, size)
        return
    if last and body[last - 1] == 34:
        for i in range(last):
            odd = odd != (body[i] == 34)
        if odd:
            push_unquoted(out, body, size)
            return
    push_plain(out, body, size)


cdef inline bint at_its_begin(const uint8_t *body, const frame_t *f) noexcept nogil:
    """`+0x0/0x90`: nothing is called from there. The call never returns and ends another function,
    behind which this one begins."""
    if f.decimal:
        return f.offsets_end - f.offsets == 1 and body[f.offsets] == 48
    return (
        f.offsets == f.symbol_end + 1 and f.offsets_end - f.offsets > 3
        and body[f.offsets] == 48 and body[f.offsets + 2] == 48 and body[f.offsets + 3] == 47
    )


cdef inline bint first_frame(
    const uint8_t *body, uint32_t size, bint heading, frame_t *out
) noexcept nogil:
    """The first frame of a line; of a heading (`Call Trace:<addr>{f+17} ...`) the one behind it."""
    cdef uint32_t at = 0
    if not heading:
        return parse_frame(body, size, out)
    while at < size and body[at] != 58:
        at += 1
    return at < size and braced_frame(body, at + 1, size, out)


cdef class Trace:
    """One closed trace. Not made by hand: the pipeline returns them."""

    def __dealloc__(self):
        trace_free(self.c)

    def __len__(self):
        return self.c.lines.used

    @property
    def rule(self):
        """Number of the rule that named it."""
        return self.c.rule

    @property
    def weaker(self):
        """Numbers of the other rules that its first line may begin, strongest first."""
        return tuple(rule for rule in self.c.weaker if rule >= 0)

    @property
    def ended(self):
        return self.c.reason

    @property
    def dropped(self):
        """Lines that belonged to it and were not kept, because of a limit."""
        return self.c.dropped

    @property
    def cut(self):
        """A line of it was longer than the line limit."""
        cdef size_t i
        for i in range(self.c.lines.used):
            if self.c.lines.at[i].flags & LINE_CUT:
                return True
        return False

    @property
    def count(self):
        return self.c.count

    @property
    def confidence(self):
        return self.c.confidence

    @property
    def level(self):
        """Level the kernel printed on its first line, or None."""
        return None if self.c.level < 0 else self.c.level

    @property
    def time(self):
        """(seconds, clock) of the first line; clock 0 none, 1 kernel, 2 wall."""
        return self.c.first_time, self.c.clock

    @property
    def last_time(self):
        return self.c.last_time

    @property
    def host(self):
        if self.c.host_size == 0:
            return None
        return self.c.host_name[:self.c.host_size].decode("utf-8", "backslashreplace")

    @property
    def caller(self):
        if self.c.caller_kind == 0:
            return None
        return f"{chr(self.c.caller_kind)}{self.c.caller}"

    @property
    def before(self):
        """On the banner of a boot: number of the console state it broke into; else 0."""
        return self.c.before

    @property
    def boot(self):
        return None if self.c.boot < 0 else self.c.boot

    def spans(self):
        """Byte ranges of the kept lines in the stream, half-open, adjoining ones merged.

        A line's range ends before its line end; lines that follow one another directly (only
        line ends between them) are one range. An empty line among lines of others has none.
        """
        cdef size_t i
        cdef line_t *line
        out = []
        start = end = behind = -1
        for i in range(self.c.lines.used):
            line = &self.c.lines.at[i]
            if start >= 0 and line.offset == behind:
                end = line.offset + line.length
                behind = end + line.tail
                continue
            if start < end:
                out.append((start, end))
            start = line.offset
            end = start + line.length
            behind = end + line.tail
        if start < end:
            out.append((start, end))
        return tuple(out)

    def lines(self):
        """The kept lines as bytes, prefix kept, line end not."""
        cdef size_t i
        cdef line_t *line
        out = []
        for i in range(self.c.lines.used):
            line = &self.c.lines.at[i]
            out.append((<char *> self.c.text.at)[line.at:line.at + line.length])
        return tuple(out)

    def body(self, size_t i):
        """The message of line `i` (prefix stripped) as far as it is read, one character a byte."""
        cdef line_t *line
        if i >= self.c.lines.used:
            raise IndexError(f"line {i} of {self.c.lines.used}")
        cdef bytes_t plain
        line = &self.c.lines.at[i]
        plain.at = NULL
        plain.used = plain.room = 0
        plain.failed = False
        push_body(&plain, self.c.text.at + line.at, line)
        try:
            if plain.failed:
                raise MemoryError
            return (<char *> plain.at)[:plain.used].decode("latin-1") if plain.used else ""
        finally:
            bytes_free(&plain)

    def text(self):
        """The messages joined by newlines, decoded as Latin-1."""
        cdef size_t i
        cdef line_t *line
        cdef bytes_t joined
        cdef uint8_t newline = 10
        if self._text is None:
            joined.at = NULL
            joined.used = joined.room = 0
            joined.failed = False
            for i in range(self.c.lines.used):
                line = &self.c.lines.at[i]
                if i:
                    bytes_push(&joined, &newline, 1)
                push_body(&joined, self.c.text.at + line.at, line)
            try:
                if joined.failed:
                    raise MemoryError
                self._text = (<char *> joined.at)[:joined.used].decode("latin-1")
            finally:
                bytes_free(&joined)
        return self._text

    def shapes(self):
        """The lines' shapes, by name."""
        cdef size_t i
        return [self.shape_names[self.c.lines.at[i].shape] for i in range(self.c.lines.used)]

    def starts(self):
        """(line number, rule number) of every start in it, its own and those it took in."""
        cdef size_t i
        return [
            (i, self.c.lines.at[i].rule)
            for i in range(self.c.lines.used)
            if self.c.lines.at[i].flags & LINE_START
        ]

    def sections(self, size_t first, str head, str section):
        """The certain frames behind line `first`: a list of (function, module) for each section.

        A line of shape `head` or `section` ends a section. Frames without a symbol, those the
        unwinder doubts, and those whose symbol is the wrong one are left out.
        """
        cdef size_t i
        cdef uint32_t size
        cdef line_t *line
        cdef frame_t f
        cdef const uint8_t *body
        cdef bint more
        cdef uint8_t head_shape = self.shape_names.index(head)
        cdef uint8_t section_shape = self.shape_names.index(section)
        cdef list current = []
        for i in range(first + 1, self.c.lines.used):
            line = &self.c.lines.at[i]
            if line.shape == head_shape or line.shape == section_shape:
                if current:
                    yield current
                    current = []
            elif line.shape != SHAPE_FRAME:
                continue
            body = self.c.text.at + line.at + line.body
            size = <uint32_t> message_end(body, line.length - line.body)
            more = first_frame(body, size, line.shape != SHAPE_FRAME, &f)
            while more:
                if not (f.unreliable or f.symbol_end == f.symbol or at_its_begin(body, &f)):
                    module = None
                    if f.module_end > f.module:
                        module = (<char *> body)[f.module:f.module_end].decode("latin-1")
                    current.append(
                        ((<char *> body)[f.symbol:f.symbol_end].decode("latin-1"), module)
                    )
                more = f.next != 0 and braced_frame(body, f.next, size, &f)
        if current:
            yield current

    def find_shape(self, size_t first, str name):
        """Number of the first line from `first` on that has the shape, or None."""
        cdef size_t i
        cdef uint8_t shape = self.shape_names.index(name)
        for i in range(first, self.c.lines.used):
            if self.c.lines.at[i].shape == shape:
                return i
        return None

    def frames(self):
        """Stack frames: (line, function, offset, size, module, source, reliable, inlined).

        Offsets are ints or None; module and source ("mm/slub.c:12") are str or None. Frames
        without a symbol have function None.
        """
        cdef size_t i
        cdef uint32_t end
        cdef line_t *line
        cdef frame_t f
        cdef const uint8_t *body
        cdef bint more
        cdef uint8_t head = SHAPE_ABSENT
        if "trace-head" in self.shape_names:
            head = self.shape_names.index("trace-head")
        out = []
        for i in range(self.c.lines.used):
            line = &self.c.lines.at[i]
            if line.shape != SHAPE_FRAME and line.shape != head:
                continue
            body = self.c.text.at + line.at + line.body
            end = <uint32_t> message_end(body, line.length - line.body)
            more = first_frame(body, end, line.shape != SHAPE_FRAME, &f)
            while more:
                function = offset = size = module = source = None
                if f.symbol_end > f.symbol:
                    function = (<char *> body)[f.symbol:f.symbol_end].decode("latin-1")
                if f.offsets_end > f.offsets:
                    parts = (<char *> body)[f.offsets:f.offsets_end].split(b"/")
                    offset = int(parts[0], 10 if f.decimal else 16)
                    size = int(parts[1], 16) if len(parts) > 1 and len(parts[1]) > 2 else None
                if f.module_end > f.module:
                    module = (<char *> body)[f.module:f.module_end].decode("latin-1")
                if f.source_end > f.source:
                    source = (<char *> body)[f.source:f.source_end].decode("latin-1")
                out.append(
                    (i, function, offset, size, module, source, not f.unreliable, bool(f.inlined))
                )
                more = f.next != 0 and braced_frame(body, f.next, end, &f)
        return out
