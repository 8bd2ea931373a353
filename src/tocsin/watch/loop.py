"""One thread that waits for everything: file descriptors, moments, signals.

Callbacks run to their end before the next; each does a bounded piece of work. After every round
of them `after_round` runs once: what the round brought is made durable and handed on there.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import math
import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable

__all__ = ["Loop", "Timer"]

Call = Callable[[], object]


class Timer:
    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Call | None) -> None:
        self.when = when
        self.call = call

    def cancel(self) -> None:
        self.call = None


class Loop:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.after_round: Call = lambda: None
        self.now = clock()  # of this round: near enough for every deadline
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._serial = itertools.count()
        self._soon: list[Call] = []
        self._stopped = False
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.on_readable(self._wake_read, self._drain)

    def on_readable(self, fd: int, call: Call) -> None:
        self._selector.register(fd, selectors.EVENT_READ, call)

    def on_writable(self, fd: int, call: Call) -> None:
        self._selector.register(fd, selectors.EVENT_WRITE, call)

    def forget(self, fd: int) -> None:
        self._selector.unregister(fd)

    def at(self, when: float, call: Call) -> Timer:
        timer = Timer(when, call)
        heapq.heappush(self._timers, (when, next(self._serial), timer))
        return timer

    def after(self, seconds: float, call: Call) -> Timer:
        return self.at(self.clock() + seconds, call)

    def every(self, seconds: float, call: Call) -> None:
        """Again and again; a late turn does not make the next ones come in a heap."""

        def turn() -> None:
            call()
            self.after(seconds, turn)

        self.after(seconds, turn)

    def soon(self, call: Call) -> None:
        """In the next round, whatever else there is to wait for."""
        self._soon.append(call)

    def wake(self) -> None:
        """From another thread: do not sleep on."""
        with contextlib.suppress(BlockingIOError):  # it is full of wakes already
            os.write(self._wake_write, b"\0")

    def stop(self) -> None:
        self._stopped = True

    def stop_on(self, signals: Iterable[int]) -> None:
        """End the run on these, between two rounds."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in signals:
            signal.signal(number, lambda *_: self.stop())

    def run(self) -> None:
        while not self._stopped:
            self.round()

    def round(self) -> None:
        self.turn(self.wait())

    def wait(self) -> list[selectors.SelectorKey]:
        """Until there is something to do; what is readable or writable."""
        return [key for key, _ in self._selector.select(self._patience())]

    def turn(self, ready: Iterable[selectors.SelectorKey] = ()) -> None:
        """Do it."""
        self.now = self.clock()
        soon, self._soon = self._soon, []
        for call in soon:
            call()
        for key in ready:
            # An earlier callback of this round may have forgotten this one.
            if self._selector.get_map().get(key.fd) is not None:
                key.data()
        while self._timers and self._timers[0][0] <= self.now:
            timer = heapq.heappop(self._timers)[2]
            if timer.call is not None:
                timer.call()
        self.after_round()

    def close(self) -> None:
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    @property
    def due(self) -> float:
        """When the next timer is."""
        return self._timers[0][0] if self._timers else math.inf

    def _patience(self) -> float | None:
        if self._soon or self._stopped:
            return 0
        while self._timers and self._timers[0][2].call is None:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0][0] - self.clock())

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass
