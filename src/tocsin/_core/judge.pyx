"""What the literals that hit in a line say about it.

A hit is a literal at a place; a rule's entry for it adds where it must stand, what else the line
must hold, and who must have printed it. Out comes one verdict: noise or not, the one start that
wins (rank, then length) and those behind it, which rules it may continue or end, what it says of
the console.
"""

from libc.stdint cimport uint8_t, uint32_t

from tocsin._core.lines cimport contains, is_blank, is_digit, is_word
from tocsin._core.prefix cimport ORIGIN_KERNEL, ORIGIN_USER, carries
from tocsin._core.program cimport (
    ANCHOR_BODY, ANCHOR_END, ANCHOR_HEAD, ANCHOR_LEVEL, ANCHOR_PROMPT, ANCHOR_WORD, ROLE_CONSOLE,
    ROLE_NOISE, ROLE_REPLAY, ROLE_START, Program, entry_t, text_t,
)
from tocsin._core.shapes cimport message_end
from tocsin._core.trace cimport WEAKER
from tocsin._core.types cimport hit_t

cdef enum:
    # Hits of one line that are looked at: a line with more is not a message of anybody, and
    # checking each against the whole line would cost the square of its length.
    MOST_HITS = 512
    MOST_STARTS = 32
    MOST_NOISES = 8
    # The longest host name DNS knows.
    MOST_HOST = 253
    # What a chat lets a name be, with its mark of rank.
    MOST_NICK = 40


cdef struct start_t:
    int rule                # -1: silenced, or in its place already
    int weight
    bint by_level


cdef bint in_sentence(const uint8_t *s, uint32_t body, uint32_t start) noexcept nogil:
    """Whether s[start] goes on with a sentence: a word or a quotation mark stands in front of it.

    What drivers and programs put before a message ends in a colon, a bracket, a dot, and a line
    that was cut off in no blank. `<name> ` is how chats say who speaks. A literal that begins with
    no letter says itself what goes before.
    """
    cdef uint32_t p = start, q
    cdef uint8_t c = s[start] | 32
    if not 97 <= c <= 122:
        return False
    while True:
        q = p
        while p > body and is_blank(s[p - 1]):
            p -= 1
        if p == body:
            return False
        c = s[p - 1]
        if c in (34, 39, 96):
            # The string that holds the message of a line has been opened by one.
            return c != 34 or p < q or not carries(s, body, p - 1)
        if (p < q and (97 <= c <= 122 or c == 44)) or (p == q and c in (40, 61, 91, 123)):
            return True
        if c == 46 and p < q and p - body <= 3 and is_digit(s[body]) and is_digit(s[p - 2]):
            return True  # `1. ` of a list
        if c != 58:
            break
        # `BUG: ` and its like belong to the message, whether the literal has them or not.
        q = p - 1
        while q > body and 65 <= s[q - 1] <= 90:
            q -= 1
        if q == p - 1:
            return False
        p = q
    if c != 62:
        return False
    q = p - 1
    while q > body and p - q < MOST_NICK and s[q - 1] > 32 and s[q - 1] not in (60, 62):
        q -= 1
    return q > body and q < p - 1 and s[q - 1] == 60 and not 48 <= s[q] <= 57


cdef struct quotes_t:
    uint32_t at             # how far the line has been read
    bint json
    bint odd
    bint carried            # the string that is open holds the message of the line
    bint inside             # of a JSON object: a string that is not the value of a key


cdef bint in_quotes(input_t *line, quotes_t *quotes, uint32_t start) noexcept nogil:
    """Whether a program or a process's argument says it: an odd number of `"` stands in front.

    A line that is a JSON object carries a message as the value of a key: there the quotation marks
    inside of it count, which have a backslash before them, and strings that stand in a list. Hits
    come nearly in their order, so the line is read about once.
    """
    cdef const uint8_t *s = line.line
    cdef uint32_t i, p
    if start < quotes.at or quotes.at == 0:
        i = line.prefix.body
        quotes.odd = False
        quotes.carried = False
        quotes.json = False
        quotes.inside = False
        if i == 0:
            while i < start and is_blank(s[i]):
                i += 1
            quotes.json = i < start and s[i] == 123
        quotes.at = i
    for i in range(quotes.at, start):
        if s[i] != 34:
            continue
        if not quotes.json or s[i - 1] == 92:
            quotes.odd = not quotes.odd
            if quotes.odd and not quotes.json and (i == line.prefix.body or s[i - 1] != 34):
                quotes.carried = carries(s, line.prefix.body, i)
            continue
        p = i
        while s[p - 1] == 32:  # the brace stops it
            p -= 1
        quotes.inside = s[p - 1] in (44, 91, 123) or (quotes.inside and s[p - 1] != 58)
    if start > quotes.at:
        quotes.at = start
    return (quotes.odd and not quotes.carried) or quotes.inside


cdef bint entry_holds(Program program, input_t *line, hit_t hit, uint32_t entry) noexcept nogil:
    cdef entry_t *e = &program.entries[entry]
    cdef uint32_t start = hit.start - line.base, end = hit.end - line.base, i
    cdef const uint8_t *s = line.line
    cdef text_t *text
    if e.anchor == ANCHOR_LEVEL:
        # The level itself is the literal: it stands in the prefix, and only the kernel's own
        # word counts.
        return (
            start < line.prefix.body and 0 <= line.prefix.level <= 2
            and line.prefix.origin == ORIGIN_KERNEL
        )
    if start < line.prefix.body:
        # A literal may begin with the blank that the prefix took: the body is what counts.
        if start + 1 < line.prefix.body or e.anchor == ANCHOR_WORD:
            return False
    if e.anchor == ANCHOR_BODY:
        i = line.prefix.body
        while i < start and is_blank(s[i]):
            i += 1
        if i < start:
            return False
    elif e.anchor == ANCHOR_WORD:
        if start > line.prefix.body and is_word(s[start - 1]):
            return False
    elif e.anchor == ANCHOR_HEAD:
        if start > line.prefix.body and in_sentence(s, line.prefix.body, start):
            return False
    elif e.anchor == ANCHOR_END:
        if end < line.trimmed:
            return False
    elif e.anchor == ANCHOR_PROMPT:
        # `<host> login:` and nothing else in front; a name typed behind it is no matter.
        if line.prefix.syslog or line.prefix.stamped:
            return False
        if start == line.prefix.body or start - line.prefix.body > MOST_HOST:
            return False
        for i in range(line.prefix.body, start):
            if not (is_word(s[i]) or s[i] in (45, 46, 40, 41)):  # (none): no name set yet
                return False
    for i in range(e.also, e.also_end):
        text = &program.texts[i]
        if not contains(s, line.size, text.at, text.length):
            return False
    for i in range(e.also_end, e.not_end):
        text = &program.texts[i]
        if contains(s, line.size, text.at, text.length):
            return False
    return True


cdef size_t begins(
    start_t *starts, size_t count, int rule, int weight, bint by_level
) noexcept nogil:
    """One more start of a line, or one of a rule that is among them already; their number."""
    cdef size_t i
    for i in range(count):
        if starts[i].rule == rule:
            if weight > starts[i].weight:
                starts[i].weight = weight
                starts[i].by_level = by_level
            return count
    if count < MOST_STARTS:
        starts[count] = start_t(rule, weight, by_level)
        count += 1
    return count


cdef void rank(verdict_t *out, start_t *starts, size_t count) noexcept nogil:
    """The strongest start wins, the next ones wait behind it. Of equals the first."""
    cdef size_t place, i
    cdef start_t *best
    for place in range(WEAKER + 1):
        best = NULL
        for i in range(count):
            if starts[i].rule >= 0 and (best == NULL or starts[i].weight > best.weight):
                best = &starts[i]
        if best == NULL:
            return
        if place == 0:
            out.start = best.rule
            out.by_level = best.by_level
        else:
            out.weaker[place - 1] = best.rule
        best.rule = -1


cdef void judge(Program program, input_t *line, verdict_t *out) noexcept nogil:
    cdef size_t i, k
    cdef uint32_t e
    cdef entry_t *entry
    cdef start_t starts[MOST_STARTS]
    cdef size_t start_count = 0
    cdef int noises[MOST_NOISES]
    cdef size_t noise_count = 0
    cdef bint muted
    cdef quotes_t quotes
    quotes.at = 0
    quotes.json = quotes.odd = quotes.inside = False
    out.noise = False
    out.replay = False
    out.start = -1
    out.by_level = False
    for i in range(WEAKER):
        out.weaker[i] = -1
    out.roles = 0
    out.console = -1
    line.trimmed = line.prefix.body + <uint32_t> message_end(
        line.line + line.prefix.body, line.size - line.prefix.body
    )
    for i in range(line.hit_count if line.hit_count < MOST_HITS else MOST_HITS):
        if line.hits[i].start < line.base:
            continue  # it began in the message before, on the same line of the terminal
        for e in range(
            program.entry_first[line.hits[i].pattern],
            program.entry_first[line.hits[i].pattern + 1],
        ):
            entry = &program.entries[e]
            if entry.role == ROLE_START:
                if not (program.rules[entry.rule].origins & line.prefix.origin):
                    continue
                if line.prefix.tagged and not (program.rules[entry.rule].origins & ORIGIN_USER):
                    continue
                if not (program.rules[entry.rule].origins & ORIGIN_USER) and in_quotes(
                    line, &quotes, line.hits[i].start - line.base
                ):
                    continue
                if entry_holds(program, line, line.hits[i], e):
                    start_count = begins(
                        starts, start_count, entry.rule, entry.weight, entry.anchor == ANCHOR_LEVEL
                    )
            elif entry.role == ROLE_NOISE:
                if noise_count < MOST_NOISES and entry_holds(program, line, line.hits[i], e):
                    noises[noise_count] = entry.rule
                    noise_count += 1
            elif entry.role == ROLE_REPLAY:
                out.replay = out.replay or entry_holds(program, line, line.hits[i], e)
            elif entry.role == ROLE_CONSOLE:
                if line.prefix.origin != ORIGIN_USER and (
                    entry_holds(program, line, line.hits[i], e)
                ):
                    out.console = entry.rule
            elif out.roles < 32 and entry_holds(program, line, line.hits[i], e):
                out.rule[out.roles] = entry.rule
                out.role[out.roles] = entry.role
                out.roles += 1
    for k in range(noise_count):
        if program.rules[noises[k]].mutes_all:
            out.noise = True
    for i in range(start_count):
        muted = out.noise
        for k in range(noise_count):
            muted = muted or program.does_mute(noises[k], starts[i].rule)
        if muted:
            starts[i].rule = -1
    rank(out, starts, start_count)
    # Noise that silenced the only start of a line leaves nothing of it.
    if start_count and out.start < 0 and noise_count:
        out.noise = True
