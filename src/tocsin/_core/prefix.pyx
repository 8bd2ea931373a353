"""Read what stands before a console message: level, time, host, tag, caller.

Prefixes are stripped from the left, in any order and nesting a real pipe produces (a syslog
header around a printk stamp around a caller id), until nothing matches. A prefix that does not
parse is part of the message: this module never rejects a line. It knows syslog (RFC 3164 and
5424; a facility and level behind the host), the times that loggers, containers and terminal servers
put in front, all styles of dmesg and journalctl, /dev/kmsg and extended netconsole records, printk
stamps and caller ids, and terminal escapes in front of them.

A time without a zone is read as UTC; an RFC 3164 time has no year and gives no clock.

Long because every notation is a function of its own, and none of them makes sense alone.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memcmp, memset

from tocsin._core.lines cimport contains, is_digit, skip_escapes
from tocsin._core.times cimport clock, digits, epoch_day, iso_time, month

# Longer headers than this are not headers: bounds the work on a line that merely looks like one.
cdef enum:
    MAX_ROUNDS = 8
    MAX_TAG = 64


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
    if r - q - 1 < 3 or r - q - 1 > 9 or r >= end:
        return at
    for _ in range(r - q - 1):
        scale *= 10.0
    time[0] = whole + part / scale
    if s[r] == 32 and r + 1 < end and s[r + 1] == 60:  # dmesg -d: ` <    0.000123>`
        r += 2
        while r < end and (is_digit(s[r]) or s[r] == 32 or s[r] == 46):
            r += 1
        if r >= end or s[r] != 62:
            return at
        r += 1
        if r < end and s[r] == 32:  # journalctl -o short-delta
            r += 1
    if r >= end or s[r] != 93:
        return at
    return r + 1


cdef bint quoting(const uint8_t *front, size_t size) noexcept nogil:
    cdef size_t i
    cdef bint numbered = False, marked = False
    for i in range(size):
        if front[i] in (62, 124, 43):
            marked = True
        elif is_digit(front[i]):
            numbered = True
        elif front[i] == 58 or front[i] == 45:
            marked = marked or numbered
        elif front[i] not in (32, 9):
            return False
    return marked


cdef bint retelling(const uint8_t *front, uint32_t body, uint32_t size) noexcept nogil:
    """Whether the stamp behind front[0:size) stands in somebody's string, `"` open before it.

    A line that is nothing but a JSON object carries a message as the value of a key; in a list it
    is an exhibit, and so it is in what tocsin itself wrote.
    """
    cdef const char *own = b"urn:tocsin:incident:"
    cdef uint32_t i = body
    cdef bint odd = False
    while i < size and (front[i] == 32 or front[i] == 9):
        i += 1
    if body == 0 and i < size and front[i] == 123:
        if contains(front, size, <const uint8_t *> own, 20):
            return True
        i = size - 1
        if i < 2 or front[i] != 34:
            return False
        while i > 1 and front[i - 1] == 32:
            i -= 1
        return front[i - 1] != 58
    while i < size:
        odd = odd != (front[i] == 34)
        i += 1
    return odd


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


cdef inline uint32_t token(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """The offset behind the word at `at`."""
    while at < end and s[at] > 32:
        at += 1
    return at


cdef inline uint32_t blanks(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    while at < end and s[at] == 32:
        at += 1
    return at


cdef inline bint is_letter(uint8_t c) noexcept nogil:
    return 97 <= c <= 122 or 65 <= c <= 90


cdef uint32_t tag_end(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """`kernel:` or `sshd[7]:` or `(sd-umount)[9]:`: the offset behind its colon, or `at`."""
    cdef uint32_t q = at
    while q < end and q - at < MAX_TAG and s[q] > 32 and s[q] != 58:
        q += 1
    if q >= end or q == at or s[q] != 58:
        return at
    return q + 1


cdef inline bint has_pid(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """Whether the tag s[at:end), colon included, names a process: `sshd[7]:`."""
    cdef uint32_t q = end - 2
    if end - at < 5 or s[q] != 93:
        return False
    while q > at and is_digit(s[q - 1]):
        q -= 1
    return q < end - 2 and q > at + 1 and s[q - 1] == 91 and (is_letter(s[at]) or s[at] == 40)


cdef uint32_t facility(const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out) noexcept nogil:
    """`kern.warn ` as small loggers print it behind the host: the offset behind it, or `at`."""
    cdef const char *levels = b"emergalertcrit err  warn noticinfo debug"
    cdef uint32_t p = at, q, size
    cdef int level
    while p < end and (is_letter(s[p]) or is_digit(s[p])):
        p += 1
    if p == at or p >= end or s[p] != 46 or not is_letter(s[at]):
        return at
    q = token(s, p + 1, end)
    if q >= end or s[q] != 32 or not 3 < q - p <= 8:
        return at
    for level in range(8):
        size = 5
        while levels[5 * level + size - 1] == 32:
            size -= 1
        if q - p - 1 >= size and memcmp(s + p + 1, levels + 5 * level, size) == 0:
            break
    else:
        return at
    out.level = <int8_t> level
    return q + 1


cdef bint begins_time(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """Whether another log header begins here: one logger handed on what another had written."""
    cdef double seconds
    if at + 16 > end:
        return False
    if is_digit(s[at]):
        return iso_time(s, at, end, &seconds) != at
    return s[at + 3] == 32 and month(s + at) != 0 and (
        clock(s, at + 7, end, &seconds) != at + 7 or clock(s, at + 6, end, &seconds) != at + 6
    )


cdef uint32_t syslog_rest(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out, bint hosted
) noexcept nogil:
    """` host tag[pid]: ` behind a time; the offset of the message.

    A time with no such thing behind it was put in front by whoever took the line down (a
    container runtime, `ts`, a terminal server), and says nothing of who printed it. `hosted`: one
    word is a host's name, whatever follows, as RFC 3164 has it.
    """
    cdef uint32_t host, host_end, p, q
    at = blanks(s, at, end)
    host = at
    host_end = token(s, at, end)
    if host_end == host or s[host] == 91 or s[host] == 60 or s[host] == 123:
        return at
    if s[host_end - 1] == 58:  # no host: the tag comes at once
        if host_end - host == 7 and memcmp(s + host, b"kernel", 6) == 0:
            out.origin = ORIGIN_KERNEL
        elif has_pid(s, host, host_end):
            out.origin = ORIGIN_USER
        else:
            return at
        out.syslog = True
        return host_end + 1 if host_end < end else host_end
    p = blanks(s, host_end, end)
    if begins_time(s, p, end):
        return p
    q = facility(s, host, host_end + 1 if host_end < end else host_end, out)
    if q != host:  # a log of one machine: its name is left out
        host = host_end = 0
        p = q
    else:
        p = facility(s, p, end, out)
    q = tag_end(s, p, end)
    if not hosted and q - p == 6 and memcmp(s + p, b"login:", 6) == 0:
        # No log: a getty's prompt with a name typed or the kernel's next line behind it, under the
        # time of whoever took it down.
        p = blanks(s, q, end)
        if (p < end and s[p] == 91) or blanks(s, token(s, p, end), end) == end:
            return at
        p = q - 6
    if q == p or (not hosted and not (is_letter(s[p]) or has_pid(s, p, q))):
        if not hosted:
            return at
        out.syslog = True
        out.origin = ORIGIN_USER
        out.host = host
        out.host_end = host_end
        return p
    out.syslog = True
    out.host = host
    out.host_end = host_end
    out.origin = ORIGIN_USER
    if q - p >= 7 and memcmp(s + p, b"kernel", 6) == 0 and (q - p == 7 or s[p + 6] == 91):
        out.origin = ORIGIN_KERNEL
    return q + 1 if q < end and s[q] == 32 else q


cdef uint32_t container(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """`stdout F ` as container runtimes write it: the offset behind it, or `at`."""
    if (
        at + 9 <= end and (s[at + 7] == 70 or s[at + 7] == 80) and s[at + 8] == 32
        and (memcmp(s + at, b"stdout ", 7) == 0 or memcmp(s + at, b"stderr ", 7) == 0)
    ):
        return at + 9
    return at


cdef inline bint weekday(const uint8_t *s) noexcept nogil:
    cdef const char *names = b"MonTueWedThuFriSatSun"
    cdef int day
    for day in range(7):
        if memcmp(s, names + 3 * day, 3) == 0:
            return True
    return False


cdef uint32_t syslog_header(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """RFC 3164 `Nov 23 01:02:03 host tag: ` or the same with an ISO time, with or without a day."""
    cdef uint32_t first = at, p, q
    cdef double seconds = 0
    cdef int64_t day, year
    cdef bint named = False
    if at + 16 > end:
        return at
    if s[at + 3] == 32 and weekday(s + at):
        named = True
        at += 4
        if at + 16 > end:
            return first
    if is_digit(s[at]):
        p = iso_time(s, at, end, &seconds)
        if p == at:
            if named:
                return first
            p = clock(s, at, end, &seconds)  # the time of day alone: a terminal program's
            if p == at or p >= end or s[p] != 32:
                return first
            p = blanks(s, p, end)
            return p + 2 if p + 1 < end and s[p] == 62 and s[p + 1] == 32 else p
        if p >= end or (s[p] != 32 and s[p] != 58):
            return first
        out.time = seconds
        out.clock = CLOCK_WALL
        if s[p] == 58:  # libvirt's log of a guest's console
            return p + 2 if p + 1 < end and s[p + 1] == 32 else p + 1
        if (
            not named and at + 27 < end and s[at + 19] == 44
            and (s[at + 26] == 43 or s[at + 26] == 45) and out.origin != ORIGIN_USER
        ):  # a comma and microseconds: dmesg --time-format=iso
            out.origin = ORIGIN_KERNEL
            out.stamped = True
            return p + 1
        p = blanks(s, p, end)
        if named:  # journalctl -o short-full: the zone's name
            q = token(s, p, end)
            p = blanks(s, q, end)
        q = container(s, p, end)
        return q if q != p else syslog_rest(s, p, end, out, False)
    if s[at + 3] != 32 or month(s + at) == 0:
        return first
    p = blanks(s, at + 4, end)
    q = digits(s, p, end, &day)
    if q == p or q >= end or s[q] != 32 or not 1 <= day <= 31:
        return first
    q += 1
    if q + 5 < end and s[q + 4] == 32 and digits(s, q, q + 4, &year) == q + 4:
        q += 5
    p = clock(s, q, end, &seconds)
    if p == q or p >= end or s[p] != 32:
        return first
    if named:  # as `date` prints it: the year stands behind
        if p + 6 > end or s[p + 5] != 32 or digits(s, p + 1, p + 5, &year) != p + 5:
            return first
        p += 5
    return syslog_rest(s, p + 1, end, out, True)


cdef uint32_t unix_header(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """`1795395723.123456 host tag: ` (journalctl -o short-unix): the offset behind it, or `at`."""
    cdef int64_t whole, part
    cdef uint32_t p = digits(s, at, end, &whole), q
    if p - at < 9 or p >= end or s[p] != 46:
        return at
    q = digits(s, p + 1, end, &part)
    if q - p != 7 or q >= end or s[q] != 32:
        return at
    p = syslog_rest(s, q + 1, end, out, False)
    if not out.syslog:
        return at
    out.time = whole + part / 1e6
    out.clock = CLOCK_WALL
    return p


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


cdef bint names_level(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """Whether a web server's `[error] ` or `[core:notice] ` begins here."""
    cdef const char *levels = b"emerg alert crit  error warn  noticeinfo  debug "
    cdef uint32_t p = at + 1, q = at + 1, size
    cdef int level
    if at >= end or s[at] != 91:
        return False
    while q < end and q - at < MAX_TAG and s[q] > 32 and s[q] != 93:
        q += 1
        if s[q - 1] == 58:
            p = q
    if q >= end or s[q] != 93:
        return False
    for level in range(8):
        size = 6
        while levels[6 * level + size - 1] == 32:
            size -= 1
        if q - p == size and memcmp(s + p, levels + 6 * level, size) == 0:
            return True
    return False


cdef uint32_t dmesg_time(const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out) noexcept nogil:
    """`[Mon Nov 23 01:02:03 2026] `: the offset behind it, or `at`.

    Apache begins its error log so, too: with a fraction of the second, or with a level behind it.
    """
    cdef int64_t day, year
    cdef double seconds
    cdef uint32_t p, q, second
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
    second = q + 9
    p = clock(s, q + 1, end, &seconds)
    if p == q + 1 or p >= end:
        return at
    q = digits(s, p + 1, end, &year)
    if q - p != 5 or q >= end or s[q] != 93:
        return at
    out.time = epoch_day(year, m, day) * 86400 + seconds
    out.clock = CLOCK_WALL
    if p != second or names_level(s, q + 2 if q + 2 < end else end, end):
        out.origin = ORIGIN_USER
        out.syslog = True
        return q + 1
    out.origin = ORIGIN_KERNEL
    out.stamped = True
    return q + 1


cdef uint32_t dmesg_relative(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """`[Nov23 01:02] ` and `[  +0.000123] ` of `dmesg -e`: the offset behind it, or `at`."""
    cdef int64_t n
    cdef uint32_t p = at + 1, q
    if at + 13 > end or s[at] != 91:
        return at
    if month(s + p):
        q = digits(s, p + 3, end, &n)
        if q == p + 3 or q + 7 > end or s[q] != 32 or s[q + 3] != 58 or s[q + 6] != 93:
            return at
        p = q + 6
    else:
        p = blanks(s, p, end)
        if s[p] != 43:
            return at
        q = digits(s, p + 1, end, &n)
        if q == p + 1 or q + 8 > end or s[q] != 46:
            return at
        p = digits(s, q + 1, end, &n)
        if p != q + 7 or p >= end or s[p] != 93:
            return at
    out.origin = ORIGIN_KERNEL
    out.stamped = True
    return p + 1


cdef uint32_t bracketed_time(
    const uint8_t *s, uint32_t at, uint32_t end, prefix_t *out
) noexcept nogil:
    """`[2026-11-23 01:02:03.5] ` of a terminal program: the offset behind it, or `at`.

    It is the time of the one who took the line down, and says nothing of who printed it.
    """
    cdef double seconds
    cdef uint32_t p
    if at + 21 > end or s[at] != 91:
        return at
    p = iso_time(s, at + 1, end, &seconds)
    if p == at + 1 or p >= end or s[p] != 93:
        return at
    out.time = seconds
    out.clock = CLOCK_WALL
    return p + 2 if p + 1 < end and s[p + 1] == 32 else p + 1


cdef bint program_tag(const uint8_t *s, uint32_t at, uint32_t end) noexcept nogil:
    """Whether a stamped message is a program's, written to /dev/kmsg: `systemd[1]: `.

    The kernel begins so, too, when it speaks of a process (`httpd[77]: segfault`); what begins
    there may be printed by anybody.
    """
    cdef uint32_t q = tag_end(s, at, end)
    return q != at and q < end and s[q] == 32 and has_pid(s, at, q)


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
    """`[ T123]` or `[    C0]` behind a stamp or time: the offset behind it, or `at`."""
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
    cdef bint dated = False
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
            if not out.stamped or dated:
                at = stamp(line, p, size, &time)
                if at != p:
                    dated = False
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
                dated = at != p  # or a terminal server's date, and the kernel's stamp behind it
                if at == p:
                    at = dmesg_relative(line, p, size, out)
                if at != p:
                    if at < size and line[at] == 32:
                        at += 1
                    continue
                if out.clock == CLOCK_NONE:
                    at = bracketed_time(line, p, size, out)
                    if at != p:
                        continue
            if out.caller_kind == 0 and (out.stamped or out.clock != CLOCK_NONE):
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
            if at == p:
                at = unix_header(line, p, size, out)
            if at != p:
                continue
            # RFC 6587 counts the octets of a record in front of it.
            at = digits(line, p, size, &n)
            if at - p <= 5 and at + 1 < size and line[at] == 32 and line[at + 1] == 60:
                at += 1
                continue
            at = p
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
            # Behind the header of a program these are words of that program.
            if (
                out.origin == ORIGIN_UNKNOWN and p + 8 <= size
                and memcmp(line + p, b"kernel: ", 8) == 0
            ):
                out.origin = ORIGIN_KERNEL
                at = p + 8
                continue
        at = p
        break
    out.body = at if at < size else size
    out.tagged = out.stamped and program_tag(line, out.body, size)
