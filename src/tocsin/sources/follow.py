"""One log file under its name, through growth, rotation and truncation.

The name is what is followed; the file behind it changes. A file that was renamed away is read to
its end, and for a while after (its writer may not know yet). One that was truncated begins again;
what was copied away before that is looked for among its siblings. What can be proven lost, or
cannot be proven read, is told as a gap.

Every look first compares the bytes just before the position with those that were read there: a
file that was truncated and has grown past the position again is another file. Of a file that was
empty at the last look there are no such bytes. What was written, copied and truncated since is
found by its copies: they are younger than what was seen. If there are none, its own time tells that
something is missing.

Long because renaming, copying and truncating are told apart by each other: what the one explains
is no sign of the other.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from tocsin.sources.rotation import (
    HEAD,
    TAIL,
    UNKNOWN,
    OpenPart,
    Part,
    Sibling,
    begins_alike,
    is_copy,
    is_fresh,
    names_changed,
    reopen,
    siblings,
)
from tocsin.watch.streams import Stream

__all__ = ["Followed", "Others"]

CHUNK = 256 << 10
BURST = 4 << 20  # read at one look; then it is another file's turn
LINGER = 10.0  # seconds for which a renamed file may still be written to
LISTINGS = 5  # until two agree
RECENT = 32  # rotated files remembered as read
PASSED = 8  # rotations after which one that went unseen is still looked for


class Others(Protocol):
    """All that are followed, as one of them needs to know them. A file: its device and inode."""

    def is_read_elsewhere(self, path: str, file: tuple[int, int]) -> bool:
        """Whether it was read under another name before it had this one."""

    def is_read_as(self, path: str, file: tuple[int, int]) -> bool:
        """Whether it is read under this name."""

    def is_wanted(self, path: str) -> bool:
        """Whether what has this name is a log of its own."""

    def is_output(self, status: os.stat_result) -> bool:
        """Whether tocsin itself writes it."""


class Followed:
    """`look` reads what is new. `from_end`: what a file that is there already holds is old."""

    __slots__ = (
        "_announced", "_complain", "_current", "_gone_since", "_log", "_next", "_old", "_open",
        "_others", "_passed", "_recent", "_said", "_stream", "from_end", "gone_for", "is_special",
        "looked_at", "path", "quiet",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        open_stream: Callable[[str], Stream],
        complain: Callable[[str], object],
        others: Others,
        *,
        from_end: bool,
    ) -> None:
        self.path = path
        self._others = others
        # What has the name now and can be read like a console: a named pipe, a device.
        self.is_special = False
        self._log = path
        self.from_end = from_end
        self.looked_at = 0.0
        self.quiet = 0.0  # seconds: how long it has been without a change, for who polls
        self._complain = complain
        self._open = open_stream
        self._stream: Stream | None = None
        self._current: OpenPart | None = None
        self._old: list[OpenPart] = []  # renamed away, maybe still written to
        self._recent: dict[tuple[int, int], bytes] = {}  # read to the end, by their first bytes
        # When those were changed last that were renamed away; of the last few.
        self._passed: tuple[int, ...] = ()
        self._announced = 0  # how often something has come under this name since then, at most
        self._next: tuple[int, int] | None = None  # what was there at the last look
        self._gone_since = 0.0
        self.gone_for = 0.0  # seconds, by the last look
        self._said = ""  # of what is in the way, lately: once is enough

    @property
    def files(self) -> list[tuple[int, int]]:
        parts = [*self._old, *([self._current] if self._current else [])]
        return [(part.device, part.inode) for part in parts]

    def has_read(self, key: tuple[int, int]) -> bool:
        return key in self.files or key in self._recent

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

    def end(self, close: Callable[[Stream], object]) -> None:
        """It will not be looked at again."""
        if self._stream is not None:
            close(self._stream)

    def look(self, now: float, *, appeared: int = 2) -> bool:
        """Read what is new; True when it wants to look again at once.

        `appeared`: how often something has come under this name since the last look, as far as
        that was told by then; 2 where nobody tells.
        """
        if self._stream is None:
            self._begin()
        self.looked_at = now
        self._announced += appeared
        more = self._drain_old(now)
        status = self._status()
        self.gone_for = 0.0
        if status is None:
            self.from_end = False  # what appears later is new from its first byte
            self._gone_since = self._gone_since or now
            self.gone_for = now - self._gone_since
            # Moved away, and nothing new under the name yet: it may still be written to.
            if self._current is not None and self._current.fd >= 0:
                more |= self._read(self._current)
                if not more and self.gone_for > LINGER:
                    self._let_go(self._current)
            return more
        self._gone_since = 0.0
        there = status.st_dev, status.st_ino
        if self._current is None or self._current.is_complete:
            self._adopt(status)
        elif not self._current.is_file(status):
            if self._announced < 2 and (appeared or self._next != there):
                # What was told of may be gone again, and this another that nobody told of yet.
                self._next = there
                return True
            self._rotated(status, now)
        elif appeared == 1 and self._passed:
            # It is here already: at an earlier look, which was told of another that went unseen.
            self._read_between(status)
        self._announced = 0
        self._next = None
        assert self._current is not None
        part = self._current
        if part.fd < 0 and status.st_size == part.position and status.st_mtime_ns == part.seen:
            return more
        try:
            if not part.open(self.path):
                return more  # it was rotated away a moment ago
            more = self._read(part) or more
        except OSError as error:
            part.close()
            self._say(f"{error.strerror}; trying again")
        else:
            self._said = ""
        return more

    def _let_go(self, part: OpenPart) -> None:
        """A file that was deleted takes its room on the disc for as long as it is open."""
        if not os.fstat(part.fd).st_nlink:
            part.close()
            part.is_complete = True

    def _status(self) -> os.stat_result | None:
        """Of the file that has the name; None while none has."""
        self.is_special = False
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:  # no permission, a name too long, links in a circle
            self._say(f"{error.strerror}; waiting for it")
            return None
        if stat.S_ISREG(status.st_mode):
            if not self._others.is_output(status):
                return status
            self._say("not watched, for it is what tocsin itself writes")
            return None
        self.is_special = stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)
        what = "a directory" if stat.S_ISDIR(status.st_mode) else "no file"
        self._say(f"{what}, where a file was expected; waiting for one")
        return None

    def _say(self, what: str) -> None:
        if what != self._said:
            self._said = what
            self._complain(f"{self.path}: {what}")

    # -- where to begin ----------------------------------------------------------------------

    def _lies_at(self) -> str:
        """The name that a rotation changes: of a link, what it leads to."""
        return os.path.realpath(self.path) if os.path.islink(self.path) else self.path

    def _begin(self) -> None:
        self._log = self._lies_at()
        stream = self._stream = self._open(self.path)
        saved: Any = stream.position
        stream.where = self.where
        if not saved:
            return
        parts = [
            OpenPart(device, inode, position, bytes.fromhex(tail), *seen)
            for device, inode, position, tail, *seen in saved
        ]
        self._current = parts.pop()
        for part in parts:
            if self._find(part) is not None:
                self._old.append(part)
        self.from_end = False

    def _adopt(self, status: os.stat_result) -> None:
        position = status.st_size if self.from_end else 0
        self.from_end = False
        self._log = self._lies_at()
        self._current = OpenPart.at(self.path, status, position)
        assert self._stream is not None
        if not self._stream.offset:
            # Offsets of the stream are those of its first file, as an editor counts them.
            self._stream.base = position
        self._stream.moved()

    # -- reading -----------------------------------------------------------------------------

    def _read(self, part: OpenPart, end: int | None = None) -> bool:
        """Feed what is new in it; True when there is more."""
        assert self._stream is not None
        status = os.fstat(part.fd)
        if status.st_size < part.position or (part.tail and not self._is_same(part)):
            self._truncated(part)
            status = os.fstat(part.fd)
        size = status.st_size if end is None else min(status.st_size, end)
        fresh = not part.tail and part is self._current
        if fresh and size <= part.position:
            self._read_unseen(part, b"", status.st_mtime_ns)
        stop = part.position + BURST
        while part.position < min(size, stop):
            data = os.pread(part.fd, min(CHUNK, size - part.position), part.position)
            if not data:
                return False
            if fresh:
                # What was copied away before these bytes were written has its name by now.
                self._read_unseen(part, data, status.st_mtime_ns)
                fresh = False
            part.position += len(data)
            part.tail = data[-TAIL:] if len(data) >= TAIL else (part.tail + data)[-TAIL:]
            self._stream.feed(data)
        part.seen = status.st_mtime_ns
        return part.position < size

    def _is_same(self, part: OpenPart) -> bool:
        return os.pread(part.fd, len(part.tail), part.position - len(part.tail)) == part.tail

    def _truncated(self, part: OpenPart) -> None:
        assert self._stream is not None
        copies = [
            sibling
            for sibling in self._unread()
            if is_copy(sibling, self._log, part.position, part.tail)
        ]
        part.since, part.before = part.seen, (part.position, part.tail)
        if copies:
            part.since, part.before = copies[-1].changed, None
            self._read_whole(copies[-1], part.position)
        # Between the copy and the truncation a writer may have written, and nobody can know.
        self._stream.gap(
            "truncated; what was written last before that may not have been read"
            if copies
            else "truncated or overwritten, and no copy found of what was not read yet"
        )
        part.position = 0
        part.tail = b""
        part.names = UNKNOWN
        part.again = True
        part.restored = False
        with contextlib.suppress(OSError):
            # A writer that does not append leaves a hole up to where it was.
            part.position = os.lseek(part.fd, 0, os.SEEK_DATA)
        part.seen = os.fstat(part.fd).st_mtime_ns
        self._stream.moved()

    def _read_unseen(self, part: OpenPart, data: bytes, changed: int) -> None:
        """Before the first bytes of a file: what was written, copied and truncated since the last
        look, by its copies. `data` is what is there now, `changed` when that was."""
        assert self._stream is not None
        names = names_changed(self._log)
        first, part.since = not part.since, part.since or changed
        same, part.again = changed == part.seen and not part.again, is_fresh(changed)
        if first or same:
            part.names = names
            return
        # No new name, no new copy: the usual first bytes of a file cost no listing.
        listed = self._unread() if names != part.names or names == UNKNOWN else []
        try:
            renamed = not part.is_file(os.stat(self.path))
        except OSError:
            renamed = True
        if renamed:
            return  # not truncated: what is younger than it will have its turn
        later = [
            sibling
            for sibling in listed
            if sibling.changed > part.since and not self._others.is_wanted(sibling.path)
        ]
        if not data:
            with contextlib.suppress(OSError):
                data = os.pread(part.fd, CHUNK, part.position)
        part.names = names
        for sibling in later:
            if not sibling.size:
                continue
            if data and begins_alike(sibling, self._log, part.position, data):
                part.names = UNKNOWN  # still there to be read; to be looked for when it is not
                continue
            if part.restored:
                # A file that was renamed before may have been written to since: nobody knows.
                self._stream.gap("truncated while nobody watched; a copy of that is not read")
                break
            self._stream.gap("truncated again; what was written last before that may be missing")
            known = part.before and is_copy(sibling, self._log, *part.before)
            self._read_whole(sibling, part.before[0] if part.before and known else 0)
            part.since = sibling.changed
        if not later and not data and changed != part.seen:
            self._stream.gap("changed and yet empty: what was in it may not have been read")
        part.restored = False

    def _unread(self) -> list[Sibling]:
        known = set(self.files)
        found: dict[tuple[int, int], Sibling] = {}
        before: list[tuple[str, int, int]] | None = None
        for _ in range(LISTINGS):
            # While they are being renamed one after another, a list of them may miss some.
            listed = siblings(self._log)
            found |= {(one.device, one.inode): one for one in listed}
            names = [one[:3] for one in listed]
            if names == before:
                break
            before = names
        return [
            sibling
            for key, sibling in sorted(found.items(), key=lambda item: item[1].age)
            if key not in known
            and not self._is_read(sibling)
            and not self._others.is_read_as(sibling.path, key)
        ]

    def _is_read(self, sibling: Sibling) -> bool:
        """An inode's number is another file's soon; its first bytes tell."""
        head = self._recent.get((sibling.device, sibling.inode))
        return head is not None and sibling.head.startswith(head)

    # -- rotation ----------------------------------------------------------------------------

    def _rotated(self, status: os.stat_result, now: float) -> None:
        """Another file has the name now."""
        assert self._current is not None
        assert self._stream is not None
        old = self._current
        # Then this name is one of many that a file has one after another, and so had the old one.
        known = self._others.is_read_elsewhere(self.path, (status.st_dev, status.st_ino))
        if old.fd < 0 and not known and self._find(old) is None:
            self._rotated_away(old)
        changed = None
        if old.fd >= 0:
            try:
                while self._read(old):
                    pass
                changed = os.fstat(old.fd).st_mtime_ns
                self._remember(old.fd)
                old.until = now + LINGER
                self._old.append(old)
            except OSError as error:  # gone on the server, or its disc fails: there is the new one
                self._unreadable(old, error)
        if changed is not None:
            self._passed = (*self._passed, changed)[-PASSED:]
            if self._announced != 1:
                self._read_between(status)  # more than one rotation since the last look
        self._log = self._lies_at()  # the link may lead elsewhere now
        self._current = OpenPart.at(self.path, status, status.st_size if known else 0)
        self._stream.moved()

    def _read_between(self, status: os.stat_result) -> None:
        """Files that came and went unseen, before what is there now."""
        now_there = status.st_dev, status.st_ino
        for sibling in self._unread():
            if sibling.changed < self._passed[0] or sibling[1:3] == now_there:
                continue
            part = self._reopened(sibling, 0)
            if part is not None:
                while self._read(part):
                    pass
                self._remember(part.fd)
                self._old.append(part)  # its writer may not know yet

    def _rotated_away(self, part: OpenPart) -> None:
        """Not under any name. A copy of it may be, and have the rest."""
        assert self._stream is not None
        for sibling in reversed(siblings(self._log)):
            if is_copy(sibling, self._log, part.position, part.tail):
                self._read_whole(sibling, part.position)
                return
        self._stream.gap("rotated away, and what was not read yet is not found")

    def _find(self, part: OpenPart) -> str | None:
        """Open a file that was renamed while it was closed."""
        for path in self._names():
            with contextlib.suppress(OSError):
                if part.open(path):
                    if os.fstat(part.fd).st_size >= part.position and self._is_same(part):
                        return path
                    part.close()  # its inode is another file's now
        return None

    def _names(self) -> Iterator[str]:
        """Where a renamed file may be: the usual names first, since thousands of files may be
        rotated at one moment, and to list their directory for each would take minutes."""
        yield self._log
        yield f"{self._log}.1"
        yield f"{self._log}.0"
        for sibling in siblings(self._log):
            yield sibling.path

    def _reopened(self, sibling: Sibling, position: int) -> OpenPart | None:
        part = OpenPart(sibling.device, sibling.inode, position)
        part.fd = reopen(sibling, self._log)
        if part.fd < 0:
            assert self._stream is not None
            self._stream.gap("rotated again before it was read", sibling.size - position)
            return None
        return part

    def _read_whole(self, sibling: Sibling, position: int) -> None:
        part = self._reopened(sibling, position)
        if part is None:
            return
        while self._read(part, sibling.size):
            pass
        self._remember(part.fd)
        part.close()

    def _unreadable(self, part: OpenPart, error: OSError) -> None:
        assert self._stream is not None
        part.close()
        self._stream.gap(f"rotated away, and cannot be read any more ({error.strerror})")

    def _remember(self, fd: int) -> None:
        status = os.fstat(fd)
        self._recent[status.st_dev, status.st_ino] = os.pread(fd, HEAD, 0)
        while len(self._recent) > RECENT:
            del self._recent[next(iter(self._recent))]

    def _drain_old(self, now: float) -> bool:
        more = False
        for part in list(self._old):
            try:
                more |= self._read(part)
            except OSError as error:
                self._unreadable(part, error)
                self._old.remove(part)
                continue
            if not part.until:
                part.until = now + LINGER
            if now >= part.until and not more:
                part.close()
                self._old.remove(part)
        return more
