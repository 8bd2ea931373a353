"""From the streams to the sinks: durable first, then delivered, then settled.

Each alarm gets a number. With a state directory, one transaction writes the alarm, the sinks it
waits for and where its stream stands; only then is it handed to the couriers, and when a sink has
taken it, it no longer waits. What waits for one sink is bounded; what finds no room is counted.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from tocsin.watch.alarms import Alarm
from tocsin.watch.courier import Courier, Entry, Sink
from tocsin.watch.loop import Loop, Timer
from tocsin.watch.storm import Storm

if TYPE_CHECKING:
    from tocsin.watch.store import Store
    from tocsin.watch.streams import Stream

__all__ = ["Outbox"]

TURN = 1.0  # seconds between two looks at the windows of storms
PATIENCE = 0.5  # seconds without one delivery, after which a full sink counts as dead
CHECKPOINT = 1.0  # seconds between two, when nothing is to be told, or the last one failed
UNKEPT = 10000  # alarms remembered while the state cannot be kept


class Resumable(Protocol):
    """A sink that can tell, from its own end, what it took before a crash."""

    def resume(self, mark: int | None, waiting: list[Alarm]) -> int: ...


class Member:
    """A sink with its courier, its storm control and how much waits for it."""

    __slots__ = ("courier", "delivered", "dropped", "quiet", "stalled", "storm", "waiting")

    def __init__(self, courier: Courier, storm: Storm | None) -> None:
        self.courier = courier
        self.storm = storm
        self.waiting = 0
        self.delivered = 0
        self.dropped = 0
        self.quiet = 0  # not told, because they were asked for
        self.stalled = False  # it was waited for in vain


class Outbox:
    def __init__(
        self,
        loop: Loop,
        store: Store | None,
        *,
        keep: int,
        complain: Callable[[str], object],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._loop = loop
        self._store = store
        self._keep = keep
        self._complain = complain
        self._wall = wall
        self._members: list[Member] = []
        self._fresh: list[tuple[int, Alarm]] = []
        self._settled: list[tuple[str, int]] = []
        self._trouble = ""  # why the state cannot be kept at present
        self._unkept: list[tuple[int, Alarm]] = []  # told, and not in the state for that
        self._number = store.last_alarm() if store else 0
        self._checked = loop.clock()
        self._timer: Timer | None = None

    def add(self, name: str, sink: Sink, storm: Storm | None = None) -> None:
        if storm is not None and not any(other.storm for other in self._members):
            self._loop.every(TURN, lambda: None)  # windows end though nothing else happens
        member = Member(Courier(name, sink, self._loop.wake, self._complain), storm)
        self._members.append(member)
        left = self._store.waiting(name) if self._store else []
        resume = getattr(sink, "resume", None)
        if resume is not None:
            mark = self._store.mark(name) if self._store else None
            taken = resume(mark, [alarm for _, alarm in left])
            self._settled += [(name, number) for number, _ in left[:taken]]
            member.courier.mark = sink.mark  # type: ignore[attr-defined]
            left = left[taken:]
        for number, alarm in left:
            if self._wants(member, number, alarm):
                member.waiting += 1
                self._pass(member, number, alarm)
        member.courier.start()

    @property
    def is_kept(self) -> bool:
        """Whether what waits is in the state."""
        return self._store is not None and not self._trouble

    def is_output(self, status: os.stat_result) -> bool:
        sinks = (member.courier.sink for member in self._members)
        return any(sink.is_file(status) for sink in sinks if hasattr(sink, "is_file"))

    def post(self, alarm: Alarm) -> None:
        self._number += 1
        self._fresh.append((self._number, alarm))

    @property
    def fatal(self) -> BaseException | None:
        return next((m.courier.fatal for m in self._members if m.courier.fatal), None)

    def counts(self) -> dict[str, dict[str, int]]:
        return {
            m.courier.name: {
                "waiting": m.waiting,
                "delivered": m.delivered - m.courier.refused,
                "dropped": m.dropped,
                "failures": m.courier.failures,
                "refused": m.courier.refused,
                "failing": int(m.courier.failing),
            }
            for m in self._members
        }

    def suppressed(self) -> dict[tuple[str, str], int]:
        """Alarms that sinks for people were spared, by sink and why."""
        out = {}
        for member in self._members:
            name = member.courier.name
            if member.courier.sink.pages:
                out[name, "maintenance"] = member.quiet
            if member.storm is not None:
                out[name, "rate"] = member.storm.too_fast
                out[name, "repeat"] = member.storm.repeats
        return out

    def round(self, dirty: list[Stream]) -> None:
        """At the end of each round of the loop. Empties `dirty` when it was made durable."""
        self._collect()
        self._end_windows()
        fresh, self._fresh = self._fresh, []
        now = self._loop.now
        if self._store is None:
            for stream in dirty:
                stream.dirty = False
            dirty.clear()
            self._settled.clear()
        elif self._trouble and now - self._checked < CHECKPOINT:
            self._unkept += fresh
        elif fresh or self._settled or (dirty and now - self._checked >= CHECKPOINT):
            self._commit(fresh, dirty)
        waits = dirty or self._unkept or self._settled
        if self._store is not None and waits and self._timer is None:
            # Nothing else may wake the loop when the checkpoint is due.
            self._timer = self._loop.at(self._checked + CHECKPOINT, self._due)
        for number, alarm in fresh:
            for member in self._members:
                self._offer(member, number, alarm)

    def _due(self) -> None:
        self._timer = None

    def checkpoint(self, dirty: list[Stream]) -> None:
        if self._store is not None:
            fresh, self._fresh = self._fresh, []
            self._commit(fresh, dirty)
            for number, alarm in fresh:
                for member in self._members:
                    self._offer(member, number, alarm)

    def close(self, dirty: list[Stream], patience: float = 5.0) -> int:
        """Deliver what can be delivered; how many alarms still wait for a sink."""
        self.round(dirty)
        deadline = self._loop.clock() + patience
        for member in self._members:
            # Kept ones fold again after the restart; without a state this is their last chance.
            if member.storm is not None and self._store is None:
                for entry in member.storm.rest(self._loop.clock(), self._wall()):
                    member.courier.push(entry)
        for member in self._members:
            member.courier.close(max(0.05, deadline - self._loop.clock()))
        self._collect()
        if self._store is not None:
            self._commit([], dirty)
        return sum(member.waiting for member in self._members)

    def _collect(self) -> None:
        for member in self._members:
            taken = member.courier.taken()
            if taken:
                member.waiting -= len(taken)
                member.delivered += len(taken)
                self._settled += [(member.courier.name, number) for number in taken]

    def _end_windows(self) -> None:
        for member in self._members:
            if member.storm is not None:
                for entry in member.storm.due(self._loop.now, self._wall()):
                    member.courier.push(entry)

    def _commit(self, fresh: list[tuple[int, Alarm]], dirty: list[Stream]) -> None:
        assert self._store is not None
        # A checkpoint of every stream for every alarm would cost a storm of small writes; one of
        # all that changed is as consistent and takes in what the next would have to.
        saved = [stream.saved() for stream in dirty if not stream.is_closed]
        # One that came back under its name meanwhile is saved, and not forgotten.
        closed = {stream.name for stream in dirty if stream.is_closed} - {one.name for one in saved}
        marks = {
            m.courier.name: m.courier.mark for m in self._members if m.courier.mark is not None
        }
        self._checked = self._loop.now
        self._unkept += fresh
        try:
            self._store.commit(
                saved,
                self._unkept,
                [m.courier.name for m in self._members],
                self._settled,
                marks,
                closed,
                sure=bool(self._unkept or saved),
            )
        except OSError as error:
            self._not_kept(error)
            return
        for stream in dirty:
            stream.dirty = False
        dirty.clear()
        self._settled, self._unkept = [], []
        if self._trouble:
            self._trouble = ""
            self._complain("the state is kept again")

    def _not_kept(self, error: OSError) -> None:
        """The disc is full, or fails: just then somebody wants to hear of it. So alarms are told
        all the same, and kept as soon as that can be done."""
        if not self._trouble:
            self._complain(
                f"the state cannot be kept: {error.strerror}; incidents are told, but if tocsin"
                " ends now, it tells them again, and what it cannot read again is lost"
            )
        self._trouble = error.strerror or str(error)
        if len(self._unkept) > UNKEPT:
            del self._unkept[: len(self._unkept) - UNKEPT]
            first = self._unkept[0][0]
            self._settled = [one for one in self._settled if one[1] >= first]

    def _offer(self, member: Member, number: int, alarm: Alarm) -> None:
        if not self._wants(member, number, alarm):
            return
        if member.waiting >= self._keep and not self._makes_room(member):
            member.dropped += 1
            self._settled.append((member.courier.name, number))
            if member.dropped == 1:
                self._complain(f"{member.courier.name}: {self._keep} alarms wait; counting on")
        else:
            member.waiting += 1
            self._pass(member, number, alarm)

    def _wants(self, member: Member, number: int, alarm: Alarm) -> bool:
        """Whether its sink is to have it; else it is settled."""
        if alarm.pages or not member.courier.sink.pages:
            return True
        if not alarm.is_note:
            member.quiet += 1
        self._settled.append((member.courier.name, number))
        return False

    def _makes_room(self, member: Member) -> bool:
        """Whether a sink that is full takes some. One that lives is worth a moment, or a burst
        of alarms would find no room in it; a dead one is not waited for."""
        until = time.monotonic() + PATIENCE
        while member.waiting >= self._keep:
            before = member.waiting
            self._collect()
            if member.waiting < before:
                member.stalled = False
                until = time.monotonic() + PATIENCE
            elif member.stalled or not member.courier.is_busy:
                return False
            elif time.monotonic() > until:
                member.stalled = True
            else:
                time.sleep(0.001)
        return True

    def _pass(self, member: Member, number: int, alarm: Alarm) -> None:
        if member.storm is None or alarm.is_note:
            member.courier.push(Entry((number,), alarm))
            return
        entry = member.storm.admit(number, alarm, self._loop.now)
        if entry is not None:
            member.courier.push(entry)
