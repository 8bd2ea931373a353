"""Files, directories and standard input, as chunks of plain bytes.

Reads are unbuffered and return what there is, so the lines of a live pipe are seen as they come.
What cannot be read is a value or an exception with one clear sentence; no other log suffers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tocsin.sources.archive import CODECS, ArchiveError, decompress, recognise
from tocsin.sources.numbering import Numbering, RereadNumbering, StreamNumbering

__all__ = ["CHUNK", "JOURNAL", "STDIN", "STDIN_NAME", "Log", "Unreadable", "expand", "open_log"]

CHUNK = 1 << 20
# Packed input is read in smaller pieces: zlib copies what it has not used yet at every step.
PACKED_CHUNK = 64 << 10
STDIN = "-"
STDIN_NAME = "(standard input)"
JOURNAL = b"LPKSHHRH"  # the first bytes of a file of systemd's journal
SIGNATURES = (JOURNAL, *(mark for codec in CODECS for mark in codec.signatures))
SNIFF = max(map(len, SIGNATURES))


class Unreadable(NamedTuple):
    """An argument, or a place inside one, that gives no log, and why."""

    name: str
    reason: str


def reason(error: Exception) -> str:
    """What went wrong, without the errno and the name that OSError prints around it."""
    return getattr(error, "strerror", None) or str(error)


def expand(names: Iterable[str]) -> Iterator[str | Unreadable]:
    """Replace directories by the files in them, recursively and in the order of their names."""
    for name in names:
        if name != STDIN and os.path.isdir(name):
            yield from _walk(name)
        else:
            yield name


def _walk(root: str) -> Iterator[str | Unreadable]:
    found = False
    stack = [root]
    while stack:
        path = stack.pop()
        # Links to directories are not followed: they may lead round in a circle.
        if path != root and (os.path.islink(path) or not os.path.isdir(path)):
            found = True
            yield path
            continue
        try:
            with os.scandir(path) as entries:
                names = sorted(entry.name for entry in entries if _may_be_log(entry))
        except OSError as error:
            found = True
            yield Unreadable(path, reason(error))
            continue
        stack.extend(os.path.join(path, name) for name in reversed(names))
    if not found:
        yield Unreadable(root, "no logs in this directory")


def _may_be_log(entry: os.DirEntry[str]) -> bool:
    """Hidden files are somebody's state; a pipe or device that lies in a directory would block."""
    if entry.name.startswith("."):
        return False
    try:
        return entry.is_dir(follow_symlinks=False) or entry.is_file()
    except OSError:
        return True  # opening it will say why


def open_log(name: str, stdin: str = STDIN_NAME) -> Log:
    """Open a file, or standard input, called `stdin`, for "-". Raises OSError or ArchiveError."""
    if name == STDIN:
        return Log(stdin, None, os.dup(0))
    return Log(name, os.path.abspath(name), os.open(name, os.O_RDONLY | os.O_CLOEXEC))


class Log:
    """One log, open for reading from its beginning to its end, once."""

    def __init__(self, name: str, path: str | None, fd: int) -> None:
        self.name = name
        self.path = path  # absolute; None for standard input
        self.packed_bytes = 0  # read so far, before unpacking
        self._fd = fd
        try:
            self._base = _position(fd)
            self._head = self._sniff()
            if self._head.startswith(JOURNAL):
                raise ArchiveError(
                    "a binary journal; use: journalctl --file FILE -o short-iso | tocsin scan -"
                )
            self.codec = recognise(self._head)
        except BaseException:
            os.close(fd)
            raise
        self._numbering: Numbering
        if self._base is not None and self.codec is None:
            self._numbering = RereadNumbering(self._read_at)
        else:
            self._numbering = StreamNumbering()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def chunks(self) -> Iterator[bytes]:
        """What the log says, unpacked; what breaks it off is raised when all else was yielded."""
        chunks = self._read()
        for chunk in chunks if self.codec is None else decompress(chunks, self.codec, CHUNK):
            self._numbering.feed(chunk)
            yield chunk

    def line_at(self, offset: int) -> int | None:
        """The line, counted from 1, that the byte at `offset` is in; None when unknown."""
        return self._numbering.line_at(offset)

    def _sniff(self) -> bytes:
        # A live pipe may hand over the first bytes singly. Wait for more only while they could
        # still become a signature.
        head = os.read(self._fd, PACKED_CHUNK)
        while 0 < len(head) < SNIFF and any(mark.startswith(head) for mark in SIGNATURES):
            more = os.read(self._fd, PACKED_CHUNK)
            if not more:
                break
            head += more
        return head

    def _read(self) -> Iterator[bytes]:
        size = CHUNK if self.codec is None else PACKED_CHUNK
        chunk = self._head
        self._head = b""
        while chunk:
            self.packed_bytes += len(chunk)
            yield chunk
            chunk = os.read(self._fd, size)

    def _read_at(self, offset: int, size: int) -> bytes:
        assert self._base is not None
        try:
            return os.pread(self._fd, size, self._base + offset)
        except OSError:
            return b""  # a line number is not worth an error


def _position(fd: int) -> int | None:
    """Where reading a regular file begins; None for what passes only once."""
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return None
    return os.lseek(fd, 0, os.SEEK_CUR)
