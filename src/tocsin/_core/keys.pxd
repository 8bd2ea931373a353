"""Hashes that tell contexts and repeats apart. Part of snapshots: a change is a new version."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from tocsin._core.lines cimport is_digit, is_hex, is_word


cdef inline uint64_t hash_bytes(const uint8_t *s, uint32_t n) noexcept nogil:
    """FNV-1a: host names and fold keys; never 0, which means "none"."""
    cdef uint64_t h = 14695981039346656037ULL
    cdef uint32_t i
    for i in range(n):
        h = (h ^ s[i]) * 1099511628211ULL
    return h if h else 1


cdef inline uint64_t skeleton(const uint8_t *s, uint32_t n) noexcept nogil:
    """Hash of a message without its numbers: equal for lines that differ in nothing else."""
    cdef uint64_t h = 14695981039346656037ULL
    cdef uint32_t i = 0, j
    cdef bint digit
    while i < n:
        if is_hex(s[i]) and (i == 0 or not is_word(s[i - 1])):
            j = i
            digit = False
            while j < n and (is_hex(s[j]) or (j == i + 1 and s[i] == 48 and (s[j] | 32) == 120)):
                digit = digit or is_digit(s[j])
                j += 1
            if digit and (is_digit(s[i]) or j - i >= 8):
                h = (h ^ 35) * 1099511628211ULL
                i = j
                continue
        h = (h ^ s[i]) * 1099511628211ULL
        i += 1
    return h if h else 1
