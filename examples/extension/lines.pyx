"""Which lines of a log have one of many words? Answered without a Python object for any line.

    import lines, tocsin
    lines.matching(tocsin.Automaton([b"error", b"panic"]), log)
"""

from libc.string cimport memchr

from tocsin.capi cimport (
    TOCSIN_BUSY, TOCSIN_NO_MEMORY, tocsin_api, tocsin_automaton, tocsin_import, tocsin_match,
    tocsin_scanner,
)

cdef const tocsin_api *tocsin = tocsin_import()


def matching(automaton, const unsigned char[::1] log not None):
    """How many lines have a match, and the number of the first that does (None if none does)."""
    cdef const tocsin_automaton *words = tocsin.automaton(automaton)
    cdef Py_ssize_t at = 0, end, size = log.shape[0], line = 0, first = -1, found = 0
    cdef const unsigned char *text
    cdef const void *newline
    if size == 0:
        return 0, None
    text = &log[0]
    with nogil:
        while at < size:
            newline = memchr(text + at, 10, size - at)
            end = <const unsigned char *> newline - text if newline != NULL else size
            if tocsin.is_match(words, text + at, end - at):
                found += 1
                if first < 0:
                    first = line
            line += 1
            at = end + 1
    return found, None if first < 0 else first


def first_match(automaton, const unsigned char[::1] data not None):
    """(pattern, start, end) of the first match and how many there are; None if there is none."""
    cdef tocsin_match match
    cdef ptrdiff_t total
    if data.shape[0] == 0:
        return None
    total = tocsin.find(tocsin.automaton(automaton), &data[0], data.shape[0], &match, 1)
    if total == TOCSIN_NO_MEMORY:
        raise MemoryError
    return ((match.pattern, match.start, match.end), total) if total else None


def feed(scanner, const unsigned char[::1] chunk not None):
    """As scanner.feed(chunk), for a caller in C."""
    cdef tocsin_scanner *stream = tocsin.scanner(scanner)
    cdef ptrdiff_t waiting
    if chunk.shape[0] == 0:
        return []
    with nogil:
        waiting = tocsin.feed(stream, &chunk[0], chunk.shape[0])
    if waiting == TOCSIN_BUSY:
        raise RuntimeError("another thread is feeding this scanner")
    if waiting == TOCSIN_NO_MEMORY:
        raise MemoryError
    return tocsin.take(scanner) if waiting else []
