"""One sink's own thread: takes alarms from a queue to a sink that may be slow or dead.

The loop that reads consoles never waits for a sink. A delivery that fails is tried again, later
and later, until it works or the queue is closed; order is kept.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from tocsin.watch.alarms import Alarm

__all__ = ["Courier", "Entry", "Refused", "Sink"]

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0


class Refused(Exception):
    """The sink will never take these, or so many of them: trying again is no use."""

    def __init__(self, reason: str, count: int | None = None) -> None:
        super().__init__(reason)
        self.count = count


class Entry(NamedTuple):
    numbers: tuple[int, ...]  # of the alarms that are settled when this one is taken
    alarm: Alarm


class Sink(Protocol):
    most: int  # alarms it takes at a time
    pages: bool  # tells people at once: not of lost input, and not of what was asked for
    ends_run: bool  # whether nobody wants alarms any more when its reader has gone

    def send(self, alarms: Sequence[Alarm]) -> None:
        """Return when all are delivered; raise when none is, or Refused."""

    def close(self) -> None: ...


class Courier:
    def __init__(
        self,
        name: str,
        sink: Sink,
        wake: Callable[[], object],
        complain: Callable[[str], object],
    ) -> None:
        self.name = name
        self.sink = sink
        # The sink's own, after the last delivery of those that `taken` has told.
        self.mark: int | None = None
        self.failures = 0
        self.refused = 0
        self.failing = False  # since the last delivery
        self.fatal: BaseException | None = None
        self._wake = wake
        self._complain = complain
        self._queue: deque[Entry] = deque()
        self._taken: deque[tuple[list[int], int | None]] = deque()
        self._condition = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"tocsin {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def push(self, entry: Entry) -> None:
        with self._condition:
            self._queue.append(entry)
            self._condition.notify()

    @property
    def is_busy(self) -> bool:
        """Whether it is delivering, and may be done soon."""
        return bool(self._queue) and not self.failing and self.fatal is None

    def taken(self) -> list[int]:
        """The alarms that were delivered since last asked."""
        done = []
        while self._taken:
            numbers, self.mark = self._taken.popleft()
            done += numbers
        return done

    def close(self, patience: float) -> bool:
        """Deliver what is queued, for so many seconds; whether all of it is."""
        with self._condition:
            self._closing = True
            self._condition.notify()
        self._thread.join(patience)
        if self._thread.is_alive():
            return False
        self.sink.close()
        return not self._queue

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            with self._condition:
                while not self._queue and not self._closing:
                    self._condition.wait()
                batch = [self._queue[i] for i in range(min(len(self._queue), self.sink.most))]
            if not batch:
                return
            try:
                self.sink.send([entry.alarm for entry in batch])
            except Refused as refusal:
                count = refusal.count
                self.refused += count or sum(len(entry.numbers) for entry in batch)
                self._complain(f"{self.name}: {refusal}; not tried again")
            except Exception as error:  # whatever a sink's library raises, the next may work
                if isinstance(error, BrokenPipeError) and self.sink.ends_run:
                    self.fatal = error
                    self._wake()
                    return
                self.failures += 1
                self.failing = True
                if pause == FIRST_PAUSE:
                    self._complain(f"{self.name}: {error}; trying again")
                with self._condition:
                    if not self._closing:
                        # New alarms do not shorten the pause; closing does.
                        self._condition.wait_for(lambda: self._closing, pause)
                    if self._closing:
                        return
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self.failing = False
            with self._condition:
                for _ in batch:
                    self._queue.popleft()
            numbers = [number for entry in batch for number in entry.numbers]
            self._taken.append((numbers, getattr(self.sink, "mark", None)))
            self._wake()
