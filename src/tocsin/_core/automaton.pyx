"""All matches of many literals in one pass.

The textbook trie (trie.pyx) with its failure links is turned into a table of next states, indexed
by state and byte class: one load a byte, whatever the patterns. The table defines what a match is.
This module knows no lines, no rules and no log: bytes in, (pattern, start, end) out.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from tocsin._core.grow cimport hits_free, hits_push, hits_t
from tocsin._core.matches cimport Matches
from tocsin._core.trie cimport node_t, trie_add, trie_free, trie_init, trie_link, trie_t
from tocsin._core.types cimport hit_t
from tocsin._core.variant cimport chosen_variant

# Below this many bytes a scan is over before another thread could have been woken.
cdef size_t GIL_BYTES = 16384
# Offsets of a hit are 32 bits wide, so longer data is scanned in pieces of this size. A power of
# two well below 2**32: a piece is led in by `longest - 1` bytes of the one before it.
cdef size_t PIECE_BYTES = <size_t> 1 << 30


cdef inline bint is_upper(uint8_t byte) noexcept nogil:
    return 65 <= byte <= 90


cdef int dfa_classes(dfa_t *dfa, const trie_t *trie, bint ignore_case) noexcept nogil:
    """Give each byte that occurs in a pattern a class; the others share class 0."""
    cdef bint seen[256]
    cdef uint32_t node, byte, classes
    memset(seen, 0, sizeof(seen))
    for node in range(1, trie.used):
        seen[trie.nodes[node].byte] = True
    classes = 0
    for byte in range(256):
        if not seen[byte]:
            classes = 1
    for byte in range(256):
        dfa.class_of[byte] = 0
        if seen[byte]:
            dfa.class_of[byte] = <uint8_t> classes
            classes += 1
    if ignore_case:
        for byte in range(256):
            if is_upper(<uint8_t> byte):
                dfa.class_of[byte] = dfa.class_of[byte + 32]
    dfa.stride = classes + 1
    return 0


cdef int dfa_lists(dfa_t *dfa, const trie_t *trie) noexcept nogil:
    """Join, for each node, its own patterns and those of its output links into one list."""
    cdef uint32_t i, pattern, rest, last, count
    cdef const node_t *node
    for i in range(trie.used):
        # Breadth first: an output link is nearer to the root, so its list is ready.
        node = &trie.nodes[trie.order[i]]
        if node.pattern == 0:
            continue
        rest = trie.nodes[node.output].pattern if node.output else 0
        count = dfa.listed[rest - 1] if rest else 0
        pattern = node.pattern
        last = pattern
        while pattern:
            count += 1
            last = pattern
            dfa.then[pattern - 1] = trie.same[pattern - 1]
            pattern = trie.same[pattern - 1]
        dfa.then[last - 1] = rest
        dfa.listed[node.pattern - 1] = count
    return 0


cdef int dfa_table(dfa_t *dfa, const trie_t *trie) noexcept nogil:
    """Number the states, then fill their rows from those of their failure links."""
    cdef uint32_t i, node, child, state, first, matching = 0, plain, stride = dfa.stride
    cdef uint32_t *number
    cdef uint32_t *row
    cdef const node_t *nodes = trie.nodes
    if <uint64_t> trie.used * stride > UINT32_MAX:
        return -1
    number = <uint32_t *> malloc(<size_t> trie.used * sizeof(uint32_t))
    dfa.next = <uint32_t *> malloc(<size_t> trie.used * stride * sizeof(uint32_t))
    if number == NULL or dfa.next == NULL:
        free(number)
        return -1
    for i in range(1, trie.used):
        node = trie.order[i]
        if nodes[node].pattern or nodes[node].output:
            matching += 1
    dfa.states = trie.used
    dfa.match_span = matching * stride
    number[0] = 0
    state = stride
    plain = (matching + 1) * stride
    # Breadth first order within both kinds keeps the rows near the root, which are the ones in
    # use, together.
    for i in range(1, trie.used):
        node = trie.order[i]
        if nodes[node].pattern or nodes[node].output:
            number[node] = state
            state += stride
        else:
            number[node] = plain
            plain += stride
    for i in range(trie.used):
        node = trie.order[i]
        row = dfa.next + number[node]
        if node == 0:
            memset(row, 0, stride * sizeof(uint32_t))
        else:
            memcpy(row, dfa.next + number[nodes[node].fail], stride * sizeof(uint32_t))
        child = nodes[node].child
        while child:
            row[dfa.class_of[nodes[child].byte]] = number[child]
            child = nodes[child].sibling
        first = nodes[node].pattern
        if first == 0 and nodes[node].output:
            first = nodes[nodes[node].output].pattern
        row[stride - 1] = first
    free(number)
    return 0


cdef int dfa_build(dfa_t *dfa, const uint8_t *text, const size_t *ends, size_t patterns,
                   bint ignore_case) noexcept nogil:
    """0, or -1 if memory is out. Pattern p is text[ends[p - 1]:ends[p]], folded if it is to be."""
    cdef trie_t trie
    cdef size_t p, begin, length
    cdef int status
    dfa.patterns = <uint32_t> patterns
    dfa.then = <uint32_t *> calloc(patterns + 1, sizeof(uint32_t))
    dfa.listed = <uint32_t *> calloc(patterns + 1, sizeof(uint32_t))
    dfa.lengths = <uint32_t *> calloc(patterns + 1, sizeof(uint32_t))
    if dfa.then == NULL or dfa.listed == NULL or dfa.lengths == NULL:
        return -1
    if trie_init(&trie, patterns) != 0:
        return -1
    status = 0
    p = patterns
    while p > 0 and status == 0:
        p -= 1
        begin = ends[p - 1] if p else 0
        length = ends[p] - begin
        dfa.lengths[p] = <uint32_t> length
        if length > dfa.longest:
            dfa.longest = <uint32_t> length
        status = trie_add(&trie, text + begin, length, <uint32_t> p)
    if status == 0:
        status = trie_link(&trie)
    if status == 0:
        dfa_classes(dfa, &trie, ignore_case)
        dfa_lists(dfa, &trie)
        status = dfa_table(dfa, &trie)
    trie_free(&trie)
    return status


cdef inline bint is_match_state(const dfa_t *dfa, uint32_t state) noexcept nogil:
    return state - 1 < dfa.match_span


cdef void dfa_scan(const dfa_t *dfa, const uint8_t *data, size_t length,
                   hits_t *out) noexcept nogil:
    cdef const uint32_t *next = dfa.next
    cdef uint32_t state = 0, pattern, match_span = dfa.match_span
    cdef hit_t hit
    cdef size_t i
    for i in range(length):
        state = next[state + dfa.class_of[data[i]]]
        if state - 1 < match_span:
            pattern = next[state + dfa.stride - 1]
            hit.end = <uint32_t> (i + 1)
            while pattern:
                hit.pattern = pattern - 1
                hit.start = hit.end - dfa.lengths[hit.pattern]
                hits_push(out, hit)
                pattern = dfa.then[hit.pattern]


cdef size_t dfa_tally(const dfa_t *dfa, const uint8_t *data, size_t length,
                      bint any_will_do) noexcept nogil:
    cdef const uint32_t *next = dfa.next
    cdef uint32_t state = 0, match_span = dfa.match_span
    cdef size_t i, total = 0
    for i in range(length):
        state = next[state + dfa.class_of[data[i]]]
        if state - 1 < match_span:
            total += dfa.listed[next[state + dfa.stride - 1] - 1]
            if any_will_do:
                return 1
    return total


cdef class Automaton:
    """Every overlapping match of many byte strings.

    `patterns` are non-empty byte strings; equal ones are reported each under its own index.
    `ignore_case` makes ASCII letters match either case. `variant` forces one of
    `tocsin._core.variant.usable_variants()`; by default the best one is taken.
    """

    def __init__(self, patterns, *, bint ignore_case=False, variant=None):
        cdef size_t total = 0, place = 0, count, i, k
        cdef uint8_t *text
        cdef size_t *ends
        cdef bytes pattern
        cdef int status
        if self.dfa.next != NULL:
            raise TypeError("an Automaton is immutable: it cannot be initialised again")
        if isinstance(patterns, (str, bytes, bytearray, memoryview)):
            raise TypeError(
                f"patterns must be a sequence of bytes objects, not {type(patterns).__name__}")
        self.patterns = tuple(patterns)
        self.ignore_case = ignore_case
        self.variant = chosen_variant(variant)
        for index, entry in enumerate(self.patterns):
            if not isinstance(entry, bytes):
                raise TypeError(f"pattern {index} is {type(entry).__name__}, not bytes")
            if not entry:
                raise ValueError(f"pattern {index} is empty")
            total += len(entry)
        count = len(self.patterns)
        if total >= <size_t> 1 << 31:
            raise ValueError("patterns are longer than 2 GiB together")
        text = <uint8_t *> malloc(total + 1)
        ends = <size_t *> malloc((count + 1) * sizeof(size_t))
        try:
            if text == NULL or ends == NULL:
                raise MemoryError
            for i in range(count):
                pattern = self.patterns[i]
                memcpy(text + place, PyBytes_AS_STRING(pattern), PyBytes_GET_SIZE(pattern))
                place += PyBytes_GET_SIZE(pattern)
                ends[i] = place
            if ignore_case:
                for k in range(total):
                    if is_upper(text[k]):
                        text[k] += 32
            with nogil:
                status = dfa_build(&self.dfa, text, ends, count, ignore_case)
            if status != 0:
                raise MemoryError(f"no room for the automaton of {count} patterns")
        finally:
            free(text)
            free(ends)

    def __dealloc__(self):
        free(self.dfa.next)
        free(self.dfa.then)
        free(self.dfa.listed)
        free(self.dfa.lengths)

    def __len__(self):
        return len(self.patterns)

    def __repr__(self):
        return (f"<Automaton of {len(self.patterns)} patterns, {self.dfa.states} states, "
                f"variant {self.variant!r}>")

    def __reduce__(self):
        # Without the variant: where it is loaded again, another one may be the best.
        return _automaton, (self.patterns, self.ignore_case)

    @property
    def states(self):
        """Number of states of the automaton, the start state included."""
        return self.dfa.states

    cdef void scan(self, const uint8_t *data, size_t length, hits_t *out) noexcept nogil:
        dfa_scan(&self.dfa, data, length, out)

    cdef size_t tally(self, const uint8_t *data, size_t length, bint any_will_do) noexcept nogil:
        return dfa_tally(&self.dfa, data, length, any_will_do)

    def find_all(self, data):
        """All matches in `data`, overlapping ones too, by end, then start, then pattern."""
        cdef Matches found = Matches.__new__(Matches)
        cdef Py_buffer view
        if PyBytes_CheckExact(data):
            self.find_into(
                <const uint8_t *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), found)
        else:
            PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
            try:
                self.find_into(<const uint8_t *> view.buf, view.len, found)
            finally:
                PyBuffer_Release(&view)
        return found

    cdef int find_into(self, const uint8_t *data, size_t length, Matches found) except -1:
        if length < GIL_BYTES:
            self.scan(data, length, &found.narrow)
            return found.finish(False)
        with nogil:
            if length < UINT32_MAX:
                self.scan(data, length, &found.narrow)
            else:
                self.find_wide(data, length, found)
        return found.finish(length >= UINT32_MAX)

    cdef void find_wide(self, const uint8_t *data, size_t length, Matches found) noexcept nogil:
        """As scan, for data whose offsets do not fit a hit: in pieces that overlap."""
        cdef hits_t piece
        cdef size_t at = 0, lead, end, i
        memset(&piece, 0, sizeof(piece))
        while at < length and not found.narrow.failed:
            lead = min(at, <size_t> self.dfa.longest)
            end = min(length, at + PIECE_BYTES)
            piece.used = 0
            self.scan(data + (at - lead), end - (at - lead), &piece)
            for i in range(piece.used):
                if piece.at[i].end > lead:
                    found.push_wide(at - lead, &piece.at[i])
            if piece.failed:
                found.narrow.failed = True
            at = end
        hits_free(&piece)

    def count(self, data):
        """How many matches find_all() would return."""
        cdef Py_buffer view
        cdef size_t total
        if PyBytes_CheckExact(data):
            return self.tally_raw(
                <const uint8_t *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), False)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        total = self.tally_raw(<const uint8_t *> view.buf, view.len, False)
        PyBuffer_Release(&view)
        return total

    def is_match(self, data):
        """Whether any pattern occurs in `data`."""
        cdef Py_buffer view
        cdef size_t total
        if PyBytes_CheckExact(data):
            return self.tally_raw(
                <const uint8_t *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), True) != 0
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        total = self.tally_raw(<const uint8_t *> view.buf, view.len, True)
        PyBuffer_Release(&view)
        return total != 0

    cdef size_t tally_raw(self, const uint8_t *data, size_t length,
                          bint any_will_do) noexcept:
        cdef size_t total
        if length < GIL_BYTES:
            return self.tally(data, length, any_will_do)
        with nogil:
            total = self.tally(data, length, any_will_do)
        return total


def _automaton(patterns, ignore_case):
    """What an automaton is unpickled with."""
    return Automaton(patterns, ignore_case=ignore_case)
