"""All the files that are followed: which there are, and when to look at which.

inotify on their directories tells what changed, so ten thousand quiet files cost nothing. Where
it is missing or silent (network file systems) each file is looked at now and then: soon after a
change, later and later without one.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from typing import Protocol

from tocsin.sources.follow import Followed
from tocsin.sources.inotify import Inotify
from tocsin.sources.rotation import names_like
from tocsin.watch.loop import Loop, Timer
from tocsin.watch.streams import Stream, Streams

__all__ = ["Files", "Other"]


class Other(Protocol):
    """A source of something that is no file."""

    def start(self, loop: Loop, streams: Streams) -> None: ...
    def close(self) -> None: ...


OPEN = 256  # descriptors kept on files that do not change
POLL_FIRST, POLL_LONGEST = 0.1, 2.0
POLL_RATE = 2000  # looks a second at most, without inotify
SWEEP = 30.0  # seconds in which every file is looked at once, with inotify
RESCAN, RESCAN_POLLING = 30.0, 2.0
FORGET = 3600.0  # seconds after which a log that is gone, and was not named itself, is forgotten
NEW_DIRECTORY = 0.1  # seconds after which one is searched


class Files:
    """`patterns`: paths, globs (`**` is recursive) and directories (every file in them)."""

    def __init__(
        self,
        patterns: Iterable[str],
        complain: Callable[[str], object],
        *,
        from_end: bool,
        notify: bool = True,
        is_output: Callable[[os.stat_result], bool] = lambda _: False,
        other: Callable[[str], Other] | None = None,
    ) -> None:
        """`is_output`: whether tocsin itself writes a file. `other` makes the source for a named
        pipe or a device that lies under a name given here."""
        self._writes = is_output
        self._other = other
        self._others: list[Other] = []
        self._patterns = [os.path.abspath(_as_glob(pattern)) for pattern in patterns]
        self._complain = complain
        self._from_end = from_end
        self._wants_inotify = notify
        self._files: dict[str, Followed] = {}
        self._opened: dict[str, Followed] = {}  # in order of the last look
        self._inotify: Inotify | None = None
        self._watches: dict[int, str] = {}  # directory by watch
        self._aliases: dict[str, list[str]] = {}  # real path: the names it is followed by
        self._watched: set[str] = set()
        self._sweep: list[str] = []
        self._next_scan: Timer | None = None

    def start(self, loop: Loop, streams: Streams) -> None:
        self._loop = loop
        self._streams = streams
        if self._wants_inotify:
            try:
                self._inotify = Inotify()
                loop.on_readable(self._inotify.fd, self._told)
            except OSError as error:
                self._complain(f"no inotify ({error.strerror}): looking at files by turns")
        self._rescan()
        for pattern in self._patterns:
            if glob.has_magic(pattern):
                if not any(_matches(path, pattern) for path in self._files):
                    self._complain(f"{pattern}: no file like that; waiting for one")
            elif _is_missing(pattern):
                self._complain(f"{pattern}: not there; waiting for it")
        self._from_end = False  # what comes later is new from its first byte
        loop.every(0.05 if self._inotify is None else 1.0, self._turn)

    def look_at_all(self) -> None:
        for followed in list(self._files.values()):
            self._look(followed)

    def close(self) -> None:
        for followed in self._files.values():
            followed.close()
        for other in self._others:
            other.close()
        if self._inotify is not None:
            self._inotify.close()

    # -- what one of them needs to know of the others ----------------------------------------

    def is_read_elsewhere(self, path: str, file: tuple[int, int]) -> bool:
        directory, base = os.path.split(path)
        stem = next((name for name in _stems(directory, base) if name in self._files), None)
        if stem is None:
            return False
        if self._files[stem].has_read(file):
            return True
        return any(
            followed.has_read(file)
            for name in names_like(directory, os.path.basename(stem))
            if (followed := self._files.get(os.path.join(directory, name))) and name != base
        )

    def is_read_as(self, path: str, file: tuple[int, int]) -> bool:
        followed = self._files.get(path)
        return followed is not None and followed.has_read(file)

    def is_output(self, status: os.stat_result) -> bool:
        return self._writes(status)

    def is_wanted(self, path: str) -> bool:
        return any(_matches(path, pattern) for pattern in self._patterns)

    # -- which files -------------------------------------------------------------------------

    def _rescan(self) -> None:
        began = self._loop.clock()
        found = []
        for pattern in self._patterns:
            if not glob.has_magic(pattern):
                found.append(pattern)
                continue
            found += filter(os.path.isfile, glob.iglob(pattern, recursive=True))
            for directory in _directories(pattern):
                self._watch(directory)
        for path in sorted(found, key=os.path.islink):
            self._add(path)
        took = self._loop.clock() - began
        least = RESCAN if self._inotify else RESCAN_POLLING
        if self._next_scan is not None:
            self._next_scan.cancel()
        self._next_scan = self._loop.after(max(least, 50 * took), self._rescan)

    def _add(self, path: str) -> None:
        if os.path.islink(path) and os.path.realpath(path) in self._files:
            # One file under two names is one log, told under its own.
            if path in self._files:
                self._files.pop(path).close()
            return
        if path in self._files:
            if os.path.islink(path):
                self._watch_link(path)
            return
        followed = Followed(path, self._open_stream, self._complain, self, from_end=self._from_end)
        # A rotated file that matches the pattern too was read under its first name.
        if not self._from_end:
            with contextlib.suppress(OSError):
                status = os.stat(path)
                followed.from_end = self.is_read_elsewhere(path, (status.st_dev, status.st_ino))
        self._files[path] = followed
        self._watch(os.path.dirname(path))
        self._watch_link(path)
        self._look(followed)

    def _watch_link(self, path: str) -> None:
        """What a link leads to changes in another directory, and may be another any time."""
        real = os.path.realpath(path)
        if real == path:
            return
        names = self._aliases.setdefault(real, [])
        if path not in names:
            names.append(path)
            self._watch(os.path.dirname(real))

    def _open_stream(self, path: str) -> Stream:
        return self._streams.open(path, path, replays=True)

    def _watch(self, directory: str) -> None:
        if self._inotify is None or directory in self._watched or glob.has_magic(directory):
            return
        try:
            self._watches[self._inotify.add(directory)] = directory
            self._watched.add(directory)
        except OSError as error:
            if error.errno not in (2, 20):  # not there yet; the next rescan tries again
                self._complain(f"{directory}: no inotify ({error.strerror}); looking by turns")
                self._watched.add(directory)

    # -- when to look ------------------------------------------------------------------------

    def _told(self) -> None:
        assert self._inotify is not None
        appeared: dict[str, int] = {}
        for told in self._inotify.read():
            if told.watch < 0:
                self._loop.soon(self.look_at_all)
                continue
            directory = self._watches.get(told.watch)
            if directory is None:
                continue
            if told.gone:
                self._watched.discard(directory)
                del self._watches[told.watch]
                continue
            path = os.path.join(directory, told.name)
            appeared[path] = appeared.get(path, 0) + told.appeared
        for path, times in appeared.items():
            followed = self._files.get(path)
            for name in self._aliases.get(path, ()):
                if name in self._files:
                    self._look(self._files[name], times)
            if followed is not None:
                self._look(followed, times)
                if times:
                    self._add(path)  # a link may lead elsewhere now
            elif path in self._aliases:
                continue
            elif times and os.path.isfile(path) and self.is_wanted(path):
                self._add(path)
            elif times and os.path.isdir(path) and self._next_scan is not None:
                # There may be files in it, or in what is made in it next.
                self._next_scan.cancel()
                self._next_scan = self._loop.after(NEW_DIRECTORY, self._rescan)

    def _look(self, followed: Followed, appeared: int = 2) -> None:
        path = followed.path
        if self._files.get(path) is not followed:
            return  # somebody else's by now
        followed.quiet = 0.0
        if followed.look(self._loop.now, appeared=appeared):
            # Behind what inotify has to tell by then.
            self._loop.after(0, lambda: self._look(followed, 0 if self._inotify else 2))
        if followed.is_special and self._other is not None and path in self._patterns:
            self._hand_over(path)
        elif followed.is_open:
            self._opened.pop(path, None)
            self._opened[path] = followed
            if len(self._opened) > OPEN:
                self._opened.pop(next(iter(self._opened))).release()

    def _hand_over(self, path: str) -> None:
        """It is a named pipe or a device now: somebody else's to read."""
        assert self._other is not None
        self._patterns.remove(path)
        self._files.pop(path).close()
        self._opened.pop(path, None)
        other = self._other(path)
        self._others.append(other)
        other.start(self._loop, self._streams)

    def _forget(self, followed: Followed) -> None:
        """A log of a container, or of a machine, that is no more."""
        del self._files[followed.path]
        self._opened.pop(followed.path, None)
        followed.close()
        followed.end(self._streams.close)
        for real, names in list(self._aliases.items()):
            if followed.path in names:
                names.remove(followed.path)
            if not names:
                del self._aliases[real]

    def _turn(self) -> None:
        """A few of all files, so that each has its turn."""
        if not self._sweep:
            self._sweep = list(self._files)
        if self._inotify is not None:
            count = max(1, int(len(self._files) / SWEEP))
        else:
            count = POLL_RATE // 20
        for _ in range(min(count, len(self._sweep))):
            followed = self._files.get(self._sweep.pop())
            if followed is not None:
                self._look(followed)
                if followed.gone_for > FORGET and followed.path not in self._patterns:
                    self._forget(followed)
        # Renamed files that may still be written to are nobody's name: no event tells of them.
        for followed in list(self._opened.values()):
            if len(followed.files) > 1:
                self._look(followed)


def _is_missing(path: str) -> bool:
    """And not merely out of our sight, which was told."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def _as_glob(pattern: str) -> str:
    return os.path.join(glob.escape(pattern), "*") if os.path.isdir(pattern) else pattern


def _directories(pattern: str) -> Iterator[str]:
    """Where files of this pattern may appear, and directories that they may appear in."""
    parent = os.path.dirname(pattern)
    while glob.has_magic(parent):
        yield from filter(os.path.isdir, glob.iglob(parent, recursive=True))
        parent = os.path.dirname(parent)
    yield parent


def _matches(path: str, pattern: str) -> bool:
    if "**" in pattern:
        return path in set(glob.iglob(pattern, recursive=True))
    return path == pattern or (
        fnmatch(os.path.basename(path), os.path.basename(pattern))
        and fnmatch(os.path.dirname(path), os.path.dirname(pattern))
        and path.count(os.sep) == pattern.count(os.sep)
        and not os.path.basename(path).startswith(".")
    )


def _stems(directory: str, base: str) -> list[str]:
    """The names of which `base` may be a rotated one."""
    return [
        os.path.join(directory, base[:end])
        for end in range(len(base) - 1, 0, -1)
        if base[end] in ".-_~"
    ]
