"""A ruleset as the core sees it: literals with roles, rules as rows of numbers.

Built once from plain Python values by the rule loader, immutable afterwards and shared by every
stream. It holds no meaning: a rule here is a set of shapes, an origin, a lane and limits.
"""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from tocsin._core.automaton cimport Automaton
from tocsin._core.shapes cimport Shapes


cdef void *zeroed(size_t count, size_t size) except NULL:
    cdef void *at = calloc(count + 1, size)
    if at == NULL:
        raise MemoryError
    return at


def waking_literals(entries):
    """How many literals, the first ones, wake; ValueError if one comes behind one that does not."""
    roles = (ROLE_START, ROLE_CONSOLE, ROLE_REPLAY)
    wakes = [any(row[0] in roles for row in rows) for rows in entries]
    count = sum(wakes)
    if not all(wakes[:count]):
        raise ValueError(f"literal {wakes.index(False)} wakes nobody, a later one does")
    return count


cdef class Program:
    """`literals`: the automaton's patterns. `entries`: per literal a list of
    (role, rule, anchor, also, not, weight). `rules`: per rule a dict with the keys of rule_t plus
    `absorbs` and `mutes` (rule numbers). `consoles`: (state, new_boot) rows. `shapes`: see Shapes.
    `fingerprint`: 16 bytes that change with the ruleset; a snapshot is bound to it. `plans`,
    `waking_plans`: of the literals and of those that wake, made ahead.

    Literals that wake (a start, a change of the console's state, a replay) come first.
    """

    def __cinit__(
        self, literals, entries, rules, consoles, shapes, bytes fingerprint not None, plans=(),
        waking_plans=()
    ):
        cdef uint32_t i, n, at
        cdef entry_t *entry
        cdef rule_t *rule
        cdef size_t bits
        if len(literals) != len(entries):
            raise ValueError(f"{len(literals)} literals, {len(entries)} lists of entries")
        if len(fingerprint) != 16:
            raise ValueError(f"fingerprint of {len(fingerprint)} bytes, expected 16")
        self.automaton = Automaton(literals, plans=plans)
        n = waking_literals(entries)
        self.automaton.lead(n, waking_plans)
        self.shapes = Shapes(shapes)
        self.fingerprint = fingerprint
        self.rule_count = len(rules)
        self.keep = []
        n = sum(len(rows) for rows in entries)
        self.entry_first = <uint32_t *> zeroed(len(entries) + 1, sizeof(uint32_t))
        self.entries = <entry_t *> zeroed(n, sizeof(entry_t))
        n = sum(len(row[3]) + len(row[4]) for rows in entries for row in rows)
        self.texts = <text_t *> zeroed(n, sizeof(text_t))
        self.rules = <rule_t *> zeroed(self.rule_count, sizeof(rule_t))
        self.consoles = <console_t *> zeroed(len(consoles), sizeof(console_t))
        bits = (<size_t> self.rule_count * self.rule_count >> 3) + 1
        self.absorbs = <uint8_t *> zeroed(bits, 1)
        self.mutes = <uint8_t *> zeroed(bits, 1)
        n = 0
        at = 0
        for i, rows in enumerate(entries):
            self.entry_first[i] = n
            for role, number, anchor, also, without, weight in rows:
                if role == ROLE_CONSOLE:
                    if number >= len(consoles):
                        raise ValueError(f"literal {i}: no console row {number}")
                elif number >= self.rule_count:
                    raise ValueError(f"literal {i}: no rule {number}")
                entry = &self.entries[n]
                entry.role = role
                entry.rule = number
                entry.anchor = anchor
                entry.weight = weight
                entry.also = at
                for text in also:
                    self.put_text(&self.texts[at], text)
                    at += 1
                entry.also_end = at
                for text in without:
                    self.put_text(&self.texts[at], text)
                    at += 1
                entry.not_end = at
                n += 1
        self.entry_first[len(entries)] = n
        for i, row in enumerate(rules):
            rule = &self.rules[i]
            rule.shapes = row["shapes"]
            rule.origins = row["origins"]
            rule.lane = row["lane"]
            rule.severity = row["severity"]
            rule.report = row["report"]
            rule.provisional = row["provisional"]
            rule.gap_lines = row["lines"]
            rule.gap_seconds = row["seconds"]
            rule.mutes_all = row["mutes"] is None
            self.put_text(&rule.fold_after, row["fold_after"])
            for other in row["absorbs"]:
                self.set_bit(self.absorbs, i, other)
            for other in row["mutes"] or ():
                self.set_bit(self.mutes, i, other)
        for i, (state, new_boot) in enumerate(consoles):
            self.consoles[i].state = state
            self.consoles[i].new_boot = new_boot

    cdef void set_bit(self, uint8_t *table, uint32_t a, uint32_t b):
        table[(a * self.rule_count + b) >> 3] |= 1 << ((a * self.rule_count + b) & 7)

    cdef int put_text(self, text_t *out, bytes text) except -1:
        self.keep.append(text)  # the bytes object owns what out.at points to
        out.at = <const uint8_t *> text
        out.length = len(text)
        return 0

    def __dealloc__(self):
        free(self.entry_first)
        free(self.entries)
        free(self.texts)
        free(self.rules)
        free(self.consoles)
        free(self.absorbs)
        free(self.mutes)

    @property
    def literals(self):
        return self.automaton.patterns
