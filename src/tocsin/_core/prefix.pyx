"""Read what stands before a console message: level, time, host, tag, caller.

Prefixes are stripped from the left, in any order and nesting a real pipe produces (a syslog
header around a printk stamp around a caller id), until nothing matches. A prefix that does not
parse is part of the message: this module never rejects a line. It knows syslog (RFC 3164 and
5424), ISO and `dmesg -T` times, `dmesg -x`, /dev/kmsg and extended netconsole records, printk
stamps and caller ids, and terminal escapes in front of them.

A time without a zone is read as UTC; an RFC 3164 time has no year and gives no clock.

Long because every notation is a function of its own, and none of them makes sense alone.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memset

from tocsin._core.lines cimport is_digit
from tocsin._core.times cimport clock, digits, epoch_day, iso_time, month

# Longer headers than this are not headers: bounds the work on a line that merely looks like one.
cdef enum:
    MAX_ROUNDS = 8
    MAX_TAG = 64


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


cdef inline uint32_t stamp(
    const uint8_t *s, uint32_t at, uint32_t end, double *time
) noexcept nogil:
    """`[   12.345678]`: the offset behind it, or `at`."""
    cdef int64_t whole, part
    cdef uint32_t p = at + 1, q, r
    cdef double scale = 1.0
    if at >= end or s[at] != 91:
        return at
    while p < end and s[p] == 32:
        p += 1
    q = digits(s, p, end, &whole)
    if q == p or q >= end or s[q] != 46:
        return at
    r = digits(s, q + 1, end, &part)
    if r - q - 1 < 3 or r - q - 1 > 9 or r >= end or s[r] != 93:
        return at
    for _ in range(r - q - 1):
        scale *= 10.0
    time[0] = whole + part / scale
    return r + 1


cdef uint32_t find_stamp(const uint8_t *line, uint32_t start, uint32_t size) noexcept nogil:
    cdef const uint8_t *hit
    cdef uint32_t at = start, behind
    cdef double time
    while at < size:
        hit = <const uint8_t *> memchr(line + at, 91, size - at)
        if hit == NULL:
            return size
        at = <uint32_t> (hit - line)
        behind = stamp(line, at, size, &time)
        # printk prints six digits; fewer are somebody's list index or version.
        if behind > at + 8 and line[behind - 8] == 46:
            return at
        at += 1
    return size


cdef uint32_t syslog_rest(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """` host tag[pid]: ` behind a syslog time; the offset of the message."""
    cdef uint32_t p, q
    while at < end and s[at] == 32:
        at += 1
    p = at
    while p < end and s[p] > 32:
        p += 1
    if p == at:
        return at
    if s[p - 1] == 58:  # no host: the tag comes at once
        q = p - 1
        out.origin = ORIGIN_USER
        if q - at == 6 and memcmp(s + at, b"kernel", 6) == 0:
            out.origin = ORIGIN_KERNEL
        return p + 1 if p < end else p
    out.host = at
    out.host_end = p
    out.origin = ORIGIN_USER
    while p < end and s[p] == 32:
        p += 1
    q = p
    while q < end and q - p < MAX_TAG and s[q] > 32 and s[q] != 58:
        q += 1
    if q < end and s[q] == 58 and q > p:
        if q - p >= 6 and memcmp(s + p, b"kernel", 6) == 0 and (q - p == 6 or s[p + 6] == 91):
            out.origin = ORIGIN_KERNEL
        q += 1
        return q + 1 if q < end and s[q] == 32 else q
    return p


cdef uint32_t syslog_header(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """RFC 3164 `Nov 23 01:02:03 host tag: ` or the same with an ISO time."""
    cdef uint32_t first = at, p
    cdef double seconds = 0
    cdef int64_t day
    if at + 16 > end:
        return at
    if is_digit(s[at]):
        p = iso_time(s, at, end, &seconds)
        # An ISO time at the start of a message of a program is not a syslog header unless a host
        # and a tag follow; the time is taken all the same.
        if p == at or p >= end or s[p] != 32:
            return at
        out.time = seconds
        out.clock = CLOCK_WALL
        out.syslog = True
        return syslog_rest(s, p + 1, end, out)
    if s[at + 3] != 32 or month(s + at) == 0:
        return at
    p = at + 4
    while p < end and s[p] == 32:
        p += 1
    at = digits(s, p, end, &day)
    if at == p or at >= end or s[at] != 32 or not 1 <= day <= 31:
        return first
    p = clock(s, at + 1, end, &seconds)
    if p == at + 1 or p >= end or s[p] != 32:
        return first
    out.syslog = True
    return syslog_rest(s, p + 1, end, out)


cdef uint32_t rfc5424(const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out) noexcept nogil:
    """`1 time host app procid msgid sd ` behind `<pri>`; the offset of the message, or `at`."""
    cdef uint32_t p, q
    cdef double time
    cdef int field
    if at + 4 > end or s[at] != 49 or s[at + 1] != 32:
        return at
    p = iso_time(s, at + 2, end, &time)
    if p == at + 2:
        if s[at + 2] != 45:
            return at
        p = at + 3
    else:
        out.time = time
        out.clock = CLOCK_WALL
    out.syslog = True
    out.origin = ORIGIN_USER
    for field in range(4):
        while p < end and s[p] == 32:
            p += 1
        q = p
        while q < end and s[q] > 32:
            q += 1
        if field == 0:
            out.host = p
            out.host_end = q
        elif field == 1 and q - p == 6 and memcmp(s + p, b"kernel", 6) == 0:
            out.origin = ORIGIN_KERNEL
        p = q
    while p < end and s[p] == 32:
        p += 1
    if p < end and s[p] == 91:  # structured data: [...] with \] escaped
        while p < end and s[p] == 91:
            while p < end and s[p] != 93:
                p += 2 if s[p] == 92 else 1
            p += 1
        if p > end:
            p = end
    elif p < end and s[p] == 45:
        p += 1
    if p < end and s[p] == 32:
        p += 1
    if p + 3 <= end and s[p] == 0xEF and s[p + 1] == 0xBB and s[p + 2] == 0xBF:
        p += 3
    return p


cdef uint32_t kmsg_head(const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out) noexcept nogil:
    """`[release,]prio,seq,usec,flags[,key=value...];`: the offset behind it, or `at`."""
    cdef int64_t prio, seq, usec, caller
    cdef uint32_t p, q, stop
    cdef const uint8_t *semicolon
    stop = end if end - at < 256 else at + 256
    semicolon = <const uint8_t *> memchr(s + at, 59, stop - at)
    if semicolon == NULL:
        return at
    stop = <uint32_t> (semicolon - s)
    p = digits(s, at, stop, &prio)
    if p == at:
        return at
    if p < stop and s[p] != 44:  # extended netconsole may put the kernel release first
        while p < stop and s[p] != 44:
            p += 1
        if p >= stop:
            return at
        q = digits(s, p + 1, stop, &prio)
        if q == p + 1:
            return at
        p = q
    if p >= stop or s[p] != 44:
        return at
    q = digits(s, p + 1, stop, &seq)
    if q == p + 1 or q >= stop or s[q] != 44:
        return at
    p = digits(s, q + 1, stop, &usec)
    if p == q + 1 or p >= stop or s[p] != 44:
        return at
    out.level = <int8_t> (prio & 7)
    out.origin = ORIGIN_KERNEL if prio < 8 else ORIGIN_USER
    out.time = usec / 1e6
    out.clock = CLOCK_KERNEL
    out.stamped = True
    p += 1
    while p < stop:
        if s[p] == 44 and p + 9 < stop and memcmp(s + p, b",caller=", 8) == 0:
            if s[p + 8] == 84 or s[p + 8] == 67:
                if digits(s, p + 9, stop, &caller) > p + 9:
                    out.caller_kind = s[p + 8]
                    out.caller = <uint32_t> caller
            break
        p += 1
    return stop + 1


cdef uint32_t dmesg_time(const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out) noexcept nogil:
    """`[Mon Nov 23 01:02:03 2026] `: the offset behind it, or `at`."""
    cdef int64_t day, year
    cdef double seconds
    cdef uint32_t p, q
    cdef int m
    if at + 26 > end or s[at] != 91 or s[at + 4] != 32 or s[at + 8] != 32:
        return at
    m = month(s + at + 5)
    if m == 0:
        return at
    p = at + 9
    while p < end and s[p] == 32:
        p += 1
    q = digits(s, p, end, &day)
    if q == p or q >= end:
        return at
    p = clock(s, q + 1, end, &seconds)
    if p == q + 1 or p >= end:
        return at
    q = digits(s, p + 1, end, &year)
    if q - p != 5 or q >= end or s[q] != 93:
        return at
    out.time = epoch_day(year, m, day) * 86400 + seconds
    out.clock = CLOCK_WALL
    out.origin = ORIGIN_KERNEL
    out.stamped = True
    return q + 1


cdef uint32_t dmesg_decoded(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """`kern  :warn  : ` of `dmesg -x`: the offset behind it, or `at`."""
    cdef const char *facilities = b"kern  user  daemonauth  syslogmail  cron  local0local1"
    cdef const char *levels = b"emerg alert crit  err   warn  noticeinfo  debug "
    cdef int facility, level
    if at + 14 > end or s[at + 6] != 58 or s[at + 13] != 58:
        return at
    for facility in range(9):
        if memcmp(s + at, facilities + 6 * facility, 6) == 0:
            break
    else:
        return at
    for level in range(8):
        if memcmp(s + at + 7, levels + 6 * level, 6) == 0:
            out.level = <int8_t> level
            out.origin = ORIGIN_KERNEL if facility == 0 else ORIGIN_USER
            return at + 15 if at + 14 < end and s[at + 14] == 32 else at + 14
    return at


cdef uint32_t caller_id(const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out) noexcept nogil:
    """`[ T123]` or `[    C0]` right behind a stamp: the offset behind it, or `at`."""
    cdef int64_t n
    cdef uint32_t p = at + 1, q
    while p < end and s[p] == 32:
        p += 1
    if p >= end or (s[p] != 84 and s[p] != 67):
        return at
    q = digits(s, p + 1, end, &n)
    if q == p + 1 or q >= end or s[q] != 93:
        return at
    out.caller_kind = s[p]
    out.caller = <uint32_t> n
    return q + 1


cdef uint32_t journal_host(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """`web-1 kernel: ` behind a stamp (journalctl -o short-monotonic): the offset behind, or `at`.

    Other tags are left in the message: `Web Content[7]: segfault` is a kernel's line."""
    cdef uint32_t p = at
    while p < end and s[p] > 32 and s[p] != 58:
        p += 1
    if p == at or p + 9 > end or memcmp(s + p, b" kernel: ", 9) != 0:
        return at
    out.host = at
    out.host_end = p
    return p + 9


cdef void parse_prefix(const uint8_t *line, uint32_t size, prefix_t *out) noexcept nogil:
    cdef uint32_t at = 0, p
    cdef int64_t n
    cdef double time
    cdef uint8_t c
    memset(out, 0, sizeof(prefix_t))
    out.level = -1
    out.origin = ORIGIN_UNKNOWN
    for _ in range(MAX_ROUNDS):
        p = skip_escapes(line, at, size)
        if p >= size:
            at = p
            break
        c = line[p]
        if c == 91:  # '['
            if not out.stamped:
                at = stamp(line, p, size, &time)
                if at != p:
                    out.stamped = True
                    if out.origin == ORIGIN_UNKNOWN:
                        out.origin = ORIGIN_KERNEL
                    if out.clock != CLOCK_WALL or out.origin == ORIGIN_KERNEL:
                        out.time = time
                        out.clock = CLOCK_KERNEL
                    if at < size and line[at] == 91:
                        continue
                    if at < size and line[at] == 32:
                        at += 1
                    if out.host_end == 0:
                        at = journal_host(line, at, size, out)
                    continue
                at = dmesg_time(line, p, size, out)
                if at != p:
                    if at < size and line[at] == 32:
                        at += 1
                    continue
            elif out.caller_kind == 0 and p >= 1 and line[p - 1] == 93:
                at = caller_id(line, p, size, out)
                if at != p:
                    if at < size and line[at] == 32:
                        at += 1
                    continue
            at = p
            break
        if c == 60 and out.level < 0:  # '<'
            at = digits(line, p + 1, size, &n)
            if at > p + 1 and at - p <= 4 and at < size and line[at] == 62:
                at += 1
                out.level = <int8_t> (n & 7)
                at = rfc5424(line, at, size, out)
                continue
            at = p
            break
        if is_digit(c) and not out.syslog and not out.stamped:
            at = kmsg_head(line, p, size, out)
            if at != p:
                break
            at = syslog_header(line, p, size, out)
            if at != p:
                continue
            break
        if 65 <= c <= 90 and not out.syslog and not out.stamped:
            at = syslog_header(line, p, size, out)
            if at != p:
                continue
            break
        if 97 <= c <= 122 and not out.stamped:
            at = dmesg_decoded(line, p, size, out)
            if at != p:
                continue
            if p + 8 <= size and memcmp(line + p, b"kernel: ", 8) == 0:
                out.origin = ORIGIN_KERNEL
                at = p + 8
                continue
        at = p
        break
    out.body = at if at < size else size
