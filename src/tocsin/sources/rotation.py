"""Where a rotated log went: its siblings in the same directory.

`console.log` becomes `console.log.1`, `console.log-20261123`, `console.1.log`; by rename (the same
inode under another name) or by copy and truncation (the same bytes in another inode). Packed ones
are nobody's continuation: what is packed was complete.
"""

from __future__ import annotations

import bisect
import contextlib
import itertools
import os
import re
import time
from typing import NamedTuple

from tocsin.sources.archive import recognise

__all__ = [
    "HEAD", "TAIL", "UNKNOWN", "OpenPart", "Part", "Sibling", "begins_alike", "is_copy", "is_fresh",
    "names_changed", "names_like", "reopen", "siblings",
]  # fmt: skip

TAIL = 64  # bytes before a position that tell whether the file is still the same
HEAD = 64  # bytes that tell one file from a later one in the same inode
TICK = 50_000_000  # nanoseconds: times of files are no finer than the kernel's ticks
RENAMES = 8  # of one file, while it is being looked for
UNKNOWN = -1  # of a time
NUMBER = re.compile(r"(\d+)(?=\D*$)")


class Part(NamedTuple):
    """How far one file was read."""

    device: int
    inode: int
    position: int
    tail: str  # the last bytes before the position, in hexadecimal
    seen: int = 0  # when it was changed last, by what was seen of it; nanoseconds


class OpenPart:
    """One file: its identity, its descriptor (-1: closed for now), how far it was read."""

    __slots__ = (
        "again", "before", "device", "fd", "inode", "is_complete", "names", "position",
        "restored", "seen", "since", "tail", "until",
    )  # fmt: skip

    def __init__(
        self, device: int, inode: int, position: int, tail: bytes = b"", seen: int = 0
    ) -> None:
        self.device = device
        self.inode = inode
        self.position = position
        self.tail = tail
        self.fd = -1
        self.is_complete = False  # deleted, and read to its end
        self.until = 0.0
        # When it was changed last, by what was seen of it; 0: not looked at yet.
        self.seen = seen
        self.restored = seen > 0  # by an earlier run
        # While nothing was read of it: copies younger than this may hold what was never seen here,
        # its directory may have new ones if it was changed after this, and how far its content
        # was read before it was truncated.
        self.since = seen
        self.names = UNKNOWN
        self.again = True  # its own time does not tell whether it was changed since
        self.before: tuple[int, bytes] | None = None

    @classmethod
    def at(cls, path: str, status: os.stat_result, position: int) -> OpenPart:
        """The file under `path`, of which what is before `position` is old."""
        part = cls(status.st_dev, status.st_ino, position)
        # By the bytes before it, it is known for the same later.
        with contextlib.suppress(OSError):
            if position and part.open(path):
                part.tail = os.pread(part.fd, min(TAIL, position), max(0, position - TAIL))
                part.seen = status.st_mtime_ns
            part.close()
        return part

    def part(self) -> Part:
        return Part(self.device, self.inode, self.position, self.tail.hex(), self.seen)

    def is_file(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) == (self.device, self.inode)

    def open(self, path: str) -> bool:
        """Have a descriptor, if this file is what lies under `path`. Raises OSError when it may
        not be opened."""
        if self.fd >= 0:
            return True
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        if not self.is_file(os.fstat(fd)):
            os.close(fd)
            return False
        self.fd = fd
        return True

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Sibling(NamedTuple):
    path: str
    device: int
    inode: int
    size: int
    changed: int  # nanoseconds: content, not name
    head: bytes

    @property
    def age(self) -> tuple[int, int]:
        """Orders from the oldest to the youngest; of equal times, the higher number is older."""
        number = NUMBER.search(os.path.basename(self.path))
        return self.changed, -int(number[1]) if number and len(number[1]) < 6 else 0


def is_fresh(changed: int) -> bool:
    """Whether what was changed then may have been changed since without its time telling."""
    return time.time_ns() - changed < TICK


def names_changed(path: str) -> int:
    """When the directory of `path` was changed last; UNKNOWN while that may still be so."""
    try:
        changed = os.stat(os.path.dirname(path)).st_mtime_ns
    except OSError:
        return UNKNOWN
    return UNKNOWN if is_fresh(changed) else changed


_listed: dict[str, tuple[int, list[str]]] = {}


def names_like(directory: str, prefix: str) -> list[str]:
    """Those in the directory that begin so. Thousands of its files may want to know at one moment,
    so a list is kept for as long as the directory is not changed."""
    try:
        changed = os.stat(directory).st_mtime_ns
        kept = _listed.get(directory)
        if kept is not None and kept[0] == changed:
            names = kept[1]
        else:
            _listed.clear()
            names = sorted(os.listdir(directory))
            if not is_fresh(changed):
                _listed[directory] = changed, names
    except OSError:
        return []
    first = bisect.bisect_left(names, prefix)
    return list(itertools.takewhile(lambda name: name.startswith(prefix), names[first:]))


def siblings(path: str) -> list[Sibling]:
    """The files that may be earlier ones of `path`, oldest first; `path` itself is not one."""
    directory, base = os.path.split(path)
    stem, dot, suffix = base.rpartition(".")
    out: dict[tuple[int, int], Sibling] = {}  # while they are renamed, one may be met twice
    for name in names_like(directory or ".", stem if dot and stem else base):
        if name == base or not (
            (name.startswith(base) and name[len(base)] in ".-_~")
            or (
                dot
                and len(name) > len(base)
                and name.startswith(stem)
                and name[len(stem)] in ".-_"
                and name.endswith(dot + suffix)
            )
        ):
            continue
        full = os.path.join(directory, name)
        try:
            fd = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            status = os.fstat(fd)
            head = os.pread(fd, HEAD, 0)
        except OSError:
            continue
        finally:
            os.close(fd)
        if recognise(head) is None:
            out[status.st_dev, status.st_ino] = Sibling(
                full, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, head
            )
    return sorted(out.values(), key=lambda sibling: sibling.age)


def reopen(sibling: Sibling, log: str) -> int:
    """A descriptor of it; -1 if it is gone. While files are rotated its name is soon another's."""
    path = sibling.path
    for _ in range(RENAMES):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            fd = -1
        if fd >= 0:
            status = os.fstat(fd)
            if (status.st_dev, status.st_ino) == (sibling.device, sibling.inode):
                return fd
            os.close(fd)
        for other in siblings(log):
            if (other.device, other.inode) == (sibling.device, sibling.inode):
                path = other.path
    return -1


def begins_alike(sibling: Sibling, log: str, position: int, data: bytes) -> bool:
    """Whether the sibling holds `data` at `position`, as far as it is long."""
    fd = reopen(sibling, log)
    if fd < 0:
        return False
    try:
        there = os.pread(fd, len(data), position)
    finally:
        os.close(fd)
    return bool(there) and data.startswith(there)


def is_copy(sibling: Sibling, log: str, position: int, tail: bytes) -> bool:
    """Whether the sibling holds what was read up to `position`, so may hold what came after."""
    if sibling.size < position or not tail:
        return False
    fd = reopen(sibling, log)
    if fd < 0:
        return False
    try:
        return os.pread(fd, len(tail), position - len(tail)) == tail
    finally:
        os.close(fd)
