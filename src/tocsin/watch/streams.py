"""The streams under watch: each has a scanner of its own, and a clock that the scanner has not.

A scanner waits: for more lines of a report, for repeats of a one-line incident. A person at the
other end does not want to. Three moments end the waiting:

* the scanner closes an incident: it is told at once;
* an incident is complete (its end line was seen, or one line is all there is to it) but the
  scanner still waits for what may belong to it: `SETTLE` seconds after its last line it is told
  early, however busy the stream is with other lines. A copy of the scanner is flushed to learn
  that; the scanner itself is not disturbed. When it closes the incident at last, that is told only
  if it became worse or more;
* nothing came for `idle` seconds: the scanner is flushed, so a report that was cut off is told.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tocsin.incident import EndReason, Incident
from tocsin.rules.loader import Ruleset
from tocsin.scanner import Scanner
from tocsin.watch import alarms
from tocsin.watch.alarms import Alarm
from tocsin.watch.loop import Loop, Timer
from tocsin.wire import incident_id

__all__ = ["SETTLE", "Saved", "Stream", "Streams"]

# Longer than the pauses between the writes of one report (a console of 9600 baud sends a line of
# 80 bytes in 83 ms, but in many small reads), shorter than anybody notices.
SETTLE = 0.03
# Two looks into one busy stream are so far apart at least. All looks together may take `SHARE` of
# the time, but none waits longer than `LONGEST` for that.
STEP = 0.005
SHARE = 0.05
LONGEST = 0.25
# Line ends that came within a millisecond came at once.
AT_ONCE = 0.001
COMPLETE = (EndReason.END, EndReason.LINE)
EARLY = 256  # incidents told early and not closed yet; a scanner holds at most half as many


class Saved(NamedTuple):
    """A stream as the state directory keeps it."""

    name: str
    path: str | None
    began: float  # seconds since the epoch
    base: int
    scanner: bytes
    early: dict[str, list[Any]]
    position: Any  # of the source: JSON
    heard: float  # seconds since the epoch; 0 for never
    console: str
    offset: int
    host: str | None


class Stream:
    """One source of bytes. Sources call `feed` and `gap`.

    `position` is what a source saved in an earlier run; `where`, which the source sets, says what
    to save now: how to find the place up to which it has fed.
    """

    __slots__ = (
        "_lines", "_owner", "_replays", "_scanner", "_snapshot", "_timer", "base", "began", "dirty",
        "early", "fed_at", "heard", "host", "is_closed", "looked_at", "name", "origin", "path",
        "position", "where",
    )  # fmt: skip

    def __init__(
        self, owner: Streams, name: str, path: str | None, *, replays: bool, host: str | None
    ) -> None:
        self._owner = owner
        self.name = name
        self.path = path
        self.host = host
        self.began = owner.wall()
        # Ids are made from it. What can be read again must have the same ids then; offsets of
        # what cannot begin at 0 in every run, and must not.
        self.origin = name if replays else f"{name}@{self.began:.6f}"
        self.base = 0  # where in the stream the scanner's byte 0 is
        self.position: Any = None
        self.where: Callable[[], Any] | None = None
        self.early: dict[str, list[Any]] = {}
        self.heard = 0.0
        self.fed_at = self.looked_at = 0.0
        self.dirty = True
        self.is_closed = False
        self._scanner: Scanner | None = None
        self._snapshot = b""  # of the scanner, when there is none
        # While something is open: offsets behind line ends not settled yet, and when they came.
        self._lines: list[tuple[float, int]] = []
        self._timer: Timer | None = None
        self._replays = replays

    @property
    def scanner(self) -> Scanner:
        # Most of ten thousand files say nothing for days: a scanner for those that do.
        if self._scanner is None:
            self._scanner = Scanner(self._owner.rules)
        return self._scanner

    @property
    def offset(self) -> int:
        return self.base + (self._scanner.offset if self._scanner else 0)

    def feed(self, data: bytes) -> None:
        owner = self._owner
        if not self._replays:
            owner.keep(self.name, data)
        scanner = self._scanner or self.scanner
        before = scanner.offset
        incidents = scanner.feed(data)
        now = self.fed_at = owner.loop.now
        self._mark()
        owner.bytes += len(data)
        if incidents:
            self._closed(incidents)
        if not scanner.pending:
            self._lines.clear()
            return
        last = data.rfind(b"\n")
        if last >= 0:
            end = before + last + 1
            if self._lines and now - self._lines[-1][0] < AT_ONCE:
                self._lines[-1] = self._lines[-1][0], end
            else:
                self._lines.append((now, end))
        due = self._due()
        if self._timer is None or self._timer.when > due:
            self._wait_until(due)

    def gap(
        self, reason: str, lost_bytes: int | None = None, lost_records: int | None = None
    ) -> None:
        """Something is missing here. What is open ends: what follows does not belong to it."""
        self.flush()
        self._owner.report(
            alarms.gap(
                self.name,
                self.path,
                self._owner.wall(),
                reason,
                offset=self.offset,
                lost_bytes=lost_bytes,
                lost_records=lost_records,
            )
        )
        self._owner.gaps += 1

    def flush(self) -> None:
        if self._scanner is not None and self._scanner.pending:
            self._mark()
            self._closed(self._scanner.flush())
            self._lines.clear()

    def saved(self) -> Saved:
        if self._scanner is not None:
            self._snapshot = self._scanner.dumps()
        return Saved(
            self.name, self.path, self.began, self.base, self._snapshot, self.early,
            self.where() if self.where else self.position, self.heard_at(), self.console,
            self.offset, self.host,
        )  # fmt: skip

    def restore(self, saved: Saved) -> None:
        """Go on as the stream that was saved; the scanner is made when it is needed."""
        self.origin = self.origin if self.origin == self.name else f"{self.name}@{saved.began:.6f}"
        self.began = saved.began
        self.base = saved.base
        self.early = saved.early
        self.position = saved.position
        self.heard = saved.heard
        self.host = saved.host
        if not saved.scanner:
            return
        try:
            self._scanner = Scanner.loads(saved.scanner, self._owner.rules)
        except ValueError as error:
            self._owner.complain(f"{self.name}: {error}; what was open there is given up")
            self.base = saved.offset
            self.early = {}
            return
        self._snapshot = saved.scanner
        if self._scanner.pending:
            # Its source gets the time to bring the rest before it counts as cut off.
            self.fed_at = self._owner.loop.clock()
            self._wait_until(self._due())

    @property
    def console(self) -> str:
        return "unknown" if self._scanner is None else self._scanner.console.value

    def heard_at(self) -> float:
        """When the last bytes came, by the wall clock; 0 for never."""
        if self.fed_at:
            self.heard = self._owner.wall() - (self._owner.loop.clock() - self.fed_at)
        return self.heard

    def moved(self) -> None:
        """The source's position changed without a byte fed."""
        self._mark()

    def _mark(self) -> None:
        if not self.dirty:
            self.dirty = True
            self._owner.dirty.append(self)

    def _wait_until(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._owner.loop.at(when, self._wait)

    def _due(self) -> float:
        """When to look next."""
        idle = self.fed_at + self._owner.idle
        if not self._lines:
            return idle
        settled = self._lines[0][0] + SETTLE
        return min(idle, max(settled, self.looked_at + STEP, self._owner.may_look_at(settled)))

    def _wait(self) -> None:
        """Time has passed: what need not wait any longer?"""
        owner, scanner = self._owner, self._scanner
        now = owner.loop.now
        self._timer = None
        if scanner is None or not scanner.pending:
            return
        if now - self.fed_at >= owner.idle:
            self.flush()
            return
        settled = 0
        while self._lines and self._lines[0][0] + SETTLE <= now:
            settled = self._lines.pop(0)[1]
        if settled:
            self.looked_at = now
            self._look(scanner, settled)
        self._wait_until(self._due())

    def _look(self, scanner: Scanner, settled: int) -> None:
        """Tell what is complete and ends before `settled`, from a copy of the scanner."""
        owner = self._owner
        began = owner.loop.clock()
        incidents = Scanner.loads(scanner.dumps(), owner.rules).flush()
        # What is told is told once; it is the looking again and again that must have a bound.
        owner.looked(owner.loop.clock() - began)
        for incident in incidents:
            if incident.ended not in COMPLETE or incident.end > settled:
                continue
            uid = incident_id(self.origin, incident.start + self.base, incident.rule)
            if uid not in self.early and len(self.early) < EARLY:
                alarm = self._alarm(incident)
                self.early[alarm.uid] = _weight(alarm)
                self._mark()
                owner.report(alarm)

    def _closed(self, incidents: list[Incident]) -> None:
        for incident in incidents:
            alarm = self._alarm(incident)
            told = self.early.pop(alarm.uid, None)
            if told is None:
                self._owner.report(alarm)
            elif told != _weight(alarm):
                self._owner.report(alarms.revised(alarm, told[0]))

    def _alarm(self, incident: Incident) -> Alarm:
        owner = self._owner
        return alarms.of_incident(
            alarms.moved(incident, self.base),
            self.name,
            self.path,
            origin=self.origin,
            observed=owner.wall(),
            version=owner.version,
            host=self.host,
        )


def _weight(alarm: Alarm) -> list[Any]:
    """What of an incident is worth telling again when it changes."""
    assert alarm.incident is not None
    return [alarm.severity, alarm.title, alarm.incident.count]


class Streams:
    """All streams of one run. `report` takes each alarm as it comes."""

    def __init__(
        self,
        loop: Loop,
        rules: Ruleset,
        report: Callable[[Alarm], object],
        *,
        idle: float,
        version: str,
        saved: Callable[[str], Saved | None] = lambda _: None,
        complain: Callable[[str], object] = lambda _: None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.loop = loop
        self.rules = rules
        self.report = report
        self.idle = idle
        self.version = version
        self.wall = wall
        self.dirty: list[Stream] = []
        self.bytes = 0
        self.gaps = 0
        self.malformed: Counter[str] = Counter()  # input that its protocol does not allow
        self._saved = saved
        self.complain = complain
        # Keeps bytes that nobody can read again, before they are used.
        self.keep: Callable[[str, bytes], object] = lambda *_: None
        self._streams: dict[str, Stream] = {}
        self._free_at = 0.0  # when looks have had their share of the time

    def looked(self, seconds: float) -> None:
        self._free_at = max(self._free_at, self.loop.now) + seconds / SHARE

    def may_look_at(self, wanted: float) -> float:
        return min(self._free_at, wanted + LONGEST)

    def open(
        self, name: str, path: str | None = None, *, replays: bool = False, host: str | None = None
    ) -> Stream:
        """The stream of this name, restored if it is known. `replays`: its source can read the
        same bytes again at the same place."""
        stream = self._streams.get(name)
        if stream is None:
            stream = Stream(self, name, path, replays=replays, host=host)
            self._streams[name] = stream
            self.dirty.append(stream)
            saved = self._saved(name)
            if saved is not None:
                stream.restore(saved)
        return stream

    def missed(self, name: str, reason: str, records: int | None) -> None:
        """A gap in a source of many streams, of which nobody knows whose it is."""
        self.report(
            alarms.gap(name, None, self.wall(), reason, offset=0, lost_records=records)
        )
        self.gaps += 1

    def close(self, stream: Stream) -> None:
        """It ended: report what is open, and forget it, in the state, too."""
        stream.flush()
        if self._streams.pop(stream.name, None) is not None:
            stream.is_closed = True
            stream.moved()

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams.values())

    def __len__(self) -> int:
        return len(self._streams)
