"""The journal's export format, byte for byte.

Entries end with an empty line. A field is `NAME=value\n` where the value is text, and
`NAME\n`, eight bytes of length (little endian), the value, `\n` where it is anything else: a
console's escapes and bytes that are no UTF-8 come whole, where JSON would bend them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

__all__ = ["DIGITS", "Entries", "Entry", "as_lines"]

MOST = 64 << 20  # bytes of one entry; journald takes no larger ones

DIGITS = 20  # of 64 bits

Entry = dict[bytes, bytes]


class Entries:
    """Feed it pieces of the stream; whole entries come out. Damage is counted, never raised."""

    def __init__(self) -> None:
        self.damaged = 0
        self._buffer = bytearray()
        self._at = 0
        self._entry: Entry = {}
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[Entry]:
        self._buffer += data
        while True:
            end = self._buffer.find(b"\n", self._at)
            if end < 0:
                if len(self._buffer) - self._at > MOST:
                    self._spoil()
                    self._at = len(self._buffer)
                break
            line = bytes(self._buffer[self._at : end])
            if not line:
                self._at = end + 1
                entry, self._entry = self._entry, {}
                skipped, self._skipping = self._skipping, False
                if entry and not skipped:
                    yield entry
                continue
            name, equals, value = line.partition(b"=")
            if equals:
                self._at = end + 1
                self._put(name, value)
                continue
            # Binary: the length may not have come yet.
            if len(self._buffer) < end + 9:
                break
            size = int.from_bytes(self._buffer[end + 1 : end + 9], "little")
            stop = end + 9 + size
            if size > MOST or not name.replace(b"_", b"").isalnum():
                self._spoil()
                self._at = end + 1
                continue
            if len(self._buffer) < stop + 1:
                break
            self._at = stop + 1
            if self._buffer[stop] != 10:
                self._spoil()
                continue
            self._put(name, bytes(self._buffer[end + 9 : stop]))
        if self._at:
            del self._buffer[: self._at]
            self._at = 0

    def _put(self, name: bytes, value: bytes) -> None:
        # A repeated field is a list; the first is the one that programs mean.
        self._entry.setdefault(name, value)

    def _spoil(self) -> None:
        """Up to the next empty line this is not an entry."""
        if not self._skipping:
            self.damaged += 1
        self._skipping = True


def as_lines(entry: Entry) -> bytes:
    """The entry as lines of a syslog file, or of a console for the kernel's own."""
    message = entry.get(b"MESSAGE", b"")
    priority = entry.get(b"PRIORITY", b"")
    level = b"<%s>" % priority if priority.isdigit() else b""
    kernel = entry.get(b"_TRANSPORT") == b"kernel"
    monotonic = entry.get(b"_SOURCE_MONOTONIC_TIMESTAMP", b"")
    head = level + _moment(entry) + _word(entry.get(b"_HOSTNAME", b"localhost")) + b" "
    if kernel:
        head += b"kernel: "
        if monotonic.isdigit() and len(monotonic) <= DIGITS:
            seconds, usec = divmod(int(monotonic), 1_000_000)
            head += b"[%5d.%06d] " % (seconds, usec)
    else:
        head += _word(entry.get(b"SYSLOG_IDENTIFIER") or entry.get(b"_COMM") or b"unknown")
        pid = entry.get(b"_PID") or entry.get(b"SYSLOG_PID", b"")
        head += (b"[%s]: " % pid) if pid.isdigit() else b": "
    return b"".join(head + line + b"\n" for line in message.split(b"\n"))


def _word(text: bytes) -> bytes:
    return b"_".join(text.split()) or b"-"


def _moment(entry: Entry) -> bytes:
    usec = entry.get(b"_SOURCE_REALTIME_TIMESTAMP") or entry.get(b"__REALTIME_TIMESTAMP", b"")
    if not usec.isdigit():
        return b""
    try:
        moment = datetime.fromtimestamp(int(usec) / 1e6, UTC)
    except (ValueError, OverflowError, OSError):
        return b""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00 ").encode()
