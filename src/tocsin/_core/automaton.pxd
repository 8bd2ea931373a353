"""All matches of many literals in one pass: the Aho-Corasick automaton as a dense table."""

from libc.stdint cimport uint8_t, uint32_t

from tocsin._core.dfa cimport dfa_t, sink_t
from tocsin._core.grow cimport hits_t
from tocsin._core.matches cimport LineMatches, Matches
from tocsin._core.plans cimport planned_t
from tocsin._core.prefilter cimport prefilter_t
from tocsin._core.variant cimport variant_t


# Lines that scan_lines searches as one text.
cdef struct batch_t:
    uint8_t *text
    size_t used
    uint32_t *ends          # of the lines in `text`
    size_t lines
    uint32_t first          # number of the first of them
    hits_t hits


cdef class Automaton:
    cdef dfa_t dfa
    cdef prefilter_t filter
    cdef variant_t chosen
    # Of the first patterns alone, for scan_leading(): where it gives up, the automaton of all of
    # them walks and the others are passed over.
    cdef prefilter_t leading_filter
    cdef uint32_t leading
    cdef readonly tuple patterns
    cdef readonly bint ignore_case
    cdef readonly str variant

    # Appends every hit (overlapping, all patterns) of data[0:length) to `out`, ordered by end,
    # then by start, then by pattern. `length` must fit 32 bits. Never raises; out.failed tells of
    # lost memory. Thread-safe: the object is immutable.
    cdef void scan(self, const uint8_t *data, size_t length, hits_t *out) noexcept nogil
    # As scan, for the first patterns alone, as many as lead() was told.
    cdef void scan_leading(self, const uint8_t *data, size_t length, hits_t *out) noexcept nogil
    cdef int lead(self, size_t count, plans) except -1
    # How many hits there are; 1 as soon as there is one, if any will do.
    cdef size_t tally(self, const uint8_t *data, size_t length, bint any_will_do) noexcept nogil

    cdef void scan_into(self, const uint8_t *data, size_t length, sink_t *sink,
                        bint any_will_do) noexcept nogil
    cdef void scan_filtered(self, const prefilter_t *filter, const uint8_t *data, size_t length,
                            sink_t *sink, bint any_will_do) noexcept nogil
    cdef int choose_plan(self, plans, tuple patterns, planned_t *out) except -1
    cdef size_t tally_raw(self, const uint8_t *data, size_t length, bint any_will_do) noexcept
    cdef int find_into(self, const uint8_t *data, size_t length, Matches found) except -1
    cdef void find_wide(self, const uint8_t *data, size_t length, Matches found) noexcept nogil
    cdef void scan_batch(self, batch_t *batch, LineMatches found) noexcept
    cdef void scan_line(self, const char *data, size_t size, uint32_t number,
                        LineMatches found) noexcept
