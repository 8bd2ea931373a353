"""The automaton as a dense table of next states, and the walks over it.

The trie (trie.pyx) with its failure links becomes a table indexed by state and byte class: one load
a byte, whatever the patterns. A walk over it waits for each load; eight walks at eight places wait
together (simd/walk.h).
"""

from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from tocsin._core.grow cimport hits_push
from tocsin._core.lines cimport is_upper
from tocsin._core.trie cimport node_t, trie_add, trie_free, trie_init, trie_link, trie_t
from tocsin._core.types cimport hit_t

cdef extern from "simd/walk.h" nogil:
    void walk_streams(const uint32_t *next, const uint8_t *class_of, uint32_t match_span,
                      const uint8_t *data, size_t step, size_t length, walk_event_t *events,
                      size_t *used) noexcept
    size_t walk_counting(const uint32_t *next, const uint8_t *class_of, uint32_t match_span,
                         uint32_t several_span, const uint8_t *data, size_t step, size_t length,
                         size_t lead, size_t last) noexcept
    size_t walk_counting_many(const uint32_t *next, const uint8_t *class_of, uint32_t match_span,
                              uint32_t several_span, const uint8_t *data, size_t step,
                              size_t length, size_t lead, size_t last) noexcept


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


cdef void dfa_free(dfa_t *dfa) noexcept nogil:
    free(dfa.next)
    free(dfa.then)
    free(dfa.listed)
    free(dfa.lengths)


# --- walking the table ----------------------------------------------------------------------------

cdef enum:
    # With more hits than one in so many bytes, a branch on each costs more than none does. bench:
    # spam-400, near-400.
    BYTES_A_HIT = 80


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
            # Not from hit.start: data that is only counted may be longer than 32 bits tell.
            place = end - dfa.lengths[hit.pattern] + sink.window[hit.pattern] + sink.reach
            if place < sink.lo or place >= sink.hi:
                continue
        if sink.out != NULL:
            hits_push(sink.out, hit)
        sink.total += 1


cdef void walk(const dfa_t *dfa, const uint8_t *data, size_t lo, size_t hi,
               sink_t *sink) noexcept nogil:
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
