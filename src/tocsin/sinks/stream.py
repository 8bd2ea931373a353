"""Alarms into an open file descriptor: standard output, or a file of incidents.

What was written before a crash and never acknowledged can be read back from a regular file, so
that nothing is written to it twice: the bytes behind the last acknowledged place are what this
sink itself would write for the alarms that wait.
"""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Callable, Sequence

from tocsin.watch.alarms import Alarm

__all__ = ["FileSink"]


class FileSink:
    most = 256
    pages = False

    def __init__(self, fd: int, render: Callable[[Alarm], str], path: str | None = None) -> None:
        self._fd = fd
        self._render = render
        self.ends_run = path is None
        self._path = path  # written under this name again when somebody rotates it away
        self._files = {_identity(fd)}
        self._regular = stat.S_ISREG(os.fstat(fd).st_mode)
        self.mark: int | None = os.fstat(fd).st_size if self._regular else None

    def is_file(self, status: os.stat_result) -> bool:
        """Whether this is one that it writes, or has written."""
        return (status.st_dev, status.st_ino) in self._files

    def send(self, alarms: Sequence[Alarm]) -> None:
        text = "".join(map(self._render, alarms))
        data = text.encode("utf-8", "backslashreplace")
        self._reopen()
        done = 0
        try:
            while done < len(data):
                try:
                    done += os.write(self._fd, data[done:])
                except BlockingIOError:  # whoever shares it does not want to wait: we do
                    select.select([], [self._fd], [])
        except OSError:
            # Half a line helps nobody, and the whole batch comes again.
            if self._regular and done:
                self._cut(os.fstat(self._fd).st_size - done)
            raise
        if self._regular:
            self.mark = os.fstat(self._fd).st_size

    def resume(self, mark: int | None, waiting: Sequence[Alarm]) -> int:
        """How many of `waiting` a crashed run has already written; half a one is taken off."""
        if not self._regular or mark is None or self.mark is None or self.mark <= mark:
            return 0
        try:
            fd = os.open(self._path or f"/proc/self/fd/{self._fd}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return 0  # may be written, not read: then ids tell the repeats
        try:
            written = os.pread(fd, self.mark - mark, mark)
        finally:
            os.close(fd)
        at = 0
        for number, alarm in enumerate(waiting):
            data = self._render(alarm).encode("utf-8", "backslashreplace")
            if not written.startswith(data, at):
                if data.startswith(written[at:]):
                    self._cut(mark + at)
                    self.mark = mark + at
                return number
            at += len(data)
        return len(waiting)

    def close(self) -> None:
        if self._path is not None:
            os.close(self._fd)

    def _cut(self, size: int) -> None:
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)  # a shell's `>` does not append by itself

    def _reopen(self) -> None:
        if self._path is None:
            return
        try:
            here, there = os.fstat(self._fd), os.stat(self._path)
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return
        except FileNotFoundError:
            pass
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        os.close(self._fd)
        self._fd = fd
        self._files.add(_identity(fd))


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino
