"""One log file under its name, through growth, rotation and truncation.

The name is what is followed; the file behind it changes. A file that was renamed away is read to
its end, and for a while after (its writer may not know yet). One that was truncated begins again;
what was copied away before that is looked for among its siblings. What can be proven lost, or
cannot be proven read, is told as a gap.

Every look first compares the bytes just before the position with those that were read there: a
file that was truncated and has grown past the position again is another file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

from tocsin.sources.rotation import HEAD, Part, Sibling, is_copy, reopen, siblings
from tocsin.watch.streams import Stream

__all__ = ["Followed"]

CHUNK = 256 << 10
BURST = 4 << 20  # read at one look; then it is another file's turn
TAIL = 64
LINGER = 10.0  # seconds for which a renamed file may still be written to
LISTINGS = 5  # until two agree
RECENT = 32  # rotated files remembered as read


class OpenPart:
    """One file: its identity, its descriptor (-1: closed for now), how far it was read."""

    __slots__ = ("device", "fd", "inode", "position", "tail", "until")

    def __init__(self, device: int, inode: int, position: int, tail: bytes = b"") -> None:
        self.device = device
        self.inode = inode
        self.position = position
        self.tail = tail
        self.fd = -1
        self.until = 0.0

    def part(self) -> Part:
        return Part(self.device, self.inode, self.position, self.tail.hex())

    def is_file(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) == (self.device, self.inode)

    def open(self, path: str) -> bool:
        """Have a descriptor, if this file is what lies under `path`."""
        if self.fd >= 0:
            return True
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
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


class Followed:
    """`look` reads what is new. `from_end`: what a file that is there already holds is old."""

    __slots__ = (
        "_complain", "_copied", "_current", "_old", "_open", "_recent", "_refused", "_stream",
        "from_end", "looked_at", "path", "quiet",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        open_stream: Callable[[str], Stream],
        complain: Callable[[str], object],
        *,
        from_end: bool,
    ) -> None:
        self.path = path
        self.from_end = from_end
        self.looked_at = 0.0
        self.quiet = 0.0  # seconds: how long it has been without a change, for who polls
        self._complain = complain
        self._open = open_stream
        self._stream: Stream | None = None
        self._current: OpenPart | None = None
        self._old: list[OpenPart] = []  # renamed away, maybe still written to
        self._recent: dict[tuple[int, int], bytes] = {}  # read to the end, by their first bytes
        self._copied = 0  # when the last copy that was found was made; it was truncated then
        self._refused = False

    @property
    def files(self) -> list[tuple[int, int]]:
        parts = [*self._old, *([self._current] if self._current else [])]
        return [(part.device, part.inode) for part in parts]

    @property
    def is_open(self) -> bool:
        return bool(self._old) or (self._current is not None and self._current.fd >= 0)

    def where(self) -> list[Part]:
        parts = [*self._old, *([self._current] if self._current else [])]
        return [part.part() for part in parts]

    def release(self) -> None:
        """Close what is only kept open in case."""
        if self._current is not None:
            self._current.close()

    def close(self) -> None:
        for part in self._old:
            part.close()
        self.release()

    def look(self, now: float, *, appeared: int = 2) -> bool:
        """Read what is new; True when there is more to read at once.

        `appeared`: how often something has come under this name since the last look, at most.
        """
        if self._stream is None:
            self._begin()
        self.looked_at = now
        more = self._drain_old(now)
        try:
            status = os.stat(self.path)
        except OSError:
            self.from_end = False  # what appears later is new from its first byte
            # Moved away, and nothing new under the name yet: it may still be written to.
            if self._current is not None and self._current.fd >= 0:
                more |= self._read(self._current)
            return more
        if self._current is None:
            self._adopt(status)
        elif not self._current.is_file(status):
            more |= self._rotated(status, now, appeared)
        assert self._current is not None
        part = self._current
        if status.st_size == part.position and part.fd < 0:
            return more
        if not part.open(self.path):
            self._refuse()
            return more
        self._refused = False
        return self._read(part) or more

    # -- where to begin ----------------------------------------------------------------------

    def _begin(self) -> None:
        stream = self._stream = self._open(self.path)
        saved: Any = stream.position
        stream.where = self.where
        if not saved:
            return
        parts = [
            OpenPart(device, inode, position, bytes.fromhex(tail))
            for device, inode, position, tail in saved
        ]
        self._current = parts.pop()
        for part in parts:
            if self._find(part) is not None:
                self._old.append(part)
        self.from_end = False

    def _adopt(self, status: os.stat_result) -> None:
        position = status.st_size if self.from_end else 0
        self.from_end = False
        self._current = OpenPart(status.st_dev, status.st_ino, position)
        assert self._stream is not None
        if not self._stream.offset:
            # Offsets of the stream are those of its first file, as an editor counts them.
            self._stream.base = position
        self._stream.moved()

    # -- reading -----------------------------------------------------------------------------

    def _read(self, part: OpenPart, end: int | None = None) -> bool:
        """Feed what is new in it; True when there is more."""
        assert self._stream is not None
        size = os.fstat(part.fd).st_size
        if size < part.position or (part.tail and not self._is_same(part)):
            self._truncated(part)
            size = os.fstat(part.fd).st_size
        elif self._copied and size and not part.tail and part is self._current:
            self._read_unseen(part)
            self._copied = 0
        if end is not None:
            size = min(size, end)
        stop = part.position + BURST
        while part.position < min(size, stop):
            data = os.pread(part.fd, min(CHUNK, size - part.position), part.position)
            if not data:
                return False
            part.position += len(data)
            part.tail = data[-TAIL:] if len(data) >= TAIL else (part.tail + data)[-TAIL:]
            self._stream.feed(data)
        return part.position < size

    def _is_same(self, part: OpenPart) -> bool:
        return os.pread(part.fd, len(part.tail), part.position - len(part.tail)) == part.tail

    def _truncated(self, part: OpenPart) -> None:
        assert self._stream is not None
        copies = [
            sibling
            for sibling in self._unread()
            if is_copy(sibling, self.path, part.position, part.tail)
        ]
        self._copied = 0
        if copies:
            self._copied = copies[-1].changed
            self._read_whole(copies[-1], part.position)
            self._read_unseen(part)
        # Between the copy and the truncation a writer may have written, and nobody can know.
        self._stream.gap(
            "truncated; what was written last before that may not have been read"
            if copies
            else "truncated or overwritten, and no copy found of what was not read yet"
        )
        part.position = 0
        part.tail = b""
        with contextlib.suppress(OSError):
            # A writer that does not append leaves a hole up to where it was.
            part.position = os.lseek(part.fd, 0, os.SEEK_DATA)
        self._stream.moved()

    def _read_unseen(self, part: OpenPart) -> None:
        """What was written, copied and truncated again since the last look: later copies."""
        assert self._stream is not None
        later = [sibling for sibling in self._unread() if sibling.changed > self._copied]
        head = os.pread(part.fd, HEAD, 0)
        for sibling in later:
            size = min(len(head), len(sibling.head))
            if not sibling.size or (size and head[:size] == sibling.head[:size]):
                continue  # what it is a copy of is still there to be read
            self._stream.gap("truncated again; what was written last before that may be missing")
            self._read_whole(sibling, 0)
            self._copied = sibling.changed

    def _unread(self) -> list[Sibling]:
        known = set(self.files)
        found = siblings(self.path)
        for _ in range(LISTINGS):
            # While they are being renamed one after another, a list of them may miss some.
            again = siblings(self.path)
            if [one[:3] for one in again] == [one[:3] for one in found]:
                break
            found = again
        return [
            sibling
            for sibling in found
            if (sibling.device, sibling.inode) not in known and not self._is_read(sibling)
        ]

    def _is_read(self, sibling: Sibling) -> bool:
        """An inode's number is another file's soon; its first bytes tell."""
        head = self._recent.get((sibling.device, sibling.inode))
        return head is not None and sibling.head.startswith(head)

    # -- rotation ----------------------------------------------------------------------------

    def _rotated(self, status: os.stat_result, now: float, appeared: int) -> bool:
        """Another file has the name now."""
        assert self._current is not None
        assert self._stream is not None
        old = self._current
        if old.fd < 0 and self._find(old) is None:
            self._rotated_away(old)
        changed = None
        if old.fd >= 0:
            while self._read(old):
                pass
            changed = os.fstat(old.fd).st_mtime_ns
            self._remember(old.fd)
            old.until = now + LINGER
            self._old.append(old)
        if changed is not None and appeared != 1:
            # More than one rotation since the last look: files came and went unseen.
            now_there = status.st_dev, status.st_ino
            for sibling in self._unread():
                if sibling.changed >= changed and (sibling.device, sibling.inode) != now_there:
                    self._read_whole(sibling, 0)
        self._copied = 0
        self._current = OpenPart(status.st_dev, status.st_ino, 0)
        self._stream.moved()
        return False

    def _rotated_away(self, part: OpenPart) -> None:
        """Not under any name. A copy of it may be, and have the rest."""
        assert self._stream is not None
        for sibling in reversed(siblings(self.path)):
            if is_copy(sibling, self.path, part.position, part.tail):
                self._read_whole(sibling, part.position)
                return
        self._stream.gap("rotated away, and what was not read yet is not found")

    def _find(self, part: OpenPart) -> str | None:
        """Open a file that was renamed while it was closed."""
        for path in self._names():
            if part.open(path):
                if os.fstat(part.fd).st_size >= part.position and self._is_same(part):
                    return path
                part.close()  # its inode is another file's now
        return None

    def _names(self) -> Iterator[str]:
        """Where a renamed file may be: the usual names first, since thousands of files may be
        rotated at one moment, and to list their directory for each would take minutes."""
        yield self.path
        yield f"{self.path}.1"
        yield f"{self.path}.0"
        for sibling in siblings(self.path):
            yield sibling.path

    def _read_whole(self, sibling: Sibling, position: int) -> None:
        part = OpenPart(sibling.device, sibling.inode, position)
        part.fd = reopen(sibling, self.path)
        if part.fd < 0:
            return
        while self._read(part, sibling.size):
            pass
        self._remember(part.fd)
        part.close()

    def _remember(self, fd: int) -> None:
        status = os.fstat(fd)
        self._recent[status.st_dev, status.st_ino] = os.pread(fd, HEAD, 0)
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]

    def _drain_old(self, now: float) -> bool:
        more = False
        for part in list(self._old):
            more |= self._read(part)
            if not part.until:
                part.until = now + LINGER
            if now >= part.until and not more:
                part.close()
                self._old.remove(part)
        return more

    def _refuse(self) -> None:
        if not self._refused:
            self._refused = True
            self._complain(f"{self.path}: cannot be opened; trying again")
