"""All matches of many literals in one pass.

The textbook trie (trie.pyx) with its failure links is turned into a table of next states, indexed
by state and byte class: one load a byte, whatever the patterns. The table defines what a match is.
In front of it stands a filter (prefilter.pyx) that finds the same matches faster where they are
rare; block by block the table takes over where they are not.
This module knows no lines, no rules and no log: bytes in, (pattern, start, end) out.
Long because the table, the walks over it and the switch to and from the filter are one contract.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.string cimport memcpy, memset

from tocsin._core.grow cimport hits_free, hits_push, hits_t
from tocsin._core.matches cimport LineMatches, Matches
from tocsin._core.plans cimport planned_t, read_plan
from tocsin._core.prefilter cimport (
    BLOCK_BYTES, PADDING, prefilter_block, prefilter_build, prefilter_free, prefilter_passed,
)
from tocsin._core.trie cimport node_t, trie_add, trie_free, trie_init, trie_link, trie_t
from tocsin._core.types cimport hit_t
from tocsin._core.variant cimport candidates_look, choose_variant, look_for

cdef extern from "simd/walk.h" nogil:
    const int WALK_STREAMS
    ctypedef struct walk_event_t:
        uint32_t end
        uint32_t state
    void walk_streams(const uint32_t *next, const uint8_t *class_of, uint32_t match_span,
                      const uint8_t *data, size_t step, size_t length, walk_event_t *events,
                      size_t *used) noexcept
    size_t walk_counting(const uint32_t *next, const uint8_t *class_of, uint32_t match_span,
                         uint32_t several_span, const uint8_t *data, size_t step, size_t length,
                         size_t lead, size_t last) noexcept
    size_t walk_counting_many(const uint32_t *next, const uint8_t *class_of, uint32_t match_span,
                              uint32_t several_span, const uint8_t *data, size_t step,
                              size_t length, size_t lead, size_t last) noexcept

# Below this many bytes a scan is over before another thread could have been woken.
cdef size_t GIL_BYTES = 16384
# Offsets of a hit are 32 bits wide, so longer data is scanned in pieces of this size. A power of
# two well below 2**32: a piece is led in by `longest - 1` bytes of the one before it.
cdef size_t PIECE_BYTES = <size_t> 1 << 30


cdef enum:
    # scan_lines gathers so much text, which stays in the first cache, of so many lines.
    BATCH_BYTES = 16384
    BATCH_LINES = 1024


cdef struct batch_t:
    uint8_t *text
    size_t used
    uint32_t *ends          # of the lines in `text`
    size_t lines
    uint32_t first          # number of the first of them
    hits_t hits


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
    dfa.stride = classes + 2
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


cdef inline uint32_t first_pattern(const node_t *node, const node_t *nodes) noexcept nogil:
    """The first of the patterns that end in the node, plus one; 0 if none does."""
    return node.pattern or (nodes[node.output].pattern if node.output else 0)


cdef inline uint32_t state_kind(const dfa_t *dfa, const node_t *node,
                                const node_t *nodes) noexcept nogil:
    cdef uint32_t first = first_pattern(node, nodes)
    if first == 0:
        return 2
    return 0 if dfa.listed[first - 1] > 1 else 1


cdef int dfa_table(dfa_t *dfa, const trie_t *trie) noexcept nogil:
    """Number the states, then fill their rows from those of their failure links."""
    cdef uint32_t i, node, child, first, kind, stride = dfa.stride
    # How many states of a kind there are, then the number of the next one: with several matches,
    # with one, with none.
    cdef uint32_t[3] states
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
    memset(states, 0, sizeof(states))
    for i in range(1, trie.used):
        states[state_kind(dfa, &nodes[trie.order[i]], nodes)] += stride
    dfa.states = trie.used
    dfa.several_span = states[0]
    dfa.match_span = states[0] + states[1]
    states[2] = stride + dfa.match_span
    states[1] = stride + dfa.several_span
    states[0] = stride
    number[0] = 0
    # Breadth first order within all kinds keeps the rows near the root, which are the ones in use,
    # together.
    for i in range(1, trie.used):
        node = trie.order[i]
        kind = state_kind(dfa, &nodes[node], nodes)
        number[node] = states[kind]
        states[kind] += stride
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
        first = first_pattern(&nodes[node], nodes)
        row[stride - 2] = first
        row[stride - 1] = dfa.listed[first - 1] if first else 0
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


# --- walking the table ----------------------------------------------------------------------------

cdef enum:
    # What the streams walk at once. An eighth of it is no multiple of 4 KB, or the streams would
    # be after the same lines of the first cache; all of it is a multiple of 64.
    PART_BYTES = 8 * (8192 + 320)
    # A multiple of 64.
    PROBE_BYTES = 4096
    # With more hits than one in so many bytes, a branch on each costs more than none does. bench:
    # spam-400, near-400.
    BYTES_A_HIT = 80


cdef struct sink_t:
    # Where hits go; NULL: they are only counted.
    hits_t *out
    size_t total
    # How many patterns, the first ones, are looked for. A count is of all.
    uint32_t patterns
    # Whether the last part that was walked for a count had very many.
    bint many
    # Offsets of the literals' windows: only hits whose window ends in [lo, hi) count. NULL: all.
    const uint32_t *window
    size_t reach
    size_t lo
    size_t hi
    # Hits that end in [sure_lo, sure_hi) count whatever the literal.
    size_t sure_lo
    size_t sure_hi
    # Room for the events of walk_streams, made when first needed.
    walk_event_t *events
    size_t room


cdef inline void report(const dfa_t *dfa, uint32_t state, size_t end, sink_t *sink) noexcept nogil:
    """Every pattern that ends at `end`, where the automaton is in a match state."""
    cdef uint32_t pattern = dfa.next[state + dfa.stride - 2]
    # Only the first ones are wanted: the automaton knows them all.
    cdef bint some = sink.patterns < dfa.patterns
    cdef size_t place
    cdef hit_t hit
    cdef bint sure = sink.window == NULL or sink.sure_lo <= end < sink.sure_hi
    if sink.out == NULL and sure:
        sink.total += dfa.next[state + dfa.stride - 1]
        return
    hit.end = <uint32_t> end
    while pattern:
        hit.pattern = pattern - 1
        hit.start = hit.end - dfa.lengths[hit.pattern]
        pattern = dfa.then[hit.pattern]
        if some and hit.pattern >= sink.patterns:
            continue
        if not sure:
            place = <size_t> hit.start + sink.window[hit.pattern] + sink.reach
            if place < sink.lo or place >= sink.hi:
                continue
        if sink.out != NULL:
            hits_push(sink.out, hit)
        sink.total += 1


cdef void walk(const dfa_t *dfa, const uint8_t *data, size_t lo, size_t hi,
               sink_t *sink) noexcept nogil:
    """Reports the hits that end in (lo, hi], in order."""
    cdef const uint32_t *next = dfa.next
    cdef uint32_t state = 0, match_span = dfa.match_span
    cdef size_t i = lo - min(lo, <size_t> dfa.longest)
    while i < hi:
        state = next[state + dfa.class_of[data[i]]]
        i += 1
        if state - 1 < match_span and i > lo:
            report(dfa, state, i, sink)


cdef void count_part(const dfa_t *dfa, const uint8_t *data, size_t lo, size_t hi,
                     sink_t *sink) noexcept nogil:
    """Count the hits that end in (lo, hi], which is long enough for eight streams."""
    cdef size_t lead = dfa.longest, step = (hi - lo) // WALK_STREAMS, found
    cdef const uint8_t *at = data + lo - lead
    cdef uint32_t match_span = dfa.match_span, last = dfa.stride - 1
    if sink.many:
        found = walk_counting_many(dfa.next, dfa.class_of, match_span, dfa.several_span, at, step,
                                   step + lead, lead, last)
    else:
        found = walk_counting(dfa.next, dfa.class_of, match_span, dfa.several_span, at, step,
                              step + lead, lead, last)
    sink.many = found > (hi - lo) // BYTES_A_HIT
    sink.total += found
    walk(dfa, data, lo + WALK_STREAMS * step, hi, sink)


cdef void walk_part(const dfa_t *dfa, const uint8_t *data, size_t lo, size_t hi, bint streams,
                    sink_t *sink) noexcept nogil:
    """As walk(), in eight streams if the part is long enough for them."""
    cdef size_t sure_lo = lo, sure_hi = hi
    if not streams or sink.out != NULL:
        walk_noting(dfa, data, lo, hi, streams, sink)
        return
    # Where every hit counts, a number is enough.
    if sink.window != NULL:
        sure_lo = max(lo, sink.sure_lo - min(sink.sure_lo, <size_t> 1))
        sure_hi = min(hi, sink.sure_hi - min(sink.sure_hi, <size_t> 1))
    sure_lo = max(sure_lo, <size_t> dfa.longest)
    if sure_hi < sure_lo + WALK_STREAMS * max(<size_t> 128, 4 * <size_t> dfa.longest):
        walk_noting(dfa, data, lo, hi, streams, sink)
        return
    walk(dfa, data, lo, sure_lo, sink)
    count_part(dfa, data, sure_lo, sure_hi, sink)
    walk(dfa, data, sure_hi, hi, sink)


cdef void walk_noting(const dfa_t *dfa, const uint8_t *data, size_t lo, size_t hi, bint streams,
                      sink_t *sink) noexcept nogil:
    cdef size_t lead = dfa.longest, step, end, i, base
    cdef size_t[8] used
    cdef int k
    cdef walk_event_t *event
    if streams and hi - lo >= 8 * 128 + lead and lo < lead:
        walk(dfa, data, lo, lead, sink)
        lo = lead
    step = (hi - lo) // WALK_STREAMS
    # Every stream walks its lead-in for nothing.
    if not streams or step < 128 or step < 4 * lead:
        walk(dfa, data, lo, hi, sink)
        return
    if sink.room < step + lead:
        free(sink.events)
        sink.room = step + lead
        sink.events = <walk_event_t *> malloc(
            sink.room * WALK_STREAMS * sizeof(walk_event_t))
    if sink.events == NULL:
        sink.room = 0
        walk(dfa, data, lo, hi, sink)
        return
    base = lo - lead
    walk_streams(dfa.next, dfa.class_of, dfa.match_span, data + base, step, step + lead,
                 sink.events, used)
    for k in range(WALK_STREAMS):
        event = sink.events + k * (step + lead)
        for i in range(used[k]):
            if event[i].end > lead:
                report(dfa, event[i].state, base + k * step + event[i].end, sink)
    end = lo + WALK_STREAMS * step
    if end < hi:
        walk(dfa, data, end, hi, sink)


# --- order ----------------------------------------------------------------------------------------

cdef inline bint comes_before(const hit_t *a, const hit_t *b) noexcept nogil:
    if a.end != b.end:
        return a.end < b.end
    if a.start != b.start:
        return a.start < b.start
    return a.pattern < b.pattern


cdef int compare_hits(const void *a, const void *b) noexcept nogil:
    return (<int> comes_before(<const hit_t *> b, <const hit_t *> a)
            - <int> comes_before(<const hit_t *> a, <const hit_t *> b))


cdef void sort_hits(hit_t *at, size_t count) noexcept nogil:
    cdef size_t i, k
    cdef hit_t hit
    if count > 64:
        qsort(at, count, sizeof(hit_t), compare_hits)
        return
    for i in range(1, count):
        hit = at[i]
        k = i
        while k > 0 and comes_before(&hit, &at[k - 1]):
            at[k] = at[k - 1]
            k -= 1
        at[k] = hit


cdef void merge_hits(hits_t *out, size_t middle) noexcept nogil:
    """Merge the sorted runs [0, middle) and [middle, used)."""
    cdef size_t begin = middle, left, right, to, count
    cdef hit_t *early
    # What lies before all of the second run stays; blocks overlap by no more than a literal.
    while begin > 0 and comes_before(&out.at[middle], &out.at[begin - 1]):
        begin -= 1
    count = middle - begin
    if count == 0:
        return
    early = <hit_t *> malloc(count * sizeof(hit_t))
    if early == NULL:
        out.failed = True
        return
    memcpy(early, out.at + begin, count * sizeof(hit_t))
    left = 0
    right = middle
    to = begin
    while left < count:
        if right < out.used and comes_before(&out.at[right], &early[left]):
            out.at[to] = out.at[right]
            right += 1
        else:
            out.at[to] = early[left]
            left += 1
        to += 1
    free(early)


cdef class Automaton:
    """Every overlapping match of many byte strings.

    `patterns` are non-empty byte strings; equal ones are reported each under its own index.
    `ignore_case` makes ASCII letters match either case. `variant` forces one of
    `tocsin._core.variant.usable_variants()`; by default the best one is taken. `plans` are what
    plans.plan_ahead made of these patterns; those the variant cannot use are passed over.
    """

    def __init__(self, patterns, *, bint ignore_case=False, variant=None, plans=()):
        cdef size_t total = 0, place = 0, count, i, k
        cdef uint8_t *text
        cdef size_t *ends
        cdef bytes pattern
        cdef int status
        cdef planned_t planned
        if self.dfa.next != NULL:
            raise TypeError("an Automaton is immutable: it cannot be initialised again")
        if isinstance(patterns, (str, bytes, bytearray, memoryview)):
            raise TypeError(
                f"patterns must be a sequence of bytes objects, not {type(patterns).__name__}")
        self.patterns = tuple(patterns)
        self.ignore_case = ignore_case
        choose_variant(variant, &self.chosen)
        self.variant = self.chosen.name.decode()
        for index, entry in enumerate(self.patterns):
            if not isinstance(entry, bytes):
                raise TypeError(f"pattern {index} is {type(entry).__name__}, not bytes")
            if not entry:
                raise ValueError(f"pattern {index} is empty")
            total += len(entry)
        count = len(self.patterns)
        if total >= <size_t> 1 << 31:
            raise ValueError("patterns are longer than 2 GiB together")
        self.choose_plan(plans, self.patterns, &planned)
        text = <uint8_t *> calloc(total + PADDING, 1)
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
                if status == 0 and look_for(&self.chosen, count) != NULL:
                    status = prefilter_build(
                        &self.filter, text, ends, count, ignore_case, &self.chosen, &planned)
                    text = NULL
                    ends = NULL
            if status != 0:
                raise MemoryError(f"no room for the automaton of {count} patterns")
        finally:
            free(text)
            free(ends)

    cdef int choose_plan(self, plans, tuple patterns, planned_t *out) except -1:
        """The one of the plans that this variant can use; none: tables is NULL."""
        cdef planned_t planned
        cdef const candidates_look *look = look_for(&self.chosen, len(patterns))
        out.tables = NULL
        for blob in plans:
            read_plan(blob, patterns, &planned)
            if not self.ignore_case and look != NULL and (
                look.tables == planned.look.tables and look.buckets == planned.look.buckets
                and look.reach == planned.look.reach
            ):
                out[0] = planned
        return 0

    cdef int lead(self, size_t count, plans) except -1:
        """Let scan_leading() look for the first `count` patterns; once, before any scan."""
        cdef planned_t planned
        cdef uint8_t *text = NULL
        cdef size_t *ends = NULL
        self.leading = <uint32_t> count
        self.choose_plan(plans, self.patterns[:count], &planned)
        if look_for(&self.chosen, count) == NULL:
            return 0
        text = <uint8_t *> calloc(self.filter.ends[count - 1] + PADDING, 1)
        ends = <size_t *> malloc(count * sizeof(size_t))
        if text == NULL or ends == NULL:
            free(text)
            free(ends)
            raise MemoryError
        memcpy(text, self.filter.text, self.filter.ends[count - 1])
        memcpy(ends, self.filter.ends, count * sizeof(size_t))
        if prefilter_build(&self.leading_filter, text, ends, count, self.ignore_case, &self.chosen,
                           &planned) != 0:
            raise MemoryError
        return 0

    def __dealloc__(self):
        prefilter_free(&self.filter)
        prefilter_free(&self.leading_filter)
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

    @property
    def windows(self):
        """Where in each pattern the filter looks for it; None if the variant has no filter."""
        if self.filter.tables == NULL:
            return None
        return tuple([self.filter.window[i] for i in range(len(self.patterns))])

    def candidates(self, bytes data not None):
        """At how many places of `data` the filter has to look closer; None if there is none."""
        if self.filter.tables == NULL:
            return None
        return prefilter_passed(
            &self.filter, <const uint8_t *> PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))

    cdef void scan(self, const uint8_t *data, size_t length, hits_t *out) noexcept nogil:
        cdef sink_t sink
        memset(&sink, 0, sizeof(sink))
        sink.out = out
        sink.patterns = self.dfa.patterns
        self.scan_into(data, length, &sink, False)

    cdef void scan_leading(self, const uint8_t *data, size_t length, hits_t *out) noexcept nogil:
        cdef sink_t sink
        memset(&sink, 0, sizeof(sink))
        sink.out = out
        sink.patterns = self.leading
        if self.leading == 0:
            return
        self.scan_into(data, length, &sink, False)

    cdef size_t tally(self, const uint8_t *data, size_t length, bint any_will_do) noexcept nogil:
        cdef sink_t sink
        memset(&sink, 0, sizeof(sink))
        sink.patterns = self.dfa.patterns
        self.scan_into(data, length, &sink, any_will_do)
        return sink.total

    cdef void scan_into(self, const uint8_t *data, size_t length, void *into,
                        bint any_will_do) noexcept nogil:
        cdef sink_t *sink = <sink_t *> into
        cdef size_t lo = 0, hi
        if self.filter.tables != NULL:
            self.scan_filtered(
                &self.filter if sink.patterns == self.dfa.patterns else &self.leading_filter, data,
                length, sink, any_will_do)
        else:
            while lo < length:
                hi = min(length, lo + max(<size_t> PART_BYTES, 64 * <size_t> self.dfa.longest))
                walk_part(&self.dfa, data, lo, hi, self.chosen.streams, sink)
                lo = hi
                if any_will_do and sink.total:
                    break
        free(sink.events)

    cdef void scan_filtered(self, const prefilter_t *filter, const uint8_t *data, size_t length,
                            void *into, bint any_will_do) noexcept nogil:
        """Block by block: filter, or walk where the filter finds too much."""
        cdef sink_t *sink = <sink_t *> into
        cdef sink_t owned
        cdef hits_t found
        cdef hits_t *out = sink.out
        cdef size_t lo = 0, hi, last = length + filter.reach, first
        # Parts to walk before the filter is tried again, and how many it will be next time.
        cdef size_t walks = 0, patience = 1
        memset(&found, 0, sizeof(found))
        if out == NULL:
            out = &found
        if length == 0:
            return
        while lo < last:
            # Where it was too dense a moment ago, a small piece will show whether it still is.
            hi = min(last, lo + (BLOCK_BYTES if patience == 1 else PROBE_BYTES))
            first = out.used
            if walks == 0:
                if prefilter_block(filter, data, length, lo, hi, out):
                    patience = 1
                    if out.used != first:
                        sink.total += out.used - first
                        if sink.out == NULL:
                            out.used = 0
                            if any_will_do:
                                break
                        else:
                            sort_hits(out.at + first, out.used - first)
                            merge_hits(out, first)
                    lo = hi
                    continue
                walks = patience
                patience = min(patience * 2, <size_t> 4)
            walks -= 1
            # A walk is led in by a whole literal, so very long ones are walked for in one go.
            hi = min(last, lo + max(<size_t> PART_BYTES, 8 * <size_t> self.dfa.longest // 64 * 64))
            owned = sink[0]
            owned.window = filter.window
            owned.reach = filter.reach
            owned.lo = lo
            owned.hi = hi
            # A window's end lies at most `ahead_most` before the hit's and reach - 1 behind it.
            owned.sure_lo = lo + filter.ahead_most
            owned.sure_hi = hi - (filter.reach - 1)
            # A hit owned by this block ends behind its window's first byte and at most
            # `ahead_most` bytes from it.
            walk_part(&self.dfa, data, lo - min(lo, filter.reach),
                      min(length, hi - 1 - min(hi - 1, filter.reach)
                          + filter.ahead_most),
                      True, &owned)
            sink.total = owned.total
            sink.many = owned.many
            sink.events = owned.events
            sink.room = owned.room
            if sink.out != NULL and out.used != first:
                merge_hits(out, first)
            if any_will_do and sink.total:
                break
            lo = hi
        if found.failed:
            # Counting goes on without room for a block's hits: the table needs none.
            sink.total = 0
            sink.window = NULL
            walk(&self.dfa, data, 0, length, sink)
        hits_free(&found)

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
            return found.finish(3, sizeof(uint32_t))
        with nogil:
            if length < UINT32_MAX:
                self.scan(data, length, &found.narrow)
            else:
                self.find_wide(data, length, found)
        return found.finish(3, sizeof(uint64_t) if length >= UINT32_MAX else sizeof(uint32_t))

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

    def scan_lines(self, lines):
        """All matches in each of many lines, in order: what find_all() says of every one.

        `lines` is a list or tuple of bytes objects; a match has the number of its line as its
        fourth value. Short lines are searched many at a time, which is several times as fast as a
        call for each. Raises TypeError for anything else, ValueError for a line of 4 GiB or more.
        """
        cdef LineMatches found = LineMatches.__new__(LineMatches)
        cdef batch_t batch
        cdef Py_ssize_t number = 0, count, size
        cdef object line
        if not isinstance(lines, (list, tuple)):
            raise TypeError(f"lines must be a list or tuple of bytes, not {type(lines).__name__}")
        count = len(lines)
        if count >= <Py_ssize_t> UINT32_MAX:
            raise ValueError(f"{count} lines at once; at most 2**32 - 2")
        memset(&batch, 0, sizeof(batch))
        batch.text = <uint8_t *> malloc(BATCH_BYTES)
        batch.ends = <uint32_t *> malloc(BATCH_LINES * sizeof(uint32_t))
        try:
            if batch.text == NULL or batch.ends == NULL:
                raise MemoryError
            # By index: somebody may shorten the list meanwhile, in another thread.
            while number < len(lines):
                line = lines[number]
                if not isinstance(line, bytes):
                    raise TypeError(f"line {number} is {type(line).__name__}, not bytes")
                size = PyBytes_GET_SIZE(line)
                if size >= <Py_ssize_t> UINT32_MAX:
                    raise ValueError(f"line {number} has {size} bytes; at most 2**32 - 2")
                if batch.used + size > BATCH_BYTES or batch.lines == BATCH_LINES:
                    self.scan_batch(&batch, found)
                    batch.first = <uint32_t> number
                if size > BATCH_BYTES:
                    self.scan_line(PyBytes_AS_STRING(line), size, <uint32_t> number, found)
                    batch.first = <uint32_t> (number + 1)
                else:
                    memcpy(batch.text + batch.used, PyBytes_AS_STRING(line), size)
                    batch.used += size
                    batch.ends[batch.lines] = <uint32_t> batch.used
                    batch.lines += 1
                number += 1
            self.scan_batch(&batch, found)
            found.finish(4, sizeof(uint32_t))
        finally:
            free(batch.text)
            free(batch.ends)
            hits_free(&batch.hits)
        return found

    cdef void scan_batch(self, void *whole, LineMatches found) noexcept:
        """Search the lines gathered so far as one text, and tell whose the matches are."""
        cdef batch_t *batch = <batch_t *> whole
        cdef size_t i, line = 0
        cdef uint32_t begin = 0
        cdef hit_t *hit
        batch.hits.used = 0
        self.scan(batch.text, batch.used, &batch.hits)
        for i in range(batch.hits.used):
            hit = &batch.hits.at[i]
            while batch.ends[line] < hit.end:
                begin = batch.ends[line]
                line += 1
            # Else it begins in a line before: nobody's.
            if hit.start >= begin:
                found.push_line(batch.first + <uint32_t> line, begin, hit)
        if batch.hits.failed:
            found.wide.failed = True
        batch.used = batch.lines = 0

    cdef void scan_line(self, const char *data, size_t size, uint32_t number,
                        LineMatches found) noexcept:
        cdef hits_t hits
        cdef size_t i
        memset(&hits, 0, sizeof(hits))
        with nogil:
            self.scan(<const uint8_t *> data, size, &hits)
            for i in range(hits.used):
                found.push_line(number, 0, &hits.at[i])
        if hits.failed:
            found.wide.failed = True
        hits_free(&hits)

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
