from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from tocsin._core.automaton cimport Automaton
from tocsin._core.shapes cimport Shapes

cdef enum role_t:
    ROLE_START = 0
    ROLE_CONTINUE = 1
    ROLE_END = 2
    ROLE_NOISE = 3
    ROLE_CONSOLE = 4
    ROLE_REPLAY = 5

cdef enum anchor_t:
    ANCHOR_ANY = 0
    ANCHOR_BODY = 1
    ANCHOR_WORD = 2
    ANCHOR_END = 3
    ANCHOR_PROMPT = 4
    ANCHOR_LEVEL = 5
    ANCHOR_HEAD = 6

cdef struct text_t:
    const uint8_t *at
    uint32_t length

# What one literal means to one rule: the automaton knows the literal, the entry knows the rule.
cdef struct entry_t:
    uint32_t rule       # rule number; for ROLE_CONSOLE the number of the console row
    uint8_t role
    uint8_t anchor
    # also / not texts: texts[also:also_end) must be in the line, texts[also_end:not_end) must not.
    uint32_t also
    uint32_t also_end
    uint32_t not_end
    # Orders the starts of one line: rank, then literal length.
    int32_t weight

cdef struct rule_t:
    uint64_t shapes         # which shapes continue a report of this rule
    uint8_t origins         # who may print its start (origin_t bits)
    uint8_t lane
    uint8_t severity        # 0 is the worst
    bint report             # several lines; else one line is one incident
    bint provisional        # not an incident unless a start inside it takes over
    bint mutes_all          # noise: silences every rule; else those of its row in `mutes`
    uint32_t gap_lines
    double gap_seconds
    text_t fold_after       # empty: repeats are lines equal but for numbers

cdef struct console_t:
    uint8_t state
    bint new_boot

cdef class Program:
    # Its leading literals are those that can begin anything or change the console's state. Quiet
    # text is full of others: with nothing open they say nothing and cost a judgement each.
    cdef Automaton automaton
    cdef Shapes shapes
    # Entries of literal i: entries[entry_first[i]:entry_first[i + 1]).
    cdef uint32_t *entry_first
    cdef entry_t *entries
    cdef text_t *texts
    cdef rule_t *rules
    cdef console_t *consoles
    # rule_count x rule_count bits: does a report of rule a take in a start of rule b; does noise
    # row a silence rule b
    cdef uint8_t *absorbs
    cdef uint8_t *mutes
    cdef readonly uint32_t rule_count
    cdef readonly bytes fingerprint
    cdef list keep

    cdef void set_bit(self, uint8_t *table, uint32_t a, uint32_t b)
    cdef int put_text(self, text_t *out, bytes text) except -1

    cdef inline bint wakes(self, uint32_t literal) noexcept nogil:
        return literal < self.automaton.leading

    cdef inline bint does_absorb(self, uint32_t a, uint32_t b) noexcept nogil:
        return (self.absorbs[(a * self.rule_count + b) >> 3] >> ((a * self.rule_count + b) & 7)) & 1

    cdef inline bint does_mute(self, uint32_t a, uint32_t b) noexcept nogil:
        return (self.mutes[(a * self.rule_count + b) >> 3] >> ((a * self.rule_count + b) & 7)) & 1
