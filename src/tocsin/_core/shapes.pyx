"""What shape a line inside a trace has.

A shape is a small number: a stack frame in any architecture's notation, a blank line, a ruler, a
row of hex words, or one of the named shapes that rules bring as *line patterns*. A pattern stands
at the start of the message, behind white space; in it

    %   one or more decimal digits          @   one or more hex digits, with or without 0x
    *   a token: up to the pattern's next byte, never over white space
    ' ' white space, or the line's end      ~   as first byte: the rest may stand anywhere

This module knows notations, not meanings: which shape belongs to which report is the rules' say.

Long because the notations of a frame, of twenty years and all architectures, share their parts.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp

from tocsin._core.lines cimport contains, is_blank, is_digit, is_hex, is_word, text_end


cdef inline uint32_t skip_blanks(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    while at < end and is_blank(s[at]):
        at += 1
    return at


cdef inline uint32_t skip_hex(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    if at + 2 < end and s[at] == 48 and (s[at + 1] | 32) == 120 and is_hex(s[at + 2]):
        at += 2
    while at < end and is_hex(s[at]):
        at += 1
    return at


cdef inline uint32_t address(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """`[<addr>]` or `[addr]` of at least eight digits: the offset behind it, or `at`."""
    cdef uint32_t p = at, q
    if p < end and s[p] == 40:  # s390 puts the last one in parentheses
        p += 1
    if p >= end or s[p] != 91:
        return at
    p += 1
    if p < end and s[p] == 60:
        p += 1
    q = skip_hex(s, p, end)
    if q - p < 8:
        return at
    p = q
    if p < end and s[p] == 62:
        p += 1
    if p >= end or s[p] != 93:
        return at
    p += 1
    if p < end and s[p] == 41:
        p += 1
    return p


cdef inline uint32_t marker(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """`<IRQ>`, `<TASK>`, `</NMI>`, `<#DF>`, `<<EOE>>`: the offset behind it, or `at`."""
    cdef uint32_t p = at
    if p >= end or s[p] != 60:
        return at
    while p < end and (s[p] == 60 or s[p] == 47 or s[p] == 35):
        p += 1
    if p >= end or not 65 <= s[p] <= 90:
        return at
    while p < end and (65 <= s[p] <= 90 or s[p] == 95 or is_digit(s[p])):
        p += 1
    if p >= end or s[p] != 62:
        return at
    while p < end and s[p] == 62:
        p += 1
    # `<rust_crate::Type>::f` begins in lower case or goes on; a marker stands alone.
    if p < end and not is_blank(s[p]) and s[p] != 91:
        return at
    return p


cdef inline bint symbol_byte(uint8_t c) noexcept nogil:
    return is_word(c) or c == 46 or c == 36 or c == 64 or c == 58 or c == 60 or c == 62


cdef uint32_t source_place(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """`mm/slub.c:123`, with `:45` or ` (discriminator 2)` behind: the offset behind, or `at`."""
    cdef uint32_t p = at, colon
    while p < end and not is_blank(s[p]) and s[p] != 58:
        p += 1
    colon = p
    if p >= end or s[p] != 58 or p - at < 3:
        return at
    # file.c: file.h: file.S: file.rs: file.go:
    if s[p - 2] != 46 and s[p - 3] != 46:
        return at
    p += 1
    while p < end and (is_digit(s[p]) or s[p] == 58):
        p += 1
    return at if p == colon + 1 else p


cdef inline void clear(frame_t *out) noexcept nogil:
    out.symbol = out.symbol_end = out.offsets = out.offsets_end = 0
    out.module = out.module_end = out.source = out.source_end = out.next = 0
    out.unreliable = out.inlined = out.raw = out.decimal = False


cdef inline uint32_t module_in_front(
    const uint8_t *s, uint32_t at, uint32_t end, frame_t *out
) noexcept nogil:
    """`:ext3:` of `:ext3:f+0x1/0x2` (x86-64 up to 2.6.27): the offset behind it, or `at`."""
    cdef uint32_t p = at + 1
    if at >= end or s[at] != 58:
        return at
    while p < end and (is_word(s[p]) or s[p] == 45):
        p += 1
    if p == at + 1 or p + 1 >= end or s[p] != 58 or s[p + 1] == 58:
        return at
    out.module = at + 1
    out.module_end = p
    return p + 1


cdef bint braced_frame(
    const uint8_t *body, uint32_t at, uint32_t size, frame_t *out
) noexcept nogil:
    """`<ffffffff8018f1c5>{:ext3:f+20}`, of which x86-64 put several on a line up to 2.6.17."""
    cdef uint32_t p = skip_blanks(body, at, size), q
    clear(out)
    q = marker(body, p, size)
    while q != p:
        p = skip_blanks(body, q, size)
        q = marker(body, p, size)
    if p >= size or body[p] != 60:
        return False
    q = skip_hex(body, p + 1, size)
    if q - p < 9 or q + 2 >= size or body[q] != 62 or body[q + 1] != 123:
        return False
    p = module_in_front(body, q + 2, size, out)
    out.symbol = p
    while p < size and symbol_byte(body[p]):
        p += 1
    out.symbol_end = p
    if p + 1 >= size or p == out.symbol or (body[p] != 43 and body[p] != 45):
        return False
    p += 1
    out.offsets = p
    while p < size and is_digit(body[p]):
        p += 1
    out.offsets_end = p
    out.decimal = True
    if p >= size or p == out.offsets or body[p] != 125:
        return False
    out.next = p + 1
    return True


cdef bint parse_frame(const uint8_t *body, uint32_t size, frame_t *out) noexcept nogil:
    cdef uint32_t p = 0, q, start, hops = 0
    cdef bint addressed = False
    if braced_frame(body, 0, size, out):
        return True
    clear(out)
    # Leading parts in any order: markers, addresses, the doubtful mark.
    while hops < 8:
        hops += 1
        p = skip_blanks(body, p, size)
        q = marker(body, p, size)
        if q != p:
            p = q
            continue
        q = address(body, p, size)
        if q != p:
            p = q
            addressed = True
            continue
        if p + 1 < size and body[p] == 63 and body[p + 1] == 32:
            out.unreliable = True
            p += 1
            continue
        break
    if p >= size:
        out.raw = addressed
        return addressed
    # arm: `[<a>] (sym) from [<b>] (caller+0x1/0x2)`
    if body[p] == 40 and addressed:
        q = p + 1
        while q < size and symbol_byte(body[q]):
            q += 1
        if q < size and (body[q] == 41 or body[q] == 43) and q > p + 1:
            if q - p == 5 and memcmp(body + p, b"(null", 5) == 0:
                out.raw = True
                return True
            out.symbol = p + 1
            out.symbol_end = q
            return True
        return False
    if addressed:
        p = module_in_front(body, p, size, out)
    start = p
    if body[p] == 48 and p + 1 < size and body[p + 1] == 120:  # 0xffff...: no symbol
        q = skip_hex(body, p, size)
        if q - p >= 10 and (q == size or is_blank(body[q])):
            out.raw = True
            return True
        return False
    if body[p] == 60:  # a Rust path may hold blanks between its brackets
        while p < size and body[p] != 43:
            p += 1
    else:
        while p < size and symbol_byte(body[p]):
            p += 1
    if p == start:
        return False
    out.symbol = start
    out.symbol_end = p
    if p + 3 < size and body[p] == 43 and body[p + 1] == 48 and body[p + 2] == 120:
        q = skip_hex(body, p + 1, size)
        out.offsets = p + 1
        if q < size and body[q] == 47:
            q = skip_hex(body, q + 1, size)
        elif not addressed:
            return False
        out.offsets_end = q
        p = q
        if p < size and not is_blank(body[p]) and body[p] != 41:
            return False
        q = skip_blanks(body, p, size)
        if q < size and body[q] == 91:
            start = q + 1
            q = start
            while q < size and (is_word(body[q]) or body[q] == 45):
                q += 1
            if q < size and (body[q] == 93 or body[q] == 32):
                out.module = start
                out.module_end = q
                while q < size and body[q] != 93:
                    q += 1
                q = skip_blanks(body, q + 1, size)
        if q < size and body[q] == 40:  # (unreliable) of ppc; (P) (L) of arm64 say nothing bad
            if q + 12 <= size and memcmp(body + q, b"(unreliable)", 12) == 0:
                out.unreliable = True
        elif q < size:
            p = source_place(body, q, size)
            if p != q:
                out.source = q
                out.source_end = p
        return True
    q = skip_blanks(body, p, size)
    if q > p:
        # arm, newest kernels: ` unwind_backtrace from show_stack+0x18/0x1c`
        if q + 6 < size and memcmp(body + q, b"from ", 5) == 0:
            while q < size and body[q] != 43:
                q += 1
            if q + 2 < size and body[q + 1] == 48 and body[q + 2] == 120:
                return True
        start = q
        p = source_place(body, q, size)
        if p != q and body[out.symbol_end - 1] != 58:  # `WARNING: f.c:1` is no frame
            out.source = start
            out.source_end = p
            q = skip_blanks(body, p, size)
            out.inlined = q + 8 <= size and memcmp(body + q, b"[inline]", 8) == 0
            # `CPU: 0 ...` and prose never have a source place as their second word.
            return True
    if addressed and p == size:
        return True  # `[<addr>] symbol`, very old kernels
    return False


cdef bint words(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """Only hex words of eight or sixteen digits, at least two of them (or one with 0x left off)."""
    cdef uint32_t q, n = 0
    while at < end:
        q = at
        while q < end and (is_hex(s[q]) or s[q] == 40 or s[q] == 41 or s[q] == 60 or s[q] == 62):
            q += 1
        if q - at < 8 or (q < end and not is_blank(s[q])):
            return False
        n += 1
        at = skip_blanks(s, q, end)
    return n >= 1


cdef inline bint ruler(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    cdef uint8_t c = s[at]
    cdef uint32_t n = 0
    if c != 61 and c != 45 and c != 95:
        return False
    while at < end and s[at] == c:
        at += 1
        n += 1
    return n >= 5 and skip_blanks(s, at, end) == end


cdef bint matches(
    const uint8_t *p, uint32_t n, const uint8_t *s, uint32_t at, uint32_t end
) noexcept nogil:
    cdef uint32_t i = 0, q
    while i < n:
        if p[i] == 32:
            q = skip_blanks(s, at, end)
            if q == at and at < end:
                return False
            at = q
        elif p[i] == 37:
            q = at
            while q < end and is_digit(s[q]):
                q += 1
            if q == at:
                return False
            at = q
        elif p[i] == 64:
            q = skip_hex(s, at, end)
            if q == at:
                return False
            at = q
        elif p[i] == 42:
            q = at
            while q < end and not is_blank(s[q]) and (i + 1 >= n or s[q] != p[i + 1]):
                q += 1
            if q == at:
                return False
            at = q
        else:
            if at >= end or s[at] != p[i]:
                return False
            at += 1
        i += 1
    return True


def _order(row):
    """By first byte (wild cards last, anywhere behind them), longest first: specific wins."""
    shape, text = row
    if text[0] == 126:
        first = 257
    elif text[0] in b"%@* ":
        first = 256
    else:
        first = text[0]
    return first, -len(text), text, shape


cdef class Shapes:
    """The named shapes of a ruleset: `(name, [pattern, ...])` pairs, at most 59 names."""

    def __cinit__(self, shapes):
        cdef uint32_t i, f, bucket
        builtin = ("none", "blank", "frame", "words", "ruler")
        self.names = builtin + tuple(name for name, _ in shapes)
        if len(self.names) > 64:
            raise ValueError(f"{len(self.names)} line shapes, at most 64 fit a rule's mask")
        self.request = self.number("backtrace-request")
        self.reply = self.number("backtrace-reply")
        self.identity = self.number("identity")
        self.registers = self.number("registers")
        self.code = self.number("code")
        self.head = self.number("trace-head")
        self.marker = self.number("marker")
        rows = sorted(
            (
                (SHAPE_FIRST_NAMED + n, pattern.encode("latin-1"))
                for n, (_, patterns) in enumerate(shapes)
                for pattern in patterns
            ),
            key=_order,
        )
        self.keep = tuple(text for _, text in rows)
        self.count = len(rows)
        self.patterns = <pattern_t *> malloc(max(1, self.count) * sizeof(pattern_t))
        if self.patterns == NULL:
            raise MemoryError
        for i in range(258):
            self.first[i] = self.count
        for i in range(self.count):
            shape, text = rows[i][0], self.keep[i]
            self.patterns[i].shape = shape
            self.patterns[i].anywhere = text[0] == 126
            self.patterns[i].text = <const uint8_t *> text + (1 if text[0] == 126 else 0)
            self.patterns[i].length = len(text) - (1 if text[0] == 126 else 0)
        # first[b] .. first[b + 1]: patterns whose first byte is b
        bucket = 0
        for i in range(self.count):
            f = _order(rows[i])[0]
            while bucket <= f:
                self.first[bucket] = i
                bucket += 1
        while bucket < 258:
            self.first[bucket] = self.count
            bucket += 1

    def __dealloc__(self):
        free(self.patterns)

    cdef uint8_t number(self, str name):
        return self.names.index(name) if name in self.names else SHAPE_ABSENT

    cdef uint8_t shape_of(self, const uint8_t *body, uint32_t size) noexcept nogil:
        cdef uint32_t at = skip_blanks(body, 0, size), i, last
        cdef frame_t frame
        size = <uint32_t> text_end(body, size)
        if at >= size:
            return SHAPE_BLANK
        # A frame first: function names begin like anything.
        if parse_frame(body, size, &frame):
            return SHAPE_FRAME
        for i in range(self.first[body[at]], self.first[body[at] + 1]):
            if matches(self.patterns[i].text, self.patterns[i].length, body, at, size):
                return <uint8_t> self.patterns[i].shape
        if ruler(body, at, size):
            return SHAPE_RULER
        if words(body, at, size):
            return SHAPE_WORDS
        last = self.first[257]
        for i in range(self.first[256], last):
            if matches(self.patterns[i].text, self.patterns[i].length, body, at, size):
                return <uint8_t> self.patterns[i].shape
        for i in range(last, self.count):
            if contains(body, size, self.patterns[i].text, self.patterns[i].length):
                return <uint8_t> self.patterns[i].shape
        return SHAPE_NONE

    def name(self, const uint8_t[::1] body not None):
        """The shape of one line's message, by name: for tests and rule writers."""
        if body.shape[0] == 0:
            return "blank"
        return self.names[self.shape_of(&body[0], <uint32_t> body.shape[0])]
