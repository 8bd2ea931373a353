"""All matches of many literals in one pass: the Aho-Corasick automaton as a dense table."""

from libc.stdint cimport uint8_t, uint32_t

from tocsin._core.grow cimport hits_t
from tocsin._core.matches cimport LineMatches, Matches
from tocsin._core.plans cimport planned_t
from tocsin._core.prefilter cimport prefilter_t
from tocsin._core.variant cimport variant_t


cdef struct dfa_t:
    # Next state for (state + class). States are premultiplied by `stride`, so a transition is one
    # add and one load. A row has two columns more than there are classes: the first pattern that
    # ends in the state, plus one, or 0; and how many end there.
    uint32_t *next
    # Bytes that no pattern tells apart share a class. ignore_case is nothing but this map.
    uint8_t class_of[256]
    uint32_t stride
    uint32_t states
    # Match states come right after the start state 0: state - 1 < match_span, unsigned, is the
    # one comparison the scan loop needs. Those in which several patterns end come first of all.
    uint32_t match_span
    uint32_t several_span
    # then[p]: the pattern to report after p, plus one; 0 ends the list. Longer patterns come
    # before shorter ones, equal ones by number.
    uint32_t *then
    # How many patterns the list that starts with p has.
    uint32_t *listed
    uint32_t *lengths
    uint32_t longest
    uint32_t patterns


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

    # `into` is the sink_t of automaton.pyx, which no other module needs to know.
    cdef void scan_into(self, const uint8_t *data, size_t length, void *into,
                        bint any_will_do) noexcept nogil
    cdef void scan_filtered(self, const prefilter_t *filter, const uint8_t *data, size_t length,
                            void *into, bint any_will_do) noexcept nogil
    cdef int choose_plan(self, plans, tuple patterns, planned_t *out) except -1
    cdef size_t tally_raw(self, const uint8_t *data, size_t length, bint any_will_do) noexcept
    cdef int find_into(self, const uint8_t *data, size_t length, Matches found) except -1
    cdef void find_wide(self, const uint8_t *data, size_t length, Matches found) noexcept nogil
    cdef void scan_batch(self, void *whole, LineMatches found) noexcept
    cdef void scan_line(self, const char *data, size_t size, uint32_t number,
                        LineMatches found) noexcept
