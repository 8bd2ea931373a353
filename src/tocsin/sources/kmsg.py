"""Records of /dev/kmsg: one a read, as lines of a console.

`6,1234,5678901,-,caller=T12;text\n SUBSYSTEM=usb\n`: level and facility, sequence number,
microseconds since boot, flags, and what newer kernels add; text with what is not printable as
\\xNN; then the device the message is about. Extended netconsole sends the same.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable
from typing import NamedTuple

from tocsin.watch.loop import Loop
from tocsin.watch.streams import Streams

__all__ = ["Kmsg", "Record", "as_line", "parse", "unescaped"]

BUFFER = 16384  # a record is at most 8 KiB in every kernel so far
ROUND = 1000  # records before others have their turn
HEADER = re.compile(
    # 64 bits have 20 digits. Anybody can send longer ones, which Python would refuse to read.
    rb"(?:(?P<release>\d[^,;\s]*),)?(?P<priority>\d{1,9}),(?P<sequence>\d{1,20}),(?P<usec>\d{1,20}),"
    rb"(?P<flags>[^,;]*)(?P<more>(?:,[^,;]*)*);"
)
ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
CALLER = re.compile(rb",caller=([TC]\d+)")
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Record(NamedTuple):
    priority: int
    sequence: int
    usec: int
    continued: bool  # flag `+` or `c`: a piece of a line
    caller: bytes
    text: bytes
    more: bytes  # of the header: netconsole's fragments stand there


def parse(data: bytes) -> Record | None:
    header = HEADER.match(data)
    if header is None:
        return None
    text = data[header.end() :]
    # Lines that begin with a space are properties; one of the text's own has its newline escaped.
    end = text.find(b"\n")
    text = text if end < 0 else text[:end]
    more = header["more"]
    caller = CALLER.search(more)
    return Record(
        int(header["priority"]),
        int(header["sequence"]),
        int(header["usec"]),
        header["flags"][:1] == b"+",
        caller[1] if caller else b"",
        unescaped(text),
        more,
    )


def unescaped(text: bytes) -> bytes:
    if b"\\x" not in text:
        return text
    return ESCAPE.sub(lambda match: bytes((int(match[1], 16),)), text)


def as_line(record: Record) -> bytes:
    """What a console with time stamps and callers prints for it, level in front."""
    seconds, usec = divmod(record.usec, 1_000_000)
    caller = b"[%5s]" % record.caller if record.caller else b""
    head = b"<%d>[%5d.%06d]%s " % (record.priority, seconds, usec, caller)
    # Each line of a text of several is a line of the console, and has the prefix.
    return b"".join(head + line + b"\n" for line in record.text.split(b"\n"))


class Kmsg:
    """`path`: /dev/kmsg, or a file of records, one a line, that stands in for it."""

    def __init__(
        self,
        path: str,
        *,
        from_end: bool,
        failed: Callable[[str], object],
        boot: str | None = None,
    ) -> None:
        self.path = path
        self._from_end = from_end
        self._failed = failed
        self._boot = boot or _boot_id()
        self._next: int | None = None  # the sequence number that comes next
        self._rest = b""

    def start(self, loop: Loop, streams: Streams) -> None:
        self._loop = loop
        stream = self._stream = streams.open(f"kmsg:{self.path}", replays=True, host=_host())
        # Ids of one boot must not be those of another: sequence numbers begin anew.
        stream.origin = f"{stream.name}@{self._boot}"
        stream.where = lambda: [self._boot, self._next]
        saved = stream.position
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            hint = ""
            if error.errno == errno.EPERM:
                hint = "; it wants root or CAP_SYSLOG (dmesg_restrict)"
            self._failed(f"{self.path}: {error.strerror}{hint}")
            return
        self._is_file = stat.S_ISREG(os.fstat(self._fd).st_mode)
        if saved and saved[0] == self._boot:
            self._next = saved[1]
        elif saved:
            stream.flush()
        elif self._from_end:
            with contextlib.suppress(OSError):
                os.lseek(self._fd, 0, os.SEEK_END)
        if self._is_file:
            loop.soon(self._read_file)
        else:
            try:
                loop.on_readable(self._fd, self._read)
            except OSError:
                self._failed(f"{self.path}: expected /dev/kmsg, or a file of its records")

    def take(self, data: bytes) -> None:
        record = parse(data)
        if record is None:
            self._stream.gap("a record that is none", lost_bytes=len(data))
            return
        if self._next is not None:
            if record.sequence < self._next:
                return  # told in an earlier run
            if record.sequence > self._next:
                lost = record.sequence - self._next
                self._stream.gap("the kernel's buffer overran", lost_records=lost)
        self._next = record.sequence + 1
        self._stream.feed(as_line(record))

    def close(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self._fd)

    def _read(self) -> None:
        for _ in range(ROUND):
            try:
                data = os.read(self._fd, BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EPIPE:
                    continue  # overrun: the next record's number tells by how much
                self._loop.forget(self._fd)
                self._stream.flush()
                self._failed(f"{self.path}: {error.strerror}")
                return
            if not data:
                return
            self.take(data)

    def _read_file(self) -> None:
        try:
            data = os.read(self._fd, 1 << 16)
        except OSError as error:
            self._failed(f"{self.path}: {error.strerror}")
            return
        if not data:
            self._loop.after(0.1, self._read_file)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line and not line.startswith(b" "):
                self.take(line)
        self._loop.soon(self._read_file)


def _boot_id() -> str:
    try:
        with open(BOOT_ID, encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def _host() -> str:
    return os.uname().nodename
