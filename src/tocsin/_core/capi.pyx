"""The table of functions behind include/tocsin.h, in a capsule.

The header is the contract; here is what fulfils it, from the automaton and the pipeline as they
are. Nothing outside may know their layout, so what is handed out are their addresses.
"""

import sys

from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport uint8_t
from libc.string cimport memset

from tocsin._core.automaton cimport Automaton
from tocsin._core.grow cimport hits_free, hits_t
from tocsin._core.pipeline cimport Pipeline

cdef extern from *:
    """
    /* Refuses most of those who share a scanner between threads; it is no lock. */
    #define take_turn(busy) (!__atomic_exchange_n((busy), 1, __ATOMIC_ACQUIRE))
    #define end_turn(busy) __atomic_store_n((busy), 0, __ATOMIC_RELEASE)
    """
    bint take_turn(bint *busy) noexcept nogil
    void end_turn(bint *busy) noexcept nogil

# Hits have offsets of 32 bits, and a search for all of them has all in memory.
cdef size_t PIECE_BYTES = <size_t> 1 << 30


# --- with the GIL ---------------------------------------------------------------------------------

cdef const tocsin_automaton *automaton(object found) except NULL:
    if not isinstance(found, Automaton):
        raise TypeError(f"expected a tocsin.Automaton, got {type(found).__name__}")
    return <const tocsin_automaton *> <PyObject *> found


cdef tocsin_scanner *scanner(object found) except NULL:
    # Scanner is of a higher layer: known here by what it is made of.
    pipeline = getattr(found, "_pipeline", None)
    if not isinstance(pipeline, Pipeline):
        raise TypeError(f"expected a tocsin.Scanner, got {type(found).__name__}")
    if found._closed:
        raise ValueError("this scanner is closed")
    return <tocsin_scanner *> <PyObject *> pipeline


cdef object take(object found):
    scanner(found)
    return found.feed(b"")


# --- without it -----------------------------------------------------------------------------------
# An object is reached by its address alone: to touch its reference count would need the GIL.

cdef size_t count(const tocsin_automaton *searched, const uint8_t *data,
                  size_t size) noexcept nogil:
    return (<Automaton> <PyObject *> searched).tally(data, size, False)


cdef int is_match(const tocsin_automaton *searched, const uint8_t *data,
                  size_t size) noexcept nogil:
    return (<Automaton> <PyObject *> searched).tally(data, size, True) != 0


cdef ptrdiff_t find(const tocsin_automaton *searched, const uint8_t *data, size_t size,
                    tocsin_match *matches, size_t room) noexcept nogil:
    cdef hits_t hits
    cdef size_t at = 0, lead, end, i
    cdef ptrdiff_t total = 0
    memset(&hits, 0, sizeof(hits))
    while at < size and not hits.failed:
        # Led in by what a match that ends in this piece may begin with.
        lead = min(at, <size_t> (<Automaton> <PyObject *> searched).dfa.longest)
        end = min(size, at + PIECE_BYTES)
        hits.used = 0
        (<Automaton> <PyObject *> searched).scan(data + (at - lead), end - (at - lead), &hits)
        for i in range(hits.used):
            if hits.at[i].end > lead:
                if <size_t> total < room:
                    matches[total].pattern = hits.at[i].pattern
                    matches[total].start = hits.at[i].start + (at - lead)
                    matches[total].end = hits.at[i].end + (at - lead)
                total += 1
        at = end
    if hits.failed:
        total = TOCSIN_NO_MEMORY
    hits_free(&hits)
    return total


cdef ptrdiff_t feed(tocsin_scanner *fed, const uint8_t *data, size_t size) noexcept nogil:
    cdef ptrdiff_t waiting = TOCSIN_NO_MEMORY
    if not take_turn(&(<Pipeline> <PyObject *> fed).busy):
        return TOCSIN_BUSY
    if size:
        (<Pipeline> <PyObject *> fed).run(data, size)
    if not (<Pipeline> <PyObject *> fed).failed():
        waiting = (<Pipeline> <PyObject *> fed).grouper.closed.used
    end_turn(&(<Pipeline> <PyObject *> fed).busy)
    return waiting


# --- the table ------------------------------------------------------------------------------------

cdef tocsin_api table
# The package itself is of a higher layer; it is there before any module of it.
cdef bytes version = sys.modules["tocsin"].__version__.encode()

table.abi = TOCSIN_ABI
table.size = sizeof(tocsin_api)
table.version = version
table.automaton = automaton
table.scanner = scanner
table.take = take
table.count = count
table.is_match = is_match
table.find = find
table.feed = feed

C_API = PyCapsule_New(&table, TOCSIN_CAPSULE, NULL)
