"""Where a rotated log went: its siblings in the same directory.

`console.log` becomes `console.log.1`, `console.log-20261123`, `console.1.log`; by rename (the same
inode under another name) or by copy and truncation (the same bytes in another inode). Packed ones
are nobody's continuation: what is packed was complete.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from tocsin.sources.archive import recognise

__all__ = ["Part", "Sibling", "is_copy", "reopen", "siblings"]

HEAD = 64  # bytes that tell one file from a later one in the same inode
RENAMES = 8  # of one file, while it is being looked for
NUMBER = re.compile(r"(\d+)(?=\D*$)")


class Part(NamedTuple):
    """How far one file was read."""

    device: int
    inode: int
    position: int
    tail: str  # the last bytes before the position, in hexadecimal


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


def siblings(path: str) -> list[Sibling]:
    """The files that may be earlier ones of `path`, oldest first; `path` itself is not one."""
    directory, base = os.path.split(path)
    stem, dot, suffix = base.rpartition(".")
    out = []
    try:
        with os.scandir(directory or ".") as entries:
            names = [entry.name for entry in entries]
    except OSError:
        return []
    for name in names:
        if name == base or not (
            (name.startswith(base) and name[len(base)] in ".-_~")
            or (
                dot and len(name) > len(base) and name.startswith(stem)
                and name[len(stem)] in ".-_" and name.endswith(dot + suffix)
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
            out.append(
                Sibling(
                    full, status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, head
                )
            )
    return sorted(out, key=lambda sibling: sibling.age)


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
