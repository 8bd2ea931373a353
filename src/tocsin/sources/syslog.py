"""Syslog as it comes over a network: which bytes are one message.

Datagrams are messages. A TCP stream is framed by octet counting (`83 <34>1 ...`) or by line ends
(RFC 6587), told apart frame by frame by the first byte. The header stays: the scanner reads
RFC 3164 and 5424 itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["LONGEST", "Frames", "as_lines"]

LONGEST = 64 << 10  # bytes of a message; what is longer is cut and counted
COUNT = re.compile(rb"([1-9]\d{0,8}) ")
PRIORITY = re.compile(rb"<\d{1,3}>")
BOM = b"\xef\xbb\xbf"


class Frames:
    """One connection. Damage is counted in `malformed`, never raised."""

    def __init__(self) -> None:
        self.malformed = 0
        self._buffer = b""
        self._skip = 0  # bytes of an over-long counted message still to come
        self._in_line = False  # within an over-long line

    def feed(self, data: bytes) -> Iterator[bytes]:
        buffer = self._buffer + data if self._buffer else data
        at = 0
        size = len(buffer)
        while at < size:
            if self._skip:
                step = min(self._skip, size - at)
                self._skip -= step
                at += step
                continue
            if not self._in_line and b"1" <= buffer[at : at + 1] <= b"9":
                count = COUNT.match(buffer, at)
                if count is not None:
                    length = int(count[1])
                    begin = count.end()
                    if length > LONGEST:
                        if size - begin < LONGEST:
                            break
                        self.malformed += 1
                        yield buffer[begin : begin + LONGEST]
                        at = begin + LONGEST
                        self._skip = length - LONGEST
                        continue
                    if size - begin < length:
                        break
                    yield buffer[begin : begin + length]
                    at = begin + length
                    continue
                if size - at < 10 and buffer[at:].isdigit():
                    break  # the count itself is cut
            end = buffer.find(b"\n", at)
            if end < 0 and size - at <= LONGEST:
                break
            if end < 0 or end - at > LONGEST:
                if not self._in_line:
                    self.malformed += 1
                self._in_line = True
                yield buffer[at : at + LONGEST]
                at += LONGEST
                continue
            self._in_line = False
            if end > at:
                yield buffer[at:end]
            at = end + 1
        self._buffer = buffer[at:]

    def rest(self) -> Iterator[bytes]:
        """What the connection ended in the middle of."""
        rest, self._buffer = self._buffer, b""
        if rest:
            yield rest


def is_message(message: bytes) -> bool:
    return PRIORITY.match(message) is not None


def as_lines(message: bytes) -> bytes:
    """One message as lines of a log; some senders end theirs with a NUL or a newline."""
    return message.rstrip(b"\0\r\n").replace(BOM, b"", 1) + b"\n"
