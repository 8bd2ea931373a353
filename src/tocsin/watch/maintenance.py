"""Maintenance windows: when trouble is expected, and of whom.

A TOML file of windows, read again when it changes. What is wrong with it is said with file, window
and key. A file that goes bad while tocsin runs leaves the windows that it had: a slip of the pen
must neither wake people nor silence more than was asked for.
"""

from __future__ import annotations

import os
import time
import tomllib
from collections.abc import Callable, Collection
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from tocsin.sinks.kinds import kind_matches, unknown_kinds

__all__ = ["BadWindows", "Maintenance", "Window", "parse"]

KEYS = ("from", "until", "reason", "source", "host", "kind", "page")
MOMENT = "a time with its zone, as 2026-11-23T22:00:00+01:00"
Stamp = tuple[int, int, int]


class BadWindows(Exception):
    """What is wrong in which window, and what was expected; without the file's name."""


class Window(NamedTuple):
    """Half-open in time, seconds since the epoch. No globs: all there are."""

    begin: float
    end: float
    reason: str
    sources: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    pages: bool = False

    def covers(self, moment: float, source: str, host: str | None, kind: str | None) -> bool:
        """`kind` is None where only a console is meant."""
        if not self.begin <= moment < self.end or not _fits(source, self.sources):
            return False
        # Of whom nobody knows the host it cannot be said that he is meant.
        if self.hosts and (host is None or not _fits(host, self.hosts)):
            return False
        return not self.kinds if kind is None else kind_matches(kind, self.kinds)

    @property
    def key(self) -> tuple[object, ...]:
        """The same when a window is made longer or shorter."""
        return self.begin, self.reason, self.sources, self.hosts, self.kinds


def _fits(name: str, globs: tuple[str, ...]) -> bool:
    return not globs or any(fnmatchcase(name, glob) for glob in globs)


def parse(text: str, kinds: Collection[str]) -> tuple[Window, ...]:
    """The windows of a file; `kinds` are those that there are. Raises BadWindows."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadWindows(f"no TOML: {error}") from None
    for key in content:
        if key != "window":
            raise BadWindows(f"{key}: unknown; expected [[window]] tables")
    windows = content.get("window", [])
    if not isinstance(windows, list):
        raise BadWindows("window: expected tables, each under [[window]] in double brackets")
    return tuple(_window(f"window {n}", one, kinds) for n, one in enumerate(windows, 1))


def _window(where: str, table: Any, kinds: Collection[str]) -> Window:
    if not isinstance(table, dict):
        raise BadWindows(f"{where}: expected a table")
    for key in table:
        if key not in KEYS:
            raise BadWindows(f"{where}: {key}: unknown; expected one of {', '.join(KEYS)}")
    begin, end = (_moment(f"{where}: {key}", table.get(key)) for key in ("from", "until"))
    if end <= begin:
        raise BadWindows(f"{where}: until: not after from")
    reason = table.get("reason")
    if not isinstance(reason, str) or not reason.strip():
        raise BadWindows(f"{where}: reason: {_found(reason)}; expected some words: people will ask")
    pages = table.get("page", False)
    if not isinstance(pages, bool):
        raise BadWindows(f"{where}: page: {_found(pages)}; expected true or false")
    sources, hosts, chosen = (
        _globs(f"{where}: {key}", table.get(key, [])) for key in ("source", "host", "kind")
    )
    if unknown := unknown_kinds(chosen, kinds):
        raise BadWindows(f"{where}: kind: no rule has a kind like {unknown[0]!r}")
    return Window(begin, end, " ".join(reason.split()), sources, hosts, chosen, pages)


def _moment(where: str, value: Any) -> float:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise BadWindows(f"{where}: {_found(value)}; expected {MOMENT}")
    if moment.tzinfo is None:
        raise BadWindows(f"{where}: {value} has no zone; expected {MOMENT}")
    return moment.timestamp()


def _globs(where: str, value: Any) -> tuple[str, ...]:
    globs = [value] if isinstance(value, str) else value
    if not isinstance(globs, list) or not all(isinstance(one, str) and one for one in globs):
        raise BadWindows(f"{where}: {_found(value)}; expected a glob in quotes, or a list of them")
    return tuple(globs)


def _found(value: Any) -> str:
    return "missing" if value is None else repr(value)


class Maintenance:
    """The windows of one file, as it is now."""

    def __init__(
        self,
        path: str,
        kinds: Collection[str],
        complain: Callable[[str], object],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Raises BadWindows or OSError; a file that is not there yet has no windows."""
        self.path = path
        self.windows: tuple[Window, ...] = ()
        self.is_bad = False  # the file; the windows are those it had before
        self._kinds = kinds
        self._complain = complain
        self._wall = wall
        self._stamp = self._stamp_now()
        if self._stamp is None:
            complain(f"{path}: not there; no windows until it is")
        else:
            self.windows = self._read()

    def look(self) -> None:
        """Read it again, if it is another."""
        stamp = self._stamp_now()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None:
            self.windows, self.is_bad = (), False
            self._complain(f"{self.path}: gone, and its windows with it")
            return
        try:
            self.windows = self._read()
        except (BadWindows, OSError) as error:
            self.is_bad = True
            what = getattr(error, "strerror", None) or error
            self._complain(f"{self.path}: {what}; it goes on as before, {self._count()}")
            return
        self.is_bad = False
        self._complain(f"{self.path}: read again, {self._count()}")

    def window(self, source: str, host: str | None, kind: str) -> Window | None:
        """The first that covers such an incident now."""
        self.look()
        now = self._wall()
        return next((one for one in self.windows if one.covers(now, source, host, kind)), None)

    def in_force(self) -> list[Window]:
        now = self._wall()
        return [one for one in self.windows if one.begin <= now < one.end]

    def _count(self) -> str:
        count, now = len(self.windows), len(self.in_force())
        return f"{count} window{'' if count == 1 else 's'}, {now} in force"

    def _stamp_now(self) -> Stamp | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> tuple[Window, ...]:
        with open(self.path, "rb") as file:
            data = file.read()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadWindows(f"no UTF-8 at byte {error.start}; expected TOML") from None
        return parse(text, self._kinds)
