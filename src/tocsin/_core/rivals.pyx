"""Two reports at once where no caller is told.

Two processors may report at the same time, and their lines come in turns. While that goes on the
younger report takes every line; when one of the two is closed, this tells whose they were, with all
of them at hand:

  * by the kernel's clock, where it is coarse or one processor's lines wait: a line that is older
    than the younger report is the older report's;
  * else by who speaks and by order. Any report names its processor once (`CPU: 1 PID: 94`) before
    its registers and its backtrace, and has each kind of line in the same order. What the older
    still lacked when the other began, and what the younger has already, is the older's.

Without a sign of two reports nothing moves: the older one was cut off.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memmove, memset

from tocsin._core.grow cimport bytes_push
from tocsin._core.keys cimport hash_bytes
from tocsin._core.lines cimport is_blank, is_digit
from tocsin._core.prefix cimport CLOCK_KERNEL, parse_prefix, prefix_t
from tocsin._core.shapes cimport SHAPE_BLANK, SHAPE_FRAME, SHAPE_WORDS, Shapes
from tocsin._core.trace cimport LINE_END, LINE_START, line_t, lines_push, trace_cut, trace_t

cdef enum:
    # Kinds of lines remembered of one report; two reports have some 40 each.
    KEYS = 96
    NOBODY = -1

# Seconds between the last line of the one and the first of the other, at most, if both go on. A
# slow serial line takes a hundredth for one.
cdef double AT_ONCE = 0.1


# How far a report has come.
cdef struct side_t:
    int64_t cpu             # NOBODY: not told yet
    int64_t pid
    bint identified         # its identity line was there
    bint traced             # the head of its backtrace was there
    bint over               # its backtrace has ended
    uint64_t keys[KEYS]     # lines it has had, but for frames
    uint32_t key_count


cdef int64_t number_behind(
    const uint8_t *s, uint32_t size, const char *upper, uint32_t length
) noexcept nogil:
    """The number behind a word, in any case: `CPU: 1`, `CPU#1`, `on cpu 1`; NOBODY if none."""
    cdef uint32_t i, k
    cdef int64_t number
    for i in range(size):
        if i and (s[i - 1] | 32) >= 97 and (s[i - 1] | 32) <= 122:
            continue
        k = 0
        while k < length and i + k < size and (s[i + k] & 0xDF) == upper[k]:
            k += 1
        if k < length:
            continue
        k += i
        while k < size and (s[k] == 35 or s[k] == 58 or s[k] == 32):  # '#', ':', ' '
            k += 1
        if k == i + length or k >= size or not is_digit(s[k]):
            continue
        number = 0
        while k < size and is_digit(s[k]) and number < 100000000:
            number = number * 10 + (s[k] - 48)
            k += 1
        return number
    return NOBODY


cdef bint same(const side_t *a, const side_t *b) noexcept nogil:
    if a.cpu >= 0 and b.cpu >= 0:
        return a.cpu == b.cpu
    return a.pid >= 0 and a.pid == b.pid


cdef bint known(const side_t *a) noexcept nogil:
    return a.cpu >= 0 or a.pid >= 0


cdef void who(const trace_t *t, const line_t *line, side_t *out) noexcept nogil:
    """The processor and task that a line names."""
    cdef const uint8_t *body = t.text.at + line.at + line.body
    cdef uint32_t size = line.length - line.body
    out.cpu = number_behind(body, size, "CPU", 3)
    out.pid = number_behind(body, size, "PID", 3)


cdef uint64_t key_of(const trace_t *t, const line_t *line) noexcept nogil:
    """What a line is a case of: its shape and its first word."""
    cdef const uint8_t *body = t.text.at + line.at + line.body
    cdef uint32_t size = line.length - line.body, start = 0, end
    while start < size and is_blank(body[start]):
        start += 1
    end = start
    while end < size and end - start < 24 and not is_blank(body[end]) and body[end] != 58:
        end += 1
    return hash_bytes(body + start, end - start) ^ line.shape


cdef bint has(const side_t *side, uint64_t key) noexcept nogil:
    cdef uint32_t i
    for i in range(side.key_count):
        if side.keys[i] == key:
            return True
    return False


cdef bint in_backtrace(uint8_t shape, Shapes shapes) noexcept nogil:
    return shape == SHAPE_FRAME or shape == SHAPE_WORDS or shape == shapes.marker


cdef bint ends_backtrace(const trace_t *t, const line_t *line, Shapes shapes) noexcept nogil:
    """Of a task: behind an interrupt's frames others follow."""
    cdef const uint8_t *body = t.text.at + line.at + line.body
    cdef uint32_t size = line.length - line.body, i = 0
    if line.shape != shapes.marker:
        return False
    while i < size and is_blank(body[i]):
        i += 1
    return size - i >= 3 and body[i] == 60 and body[i + 1] == 47 and body[i + 2] == 84  # </T


cdef void note(side_t *side, const trace_t *t, const line_t *line, Shapes shapes) noexcept nogil:
    """The report has got this line."""
    cdef side_t named
    cdef uint64_t key
    if line.shape == shapes.identity or line.flags & LINE_START:
        who(t, line, &named)
        if side.cpu < 0:
            side.cpu = named.cpu
        if side.pid < 0:
            side.pid = named.pid
    if line.shape == shapes.identity:
        side.identified = True
    elif line.shape == shapes.head:
        side.traced = True
    if line.flags & LINE_END or ends_backtrace(t, line, shapes) or (
        # The registers of user space stand behind the last frame.
        side.traced and (line.shape == shapes.registers or line.shape == shapes.code)
    ):
        side.over = True
    if line.shape != SHAPE_FRAME and line.shape != SHAPE_WORDS and side.key_count < KEYS:
        key = key_of(t, line)
        if not has(side, key):
            side.keys[side.key_count] = key
            side.key_count += 1


cdef size_t own_start(const trace_t *t) noexcept nogil:
    cdef size_t k
    for k in range(t.sure_lines):
        if t.lines.at[k].flags & LINE_START and t.lines.at[k].rule == t.rule:
            return k
    return 0


cdef size_t first_of(const trace_t *t, size_t start, size_t end, uint8_t shape) noexcept nogil:
    while start < end and t.lines.at[start].shape != shape:
        start += 1
    return start


cdef bint traced_twice(const trace_t *t, size_t start, size_t end, Shapes shapes) noexcept nogil:
    """Whether one processor is named and two backtraces begin alike."""
    cdef size_t identity = first_of(t, start, end, shapes.identity)
    cdef size_t head = first_of(t, start, end, shapes.head), other
    if head == end or first_of(t, identity + 1, end, shapes.identity) < end:
        return False
    other = first_of(t, head + 1, end, shapes.head)
    while other < end and key_of(t, &t.lines.at[other]) != key_of(t, &t.lines.at[head]):
        other = first_of(t, other + 1, end, shapes.head)
    return other < end


cdef size_t runs_of_frames(const trace_t *t, size_t start, size_t end) noexcept nogil:
    """Frames in turns with other lines. In one run they may be the report's own: where a page was
    allocated, where preemption was switched off."""
    cdef size_t runs = 0, at = first_of(t, start, end, SHAPE_FRAME)
    while at < end:
        runs += 1
        while at < end and t.lines.at[at].shape == SHAPE_FRAME:
            at += 1
        at = first_of(t, at, end, SHAPE_FRAME)
    return runs


cdef bint two_at_once(
    side_t *older, side_t *younger, const trace_t *before, const trace_t *t, size_t start,
    size_t end, Shapes shapes
) noexcept nogil:
    """Whether the younger's lines [start, end) show that the older report goes on in them.

    Fills in whose processor is whose, where only the two together tell.
    """
    cdef size_t i, identity = first_of(t, start, end, shapes.identity), head
    cdef uint8_t last = before.lines.at[before.sure_lines - 1].shape
    cdef side_t first, named
    if identity == end or older.over:
        return False
    if older.identified:
        # Before a report's own identity come none of these: they are of the other's.
        head = first_of(t, start, end, shapes.head)
        if not older.traced:
            return (
                first_of(t, start, identity, shapes.code) < identity
                or traced_twice(t, start, end, shapes)
            )
        return (
            (last == shapes.head or in_backtrace(last, shapes))
            and head < end and identity < head
            and runs_of_frames(t, start, identity) > 1
        )
    if t.any_caller:
        return False  # other processors answer, by request: not a report of their own
    who(t, &t.lines.at[identity], &first)
    for i in range(identity, end):
        if t.lines.at[i].shape != shapes.identity:
            continue
        who(t, &t.lines.at[i], &named)
        if not known(&named):
            continue
        if known(older) and known(younger):
            if same(older, &named) and not same(younger, &named):
                return True
        elif known(older):
            if not same(older, &named):
                continue
            # Both may have run there, one after the other: another must speak as well.
            for head in range(start, end):
                if t.lines.at[head].shape == shapes.identity:
                    who(t, &t.lines.at[head], &first)
                    if known(&first) and not same(older, &first):
                        return True
            return False
        elif known(younger):
            if not same(younger, &named):
                older.cpu = named.cpu
                older.pid = named.pid
                return True
        elif not same(&first, &named):
            older.cpu = first.cpu
            older.pid = first.pid
            younger.cpu = named.cpu
            younger.pid = named.pid
            return True
    return False


# Which of two takes a line, and how the lines came so far.
cdef struct turns_t:
    bint last               # whose the last line was: True the older's
    uint32_t turns
    uint32_t lines


cdef bint is_olders(
    const side_t *older, const side_t *younger, turns_t *so_far, const trace_t *t,
    const line_t *line, Shapes shapes
) noexcept nogil:
    cdef side_t named
    cdef bint a, b
    cdef uint64_t key
    if line.shape <= SHAPE_BLANK and not line.flags:
        return so_far.last
    if line.shape == shapes.identity:
        who(t, line, &named)
        if older.identified or not known(&named):
            return False
        return same(older, &named) or younger.identified
    a = older.traced and not older.over
    b = younger.traced and not younger.over
    if in_backtrace(line.shape, shapes) and a != b:
        return a
    if line.shape != SHAPE_FRAME and line.shape != SHAPE_WORDS:
        if older.identified != younger.identified and (
            line.shape == shapes.registers or line.shape == shapes.code
            or line.shape == shapes.head
        ):
            return older.identified
        key = key_of(t, line)
        if has(older, key) != has(younger, key):
            return has(younger, key)
        if has(older, key):
            if older.over != younger.over:
                return younger.over
        elif a != b:  # in a backtrace there is nothing but its frames
            return b
        elif older.key_count != younger.key_count:  # the one that is ahead comes to it first
            return older.key_count > younger.key_count
    elif not a and not b:
        return False
    # Either may be. They come in turns, or each in bursts while the other waits.
    return so_far.last ^ (so_far.turns * 2 > so_far.lines)


cdef void give(trace_t *older, trace_t *younger, const uint8_t *moves, size_t count) noexcept nogil:
    """Move the marked lines, of the first `count`, from one to the other."""
    cdef size_t k, kept = 0, used = 0
    cdef line_t line
    cdef prefix_t prefix
    trace_cut(older)
    for k in range(younger.lines.used):
        line = younger.lines.at[k]
        if k < count and moves[k]:
            parse_prefix(younger.text.at + line.at, line.length, &prefix)
            if prefix.clock == older.clock and prefix.time > older.last_time:
                older.last_time = prefix.time
            older.last_end = line.offset + line.length
            older.ended = older.ended or line.flags & LINE_END
            older.total += 1
            younger.total -= 1
            line.at = <uint32_t> older.text.used
            bytes_push(&older.text, younger.text.at + younger.lines.at[k].at, line.length)
            lines_push(&older.lines, line)
            continue
        memmove(younger.text.at + used, younger.text.at + line.at, line.length)
        line.at = <uint32_t> used
        used += line.length
        younger.lines.at[kept] = line
        kept += 1
    younger.sure_lines -= younger.lines.used - kept
    younger.lines.used = kept
    younger.text.used = used
    line = younger.lines.at[younger.sure_lines - 1]  # its own start at least stays
    younger.sure_text = line.at + line.length
    older.sure_lines = older.lines.used
    older.sure_text = older.text.used


cdef void part_rivals(trace_t *older, trace_t *younger, Shapes shapes) noexcept nogil:
    cdef size_t k, start = own_start(younger) + 1, end = start, moved = 0
    cdef uint8_t *moves
    cdef side_t a, b
    cdef turns_t so_far
    cdef prefix_t prefix
    cdef bint olders, apart
    cdef line_t *line
    # Behind a start that the younger took in, all is its own.
    while end < younger.sure_lines and not younger.lines.at[end].flags & LINE_START:
        end += 1
    moves = <uint8_t *> malloc(younger.sure_lines + 1)
    if moves == NULL:
        older.lines.failed = True
        return
    for k in range(younger.sure_lines):
        moves[k] = 0
        line = &younger.lines.at[k]
        if k >= start and older.clock == CLOCK_KERNEL and younger.clock == CLOCK_KERNEL:
            parse_prefix(younger.text.at + line.at, line.length, &prefix)
            moves[k] = (
                prefix.clock == CLOCK_KERNEL
                and older.first_time <= prefix.time < younger.first_time
            )
            moved += moves[k]
    if moved == 0:
        memset(&a, 0, sizeof(side_t))
        memset(&b, 0, sizeof(side_t))
        a.cpu = a.pid = b.cpu = b.pid = NOBODY
        for k in range(older.sure_lines):
            note(&a, older, &older.lines.at[k], shapes)
        for k in range(start):
            note(&b, younger, &younger.lines.at[k], shapes)
        apart = older.clock == younger.clock and older.clock and (
            younger.first_time - older.last_time > AT_ONCE
        )
        if not apart and two_at_once(&a, &b, older, younger, start, end, shapes):
            so_far = turns_t(False, 1, 1)
            for k in range(start, end):
                line = &younger.lines.at[k]
                olders = is_olders(&a, &b, &so_far, younger, line, shapes) and (
                    # It is the end of reports of the younger's rule.
                    not line.flags & LINE_END or older.rule == younger.rule
                )
                note(&a if olders else &b, younger, line, shapes)
                so_far.turns += olders != so_far.last
                so_far.lines += 1
                so_far.last = olders
                moves[k] = olders
                moved += olders
    if moved:
        give(older, younger, moves, younger.sure_lines)
    free(moves)
