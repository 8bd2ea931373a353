"""Group lines into traces.

One pass, no look-ahead. A line comes in with its place, and with the literals that hit in it; out
come closed traces, each with the reason it ended. What the literals mean is the program's say,
what a line looks like is the shapes'; this module decides only who belongs to whom:

  * a *context* is a host, a printk caller and whether lines carry a stamp; reports of other
    contexts are other reports, and their lines are never swallowed;
  * in one context at most one report of each *lane* is open; a start that it does not absorb ends
    it; one-line incidents end nothing and are folded with their like;
  * a line belongs to the open report if a literal or its shape says so. A line that says nothing
    is held, and belongs if the report goes on behind it;
  * after its end line a report still takes follow-ups for a few lines (an oops, then the panic it
    causes).

Everything that ends a trace is a function of the stream alone (lines, offsets, the log's own
clock), never of how it was cut into chunks.

Long because the order of judgement is one decision: its steps share the open reports, and apart
they could not be read against each other.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from tocsin._core.console cimport STATE_PANICKED, console_next, console_step
from tocsin._core.grow cimport bytes_push
from tocsin._core.judge cimport input_t, judge, verdict_t
from tocsin._core.keys cimport hash_bytes, skeleton
from tocsin._core.lines cimport is_blank, memmem
from tocsin._core.prefix cimport CLOCK_KERNEL, ORIGIN_KERNEL, ORIGIN_USER
from tocsin._core.program cimport ROLE_CONTINUE, ROLE_END, Program, console_t, rule_t
from tocsin._core.rivals cimport part_rivals
from tocsin._core.shapes cimport SHAPE_ABSENT, SHAPE_BLANK, SHAPE_NONE
from tocsin._core.shelf cimport shelf_free, shelf_push, shelf_t, shelf_take
from tocsin._core.trace cimport (
    ENDED_BOOT, ENDED_END, ENDED_EVICTED, ENDED_FLUSH, ENDED_GAP, ENDED_LIMIT, ENDED_LINE,
    ENDED_NEXT, ENDED_TIME, LINE_CUT, LINE_END, LINE_START, WEAKER, line_t, lines_push, trace_cut,
    trace_free, trace_new, trace_t,
)
from tocsin._core.types cimport offset_t

cdef enum:
    # Lines behind an end line in which a follow-up is still looked for.
    LINGER_LINES = 8
    # Held lines: more than this in a row are somebody else's.
    HELD_LINES = 24
    # A line of another context counts this much less towards a report's end: with caller ids many
    # tasks print between two lines of one report.
    OTHERS_SHARE = 16
    CONFIDENCE_CERTAIN = 0
    CONFIDENCE_LIKELY = 1
    CONFIDENCE_UNVERIFIED = 2


cdef bint takes(rule_t *rule, trace_t *t, verdict_t *v, uint8_t shape) noexcept nogil:
    """Whether a line belongs to an open report: by a literal, or by its shape."""
    cdef size_t k
    for k in range(v.roles):
        if v.role[k] == ROLE_CONTINUE and <int> v.rule[k] == t.rule:
            return True
    return shape != SHAPE_BLANK and (rule.shapes >> shape) & 1


cdef class Grouper:

    def __cinit__(self, Program program not None):
        self.program = program
        self.begun_rule = -1

    def __dealloc__(self):
        shelf_free(&self.open)
        shelf_free(&self.folds)
        shelf_free(&self.closed)

    cdef void hear_console(self, int row, input_t *line) noexcept nogil:
        cdef console_t *said = &self.program.consoles[row]
        if line.prefix.syslog:
            return  # a central log tells of many machines, not of this console
        if (
            said.state == STATE_PANICKED and not line.prefix.stamped
            and self.stamped_seen >= STAMPED_ENOUGH
        ):
            return  # here the kernel stamps what it says: this is somebody else's text
        if said.new_boot and self.shown_end and line.offset == self.shown_end:
            return  # somebody at the prompt looks at the kernel's log
        if console_step(&self.console, said.state, said.new_boot):
            self.close_host(line.host, ENDED_BOOT)

    cdef void yields(self, input_t *line, trace_t *younger) noexcept nogil:
        """A report began: others of its lane and context end, or wait.

        Two processors may report at once, and where no caller is told their lines come in turns.
        While the younger report goes on it takes them all; see part_rivals for what comes then.
        """
        cdef size_t i = 0
        cdef trace_t *t
        cdef bint told = self.told_apart(younger)
        while i < self.open.used:
            t = self.open.at[i]
            if t == younger or t.lane != younger.lane or not self.same_printer(t, line):
                i += 1
            elif t.ended or t.provisional or t.rival or not (self.told_apart(t) and told):
                i = self.close(&self.open, i, ENDED_NEXT)
            else:
                t.rival = younger.serial
                i += 1

    cdef bint told_apart(self, trace_t *t) noexcept nogil:
        """Whether its reports name their processor."""
        cdef uint8_t identity = self.program.shapes.identity
        return identity != SHAPE_ABSENT and (self.program.rules[t.rule].shapes >> identity) & 1

    cdef size_t settle(self, size_t i) noexcept nogil:
        """Before a report closes: what is whose, if another waits for it or it for another.

        The one that waits closes with it. Returns where the report stands now.
        """
        cdef trace_t *t = self.open.at[i]
        cdef size_t k
        for k in range(self.open.used):
            if t.rival and self.open.at[k].serial == t.rival:
                part_rivals(t, self.open.at[k], self.program.shapes)
        t.rival = 0
        k = 0
        while self.open.at[k] != t:  # who waits for it began earlier, so stands in front
            if self.open.at[k].rival == t.serial:
                k = self.close(&self.open, k, ENDED_NEXT)
            else:
                k += 1
        return k

    cdef bint same_context(self, trace_t *t, input_t *line) noexcept nogil:
        if not self.same_printer(t, line) or t.rival:
            return False
        return (
            not t.provisional or line.prefix.clock != CLOCK_KERNEL
            or line.prefix.time >= t.first_time
        )

    cdef bint same_printer(self, trace_t *t, input_t *line) noexcept nogil:
        cdef uint32_t i
        if t.host != line.host or t.stamped != line.prefix.stamped:
            return False
        if t.caller_kind == line.prefix.caller_kind and t.caller == line.prefix.caller:
            return True
        for i in range(t.alias_count):
            if line.prefix.caller_kind and t.aliases[i] == (
                line.prefix.caller ^ (<uint32_t> line.prefix.caller_kind << 24)
            ):
                return True
        return False

    cdef bint joins(self, trace_t *t, input_t *line, uint8_t *shape, bint *shaped) noexcept nogil:
        """A line of another caller that answers this report's request for backtraces."""
        if (
            not t.any_caller or t.host != line.host or t.stamped != line.prefix.stamped
            or not t.caller_kind or not line.prefix.caller_kind or t.alias_count >= 16
        ):
            return False
        if not shaped[0]:
            shape[0] = self.program.shapes.shape_of(
                line.line + line.prefix.body, line.size - line.prefix.body
            )
            shaped[0] = True
        if shape[0] != self.program.shapes.reply:
            return False
        t.aliases[t.alias_count] = line.prefix.caller ^ (
            <uint32_t> line.prefix.caller_kind << 24
        )
        t.alias_count += 1
        return True

    cdef void take(
        self, trace_t *t, input_t *line, uint8_t shape, uint8_t flags, int rule, bint sure
    ) noexcept nogil:
        cdef line_t row
        if shape == self.program.shapes.request:
            t.any_caller = True
        if flags & LINE_START and rule == t.rule and t.total and not t.folded:
            t.count += 1  # the same again inside it: a storm told as one
        if sure:
            t.total += 1
            t.dropped += t.held_lost  # they belonged, as it turns out
            t.held_lost = 0
            t.foreign = 0
            t.others = 0
            t.last_end = line.offset + line.size
            if line.prefix.clock == t.clock and line.prefix.time > t.last_time:
                t.last_time = line.prefix.time
        if t.lines.used and (
            t.lines.used >= self.limits.trace_lines
            or t.text.used + line.size > self.limits.trace_bytes
        ):
            # Full: only lines that a literal speaks for still find room, in a reserve.
            if not flags or t.text.used + line.size > self.limits.trace_bytes + (
                self.limits.trace_bytes >> 2
            ) or t.lines.used >= self.limits.trace_lines + (self.limits.trace_lines >> 2):
                if not sure:
                    t.held_lost += 1
                else:
                    t.dropped += 1
                    t.sure_lines = t.lines.used
                    t.sure_text = t.text.used
                return
        row.offset = line.offset
        row.at = <uint32_t> t.text.used
        row.length = line.size
        row.body = line.prefix.body
        row.rule = rule
        row.shape = shape
        row.tail = line.tail
        row.flags = flags | (LINE_CUT if line.cut else 0)
        bytes_push(&t.text, line.line, line.size)
        lines_push(&t.lines, row)
        if sure:
            t.sure_lines = t.lines.used
            t.sure_text = t.text.used

    cdef trace_t *begin(self, input_t *line, verdict_t *v) noexcept nogil:
        cdef trace_t *t = trace_new()
        cdef int rule = v.start
        cdef uint32_t n
        if t == NULL:
            self.closed.failed = True
            return NULL
        self.serial += 1
        t.serial = self.serial
        t.rule = rule
        t.weaker = v.weaker
        t.lane = self.program.rules[rule].lane
        if self.program.rules[rule].fold_after.length:
            t.fold_key = self.fold_key(line, rule)
        t.provisional = self.program.rules[rule].provisional
        t.host = line.host
        n = line.prefix.host_end - line.prefix.host
        t.host_size = <uint8_t> (n if n < 64 else 64)
        memcpy(t.host_name, line.line + line.prefix.host, t.host_size)
        t.stamped = line.prefix.stamped
        t.caller_kind = line.prefix.caller_kind
        t.caller = line.prefix.caller
        t.clock = line.prefix.clock
        t.first_time = t.last_time = line.prefix.time
        t.level = line.prefix.level
        t.count = 1
        t.boot = -1 if line.prefix.syslog else self.console.boot
        t.before = self.console.before if self.console.banner else 0
        if (
            line.prefix.stamped or line.prefix.origin == ORIGIN_KERNEL
        ) and not line.prefix.quoted:
            t.confidence = CONFIDENCE_CERTAIN
        elif self.stamped_seen >= STAMPED_ENOUGH and not (
            self.program.rules[rule].origins & ORIGIN_USER
        ):
            t.confidence = CONFIDENCE_UNVERIFIED
        else:
            t.confidence = CONFIDENCE_LIKELY
        return t

    cdef size_t close(self, shelf_t *shelf, size_t i, uint8_t reason) noexcept nogil:
        """Where the next one stands then: others may have had to close with it."""
        cdef trace_t *t
        cdef size_t k, w
        if shelf == &self.open:
            if self.open.at[i].rival and reason in (ENDED_FLUSH, ENDED_GAP, ENDED_TIME):
                reason = ENDED_NEXT  # that is what it was, with hindsight
            i = self.settle(i)
        t = shelf_take(shelf, i)
        trace_cut(t)
        if t.provisional:
            # Nothing took it over. If it took in a start of its own standing, it is that.
            for k in range(t.lines.used):
                if t.lines.at[k].flags & LINE_START and not (
                    self.program.rules[t.lines.at[k].rule].provisional
                ):
                    t.rule = t.lines.at[k].rule
                    for w in range(WEAKER):
                        t.weaker[w] = -1
                    t.provisional = False
                    break
            if t.provisional:
                trace_free(t)
                return i
        t.reason = ENDED_END if t.ended and reason != ENDED_LIMIT else reason
        if t.folded and reason != ENDED_EVICTED:
            t.reason = ENDED_LINE
        if reason == ENDED_EVICTED:
            self.evicted += 1
        shelf_push(&self.closed, t)
        return i

    cdef void close_host(self, uint64_t host, uint8_t reason) noexcept nogil:
        cdef size_t i = 0
        while i < self.open.used:
            if self.open.at[i].host == host:
                i = self.close(&self.open, i, reason)
            else:
                i += 1
        i = 0
        while i < self.folds.used:
            if self.folds.at[i].host == host:
                i = self.close(&self.folds, i, reason)
            else:
                i += 1

    cdef void end_all(self, uint8_t reason) noexcept nogil:
        # In order of opening, reports and folds together.
        while self.open.used or self.folds.used:
            if self.open.used and (
                not self.folds.used or self.open.at[0].serial < self.folds.at[0].serial
            ):
                self.close(&self.open, 0, reason)
            else:
                self.close(&self.folds, 0, reason)

    cdef void expire(self, offset_t now) noexcept nogil:
        """Close what has had no line for too many bytes, in the order in which it fell due."""
        cdef size_t i, which
        cdef offset_t due, first
        cdef int shelf
        while True:
            shelf = 0
            first = now
            which = 0
            for i in range(self.open.used):
                due = self.open.at[i].last_end + self.limits.gap_bytes
                if due < first and not self.open.at[i].rival:
                    first = due
                    which = i
                    shelf = 1
            for i in range(self.folds.used):
                due = self.folds.at[i].last_end + self.limits.fold_bytes
                if due < first:
                    first = due
                    which = i
                    shelf = 2
            if shelf == 0:
                return
            self.close(&self.open if shelf == 1 else &self.folds, which, ENDED_GAP)

    cdef uint64_t fold_key(self, input_t *line, int rule) noexcept nogil:
        """What makes a line a repeat of another: the token its rule names, or all but numbers."""
        cdef rule_t *r = &self.program.rules[rule]
        cdef const uint8_t *body = line.line + line.prefix.body
        cdef uint32_t size = line.size - line.prefix.body, p, q
        cdef const uint8_t *at
        if r.fold_after.length:
            at = <const uint8_t *> memmem(body, size, r.fold_after.at, r.fold_after.length)
            if at != NULL:
                p = <uint32_t> (at - body) + r.fold_after.length
                q = p
                while q < size and not is_blank(body[q]) and body[q] not in (
                    44, 58, 59, 41, 93, 46, 61, 13  # , : ; ) ] . = CR
                ):
                    q += 1
                return hash_bytes(body + p, q - p)
        return skeleton(body, size)

    cdef size_t mildest(self, shelf_t *shelf) noexcept nogil:
        """Which one makes room: a flood of small things must not tear the story of a big one."""
        cdef size_t i, found = 0
        cdef uint8_t severity, most = 0
        for i in range(shelf.used):
            severity = self.program.rules[shelf.at[i].rule].severity
            if severity > most:
                most = severity
                found = i
        return found

    cdef void fold(self, input_t *line, verdict_t *v) noexcept nogil:
        cdef int rule = v.start
        cdef uint64_t key = self.fold_key(line, rule)
        cdef size_t i
        cdef trace_t *t
        for i in range(self.folds.used):
            t = self.folds.at[i]
            if t.rule == rule and t.fold_key == key and t.host == line.host:
                if (
                    t.clock == line.prefix.clock and t.clock
                    and line.prefix.time - t.last_time > self.limits.fold_seconds
                ):
                    self.close(&self.folds, i, ENDED_TIME)
                    break
                t.count += 1
                t.last_end = line.offset + line.size
                if t.lines.used < self.limits.fold_lines:
                    self.take(t, line, SHAPE_NONE, LINE_START, rule, True)
                elif t.clock == line.prefix.clock and line.prefix.time > t.last_time:
                    t.last_time = line.prefix.time
                return
        t = self.begin(line, v)
        if t == NULL:
            return
        t.folded = True
        t.fold_key = key
        self.take(t, line, SHAPE_NONE, LINE_START, rule, True)
        if self.folds.used >= self.limits.folds:
            self.close(&self.folds, self.mildest(&self.folds), ENDED_EVICTED)
        shelf_push(&self.folds, t)

    cdef void pass_by(self, input_t *line, trace_t *taken, bint same) noexcept nogil:
        """Count a line against the reports of its host that did not take it.

        `same`: a line that says nothing weighs fully on the reports of its context; noise and
        one-line incidents, which may come in floods, weigh like another context's.
        """
        cdef size_t i = 0
        cdef trace_t *t
        cdef uint32_t most
        while i < self.open.used:
            t = self.open.at[i]
            if t == taken or t.host != line.host or t.rival:
                i += 1
                continue
            most = LINGER_LINES if t.ended else self.program.rules[t.rule].gap_lines
            # An opening waits while the report that it began in goes on.
            if same and self.same_context(t, line) and not (t.provisional and taken != NULL):
                t.foreign += 1
            else:
                t.others += 1
            if t.foreign > most or t.others > most * OTHERS_SHARE:
                i = self.close(&self.open, i, ENDED_GAP)
            else:
                i += 1

    cdef trace_t *within_limit(self, trace_t *t) noexcept nogil:
        """The report, or NULL if it had too many lines and was closed."""
        cdef size_t i
        if t.total <= self.limits.trace_total:
            return t
        for i in range(self.open.used):
            if self.open.at[i] == t:
                self.close(&self.open, i, ENDED_LIMIT)
                break
        return NULL

    cdef bint continues(self, input_t *line, verdict_t *v) noexcept nogil:
        """Whether any open report of its context takes the line."""
        cdef size_t i
        cdef trace_t *t
        cdef uint8_t shape
        if self.open.used == 0:
            return False
        shape = self.program.shapes.shape_of(
            line.line + line.prefix.body, line.size - line.prefix.body
        )
        for i in range(self.open.used):
            t = self.open.at[i]
            if self.same_context(t, line) and takes(&self.program.rules[t.rule], t, v, shape):
                return True
        return False

    cdef bint stands_twice(self, input_t *line, verdict_t *v) noexcept nogil:
        """Whether the line is the one right before it once more, to the microsecond.

        So is every line of a log that was taken from two consoles at once. It is asked of lines
        that mean something; those of a trace may well repeat.
        """
        cdef uint64_t hashed
        if not line.prefix.stamped or v.noise or (v.start < 0 and v.console < 0):
            return False
        hashed = hash_bytes(line.line, line.size)
        if hashed != self.told or line.offset != self.told_end:
            self.told = hashed
            self.told_end = line.offset + line.size + line.tail
            return False
        self.told_end += line.size + line.tail
        if v.console >= 0:
            self.twofold = True  # nothing boots twice in a microsecond
        # Of one-line incidents the number is what they tell: only in a log that is known to hold
        # every line twice is the second not one more.
        return v.start < 0 or self.twofold or self.program.rules[v.start].report

    cdef bint said_before(self, input_t *line, verdict_t *v) noexcept nogil:
        """Whether the line's start is the last one once more, as printk has announced it.

        A console that another processor takes over in the middle of a record is given the whole
        record again, with the stamp it had: the first other stamp, too, ends the replay.
        """
        if v.replay:
            self.replayed = True
            self.shown_end = line.offset + line.size + line.tail
        if not line.prefix.stamped or v.noise:
            return False
        if line.prefix.clock != CLOCK_KERNEL or line.prefix.time != self.begun_time:
            self.replayed = False
        if v.start < 0:
            return False
        if self.replayed and v.start == self.begun_rule:
            self.replayed = False
            return True
        self.begun_rule = v.start
        self.begun_time = line.prefix.time
        return False

    cdef void line(self, input_t *line) noexcept nogil:
        cdef verdict_t v
        cdef size_t i, k
        cdef trace_t *t
        cdef trace_t *taken = NULL
        cdef trace_t *holder = NULL
        cdef trace_t *opening = NULL
        cdef rule_t *rule
        cdef uint8_t shape = SHAPE_NONE
        cdef bint shaped = False
        line.host = 0
        if line.prefix.host_end > line.prefix.host:
            line.host = hash_bytes(
                line.line + line.prefix.host, line.prefix.host_end - line.prefix.host
            )
        if line.prefix.stamped:
            self.stamped_seen += 1
        self.expire(line.offset)
        judge(self.program, line, &v)
        if self.stands_twice(line, &v):
            return
        if self.said_before(line, &v):
            v.start = -1
        console_next(&self.console)
        if v.console >= 0 and not v.noise:
            self.hear_console(v.console, line)
        # The log's own clock: a long silence ends a report.
        i = 0
        while i < self.open.used:
            t = self.open.at[i]
            if (
                t.host == line.host and t.clock and t.clock == line.prefix.clock
                and line.prefix.time - t.last_time > self.program.rules[t.rule].gap_seconds
                and not t.rival
            ):
                i = self.close(&self.open, i, ENDED_TIME)
            else:
                i += 1
        # (1) The end of an open report, before noise and before starts: the end line of a panic
        # holds the panic's own start.
        for i in range(self.open.used):
            t = self.open.at[i]
            if not self.same_context(t, line):
                continue
            for k in range(v.roles):
                if v.role[k] == ROLE_END and <int> v.rule[k] == t.rule:
                    taken = t
                    break
            if taken != NULL:
                shape = self.program.shapes.shape_of(
                    line.line + line.prefix.body, line.size - line.prefix.body
                )
                self.take(t, line, shape, LINE_END, -1, True)
                t.ended = True
                self.pass_by(line, self.within_limit(taken), True)
                return
        # (2) Noise starts nothing and belongs to nobody.
        if v.noise:
            self.pass_by(line, NULL, False)
            return
        # (3) Starts. A level alone starts nothing where an open report takes the line: all lines
        # of an oops may be printed at the level of its first.
        if v.start >= 0 and not (v.by_level and self.continues(line, &v)):
            rule = &self.program.rules[v.start]
            for i in range(self.open.used):
                t = self.open.at[self.open.used - 1 - i]
                if not self.same_context(t, line):
                    continue
                if t.provisional and rule.report and not rule.provisional and rule.lane == t.lane:
                    t.rule = v.start  # takes over: the lines so far are its opening
                    t.weaker = v.weaker
                    t.provisional = False
                    t.count = 0  # counted again by its own start
                    taken = t
                    self.yields(line, t)
                    break
                if t.provisional and not rule.report:
                    taken = t
                    break
                if self.program.does_absorb(t.rule, v.start) or (
                    # The same report again about the same thing: a storm is told as one.
                    t.rule == v.start and t.fold_key and t.fold_key == self.fold_key(line, v.start)
                ):
                    taken = t
                    break
            if taken != NULL:
                shape = self.program.shapes.shape_of(
                    line.line + line.prefix.body, line.size - line.prefix.body
                )
                self.take(taken, line, shape, LINE_START, v.start, True)
                self.pass_by(line, self.within_limit(taken), True)
                return
            if not rule.report:
                self.fold(line, &v)
                self.pass_by(line, NULL, False)
                return
            t = self.begin(line, &v)
            if t == NULL:
                return
            if not t.provisional:  # what it is, if anything, its own start will say
                self.yields(line, t)
            self.take(t, line, SHAPE_NONE, LINE_START, v.start, True)
            self.pass_by(line, NULL, False)
            if self.open.used >= self.limits.traces:
                self.close(&self.open, self.mildest(&self.open), ENDED_EVICTED)
            shelf_push(&self.open, t)
            return
        if self.open.used == 0:
            return
        # (4) Continuation: a literal, or the shape; the latest report of the context first.
        for i in range(self.open.used):
            t = self.open.at[self.open.used - 1 - i]
            if not self.same_context(t, line):
                if not self.joins(t, line, &shape, &shaped):
                    continue
            if not shaped:
                shape = self.program.shapes.shape_of(
                    line.line + line.prefix.body, line.size - line.prefix.body
                )
                shaped = True
            if takes(&self.program.rules[t.rule], t, &v, shape):
                # Before a report's own start come a few words, none of which has a shape: what
                # has one may be the rest of the report before.
                if t.provisional and opening == NULL:
                    opening = t
                    continue
                taken = t
                break
            if holder == NULL and (
                t.foreign <= HELD_LINES if shape == SHAPE_BLANK
                else t.foreign < HELD_LINES and not t.ended
            ):
                holder = t
            if shape == SHAPE_BLANK:
                break
        if taken == NULL:
            taken = opening
        if taken != NULL:
            self.take(taken, line, shape, 0, -1, True)
        # Nobody's so far: the latest report holds it, in case it goes on behind it.
        if taken == NULL and holder != NULL:
            self.take(holder, line, shape, 0, -1, False)
        if taken != NULL:
            taken = self.within_limit(taken)
        self.pass_by(line, taken, True)
