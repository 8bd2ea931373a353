"""The kernel's word that something in a directory changed, through ctypes.

Absent (a kernel without it, a limit reached) nothing breaks: whoever uses it looks from time to
time anyway, since network file systems never tell.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import NamedTuple

__all__ = ["CHANGES", "Inotify", "Told"]

MODIFY, MOVED_TO, MOVED_FROM, CREATE, DELETE, DELETE_SELF, MOVE_SELF = (
    0x2, 0x80, 0x40, 0x100, 0x200, 0x400, 0x800,
)  # fmt: skip
OVERFLOW, IGNORED = 0x4000, 0x8000
CHANGES = MODIFY | MOVED_TO | MOVED_FROM | CREATE | DELETE | DELETE_SELF | MOVE_SELF
EVENT = struct.Struct("iIII")
BUFFER = 1 << 16


class Told(NamedTuple):
    watch: int  # -1: the queue overflowed, anything may have changed
    gone: bool  # the watch itself
    appeared: bool  # something has come to be under this name
    name: str  # "" for the watched thing itself


class Inotify:
    def __init__(self) -> None:
        """Raises OSError where there is none."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def add(self, path: str) -> int:
        return self._checked(
            self._libc.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(CHANGES))
        )

    def read(self) -> list[Told]:
        try:
            data = os.read(self.fd, BUFFER)
        except BlockingIOError:
            return []
        out = []
        at = 0
        while at < len(data):
            watch, mask, _, size = EVENT.unpack_from(data, at)
            at += EVENT.size
            name = os.fsdecode(data[at : at + size].rstrip(b"\0"))
            at += size
            out.append(
                Told(
                    -1 if mask & OVERFLOW else watch,
                    bool(mask & IGNORED),
                    bool(mask & (CREATE | MOVED_TO)),
                    name,
                )
            )
        return out

    def close(self) -> None:
        os.close(self.fd)

    def _checked(self, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result
