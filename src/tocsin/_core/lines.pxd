"""Where lines begin and end: C library searches, wrapped so that offsets stay half-open."""

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memchr

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE 1
    #endif
    #include <string.h>
    /* memrchr and memmem are declared by hand: their prototypes hide behind _GNU_SOURCE, which
       Python.h may have settled before this line is read. */
    extern void *memrchr(const void *, int, size_t);
    extern void *memmem(const void *, size_t, const void *, size_t);
    """
    void *memrchr(const void *, int, size_t)
    void *memmem(const void *, size_t, const void *, size_t)


cdef inline size_t find_newline(const uint8_t *data, size_t start, size_t end) noexcept nogil:
    """Offset of the first newline in data[start:end), or end."""
    cdef const uint8_t *at = <const uint8_t *> memchr(data + start, 10, end - start)
    return end if at == NULL else <size_t> (at - data)


cdef inline size_t line_start(const uint8_t *data, size_t low, size_t at) noexcept nogil:
    """Offset just behind the last newline in data[low:at), or low."""
    cdef const uint8_t *hit = <const uint8_t *> memrchr(data + low, 10, at - low)
    return low if hit == NULL else <size_t> (hit - data) + 1


cdef inline bint contains(
    const uint8_t *data, size_t size, const uint8_t *text, size_t length
) noexcept nogil:
    return memmem(data, size, text, length) != NULL


cdef inline size_t trim_end(const uint8_t *data, size_t start, size_t end) noexcept nogil:
    """End of the line without its carriage returns: consoles add one, two or three."""
    while end > start and data[end - 1] == 13:
        end -= 1
    return end


cdef inline uint32_t skip_escapes(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """Step over CR, NUL, BEL and terminal escapes, well-formed or not."""
    while at < end:
        if s[at] == 13 or s[at] == 0 or s[at] == 7:
            at += 1
        elif s[at] == 27:
            at += 1
            if at < end and s[at] == 91:  # CSI: parameters, then one final byte
                at += 1
                while at < end and 32 <= s[at] < 64:
                    at += 1
                if at < end:
                    at += 1
            elif at < end:
                at += 1
        else:
            break
    return at


cdef inline size_t text_end(const uint8_t *line, size_t size) noexcept nogil:
    """End of what can be read of a line: without blanks, NULs and terminal escapes at its end."""
    cdef size_t at
    while size:
        if line[size - 1] in (32, 9, 13, 0):
            size -= 1
            continue
        at = size - 1  # `\x1b[0m`, `\x1b[K`
        if not (64 <= line[at] <= 126):
            break
        while at and 32 <= line[at - 1] < 64:
            at -= 1
        if at < 2 or line[at - 1] != 91 or line[at - 2] != 27:
            break
        size = at - 2
    return size


cdef inline bint is_blank(uint8_t c) noexcept nogil:
    return c == 32 or c == 9


cdef inline bint is_digit(uint8_t c) noexcept nogil:
    return 48 <= c <= 57


cdef inline bint is_hex(uint8_t c) noexcept nogil:
    return 48 <= c <= 57 or 97 <= c <= 102 or 65 <= c <= 70


cdef inline bint is_word(uint8_t c) noexcept nogil:
    return 48 <= c <= 57 or 97 <= c <= 122 or 65 <= c <= 90 or c == 95


cdef inline bint is_upper(uint8_t c) noexcept nogil:
    return 65 <= c <= 90
