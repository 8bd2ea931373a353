"""Times as logs write them: digits, month names, ISO dates, seconds since the epoch."""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp

from tocsin._core.lines cimport is_digit


cdef inline uint32_t digits(
    const uint8_t *s, uint32_t at, uint32_t end, int64_t *value
) noexcept nogil:
    """Read decimal digits; the offset behind them (== at when there are none)."""
    cdef int64_t n = 0
    cdef uint32_t first = at
    while at < end and is_digit(s[at]) and at - first < 18:
        n = n * 10 + (s[at] - 48)
        at += 1
    value[0] = n
    return at


cdef inline int month(const uint8_t *s) noexcept nogil:
    cdef const char *names = b"JanFebMarAprMayJunJulAugSepOctNovDec"
    cdef int m
    for m in range(12):
        if memcmp(s, names + 3 * m, 3) == 0:
            return m + 1
    return 0


cdef inline int64_t epoch_day(int64_t y, int64_t m, int64_t d) noexcept nogil:
    """Days from 1970-01-01 in the proleptic Gregorian calendar (era arithmetic, March first)."""
    cdef int64_t era, yoe, doy
    y -= m <= 2
    era = (y if y >= 0 else y - 399) // 400
    yoe = y - era * 400
    doy = (153 * (m + (-3 if m > 2 else 9)) + 2) // 5 + d - 1
    return era * 146097 + yoe * 365 + yoe // 4 - yoe // 100 + doy - 719468


cdef inline uint32_t clock(
    const uint8_t *s, uint32_t at, uint32_t end, double *seconds
) noexcept nogil:
    """`hh:mm:ss[.frac]`: the offset behind it, or `at`."""
    cdef int64_t h, m, sec, frac
    cdef uint32_t p
    cdef double scale = 1.0
    if at + 8 > end or s[at + 2] != 58 or s[at + 5] != 58:
        return at
    if digits(s, at, at + 2, &h) != at + 2 or digits(s, at + 3, at + 5, &m) != at + 5:
        return at
    if digits(s, at + 6, at + 8, &sec) != at + 8:
        return at
    seconds[0] = h * 3600 + m * 60 + sec
    p = at + 8
    if p + 1 < end and (s[p] == 46 or s[p] == 44) and is_digit(s[p + 1]):
        at = digits(s, p + 1, end, &frac)
        for _ in range(at - p - 1):
            scale *= 10.0
        seconds[0] += frac / scale
        p = at
    return p


cdef inline uint32_t iso_time(
    const uint8_t *s, uint32_t at, uint32_t end, double *time
) noexcept nogil:
    """`2026-11-23T01:02:03.5+01:00` or with a blank; the offset behind it, or `at`."""
    cdef int64_t y, mo, d, zh = 0, zm = 0
    cdef double seconds
    cdef uint32_t p, q
    cdef int sign
    if at + 19 > end or s[at + 4] != 45 or s[at + 7] != 45:
        return at
    if digits(s, at, at + 4, &y) != at + 4 or digits(s, at + 5, at + 7, &mo) != at + 7:
        return at
    if digits(s, at + 8, at + 10, &d) != at + 10 or (s[at + 10] != 84 and s[at + 10] != 32):
        return at
    if not 1 <= mo <= 12:
        return at
    p = clock(s, at + 11, end, &seconds)
    if p == at + 11:
        return at
    if p < end and s[p] == 90:
        p += 1
    elif p + 3 <= end and (s[p] == 43 or s[p] == 45):
        sign = 1 if s[p] == 43 else -1
        q = digits(s, p + 1, p + 3, &zh)
        if q == p + 3:
            p = q
            if p < end and s[p] == 58:
                p += 1
            if p + 2 <= end and digits(s, p, p + 2, &zm) == p + 2:
                p += 2
            seconds -= sign * (zh * 3600 + zm * 60)
    time[0] = epoch_day(y, mo, d) * 86400 + seconds
    return p
