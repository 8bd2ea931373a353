"""All matches of many literals in one pass.

The dense table of dfa.pyx defines what a match is. In front of it stands a filter (prefilter.pyx)
that finds the same matches faster where they are rare; block by block the table takes over where
they are not.
This module knows no lines, no rules and no log: bytes in, (pattern, start, end) out.
Long because the ways to ask and the switch to and from the filter are one class.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport UINT32_MAX, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from tocsin._core.dfa cimport PART_BYTES, dfa_build, dfa_free, sink_t, walk, walk_part
from tocsin._core.grow cimport hits_free, hits_t
from tocsin._core.lines cimport is_upper
from tocsin._core.matches cimport LineMatches, Matches
from tocsin._core.order cimport merge_hits, sort_hits
from tocsin._core.plans cimport planned_t, read_plan
from tocsin._core.prefilter cimport (
    BLOCK_BYTES, PADDING, prefilter_block, prefilter_build, prefilter_free, prefilter_passed,
)
from tocsin._core.types cimport hit_t
from tocsin._core.variant cimport candidates_look, choose_variant, look_for

# Below this many bytes a scan is over before another thread could have been woken.
cdef size_t GIL_BYTES = 16384
# Offsets of a hit are 32 bits wide, so longer data is scanned in pieces of this size. A power of
# two well below 2**32: a piece is led in by `longest - 1` bytes of the one before it.
cdef size_t PIECE_BYTES = <size_t> 1 << 30


cdef enum:
    # What is filtered first where it was too dense a moment ago. A multiple of 64.
    PROBE_BYTES = 4096
    # scan_lines gathers so much text, which stays in the first cache, of so many lines.
    BATCH_BYTES = 16384
    BATCH_LINES = 1024


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
            if read_plan(blob, patterns, look, &planned) and not self.ignore_case:
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
        dfa_free(&self.dfa)

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

    cdef void scan_into(self, const uint8_t *data, size_t length, sink_t *sink,
                        bint any_will_do) noexcept nogil:
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
                            sink_t *sink, bint any_will_do) noexcept nogil:
        """Block by block: filter, or walk where the filter finds too much."""
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

    cdef void scan_batch(self, batch_t *batch, LineMatches found) noexcept:
        """Search the lines gathered so far as one text, and tell whose the matches are."""
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
