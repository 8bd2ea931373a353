"""What keeps a storm from a person: folding by signature, and a limit on the rate.

The first of a kind is told at once. Its repeats within the window are held back and told by one
note, "and N more", at the window's end, with the names of other consoles that it has come to
meanwhile; so is what comes too fast altogether. Nothing is forgotten: the note settles the alarms
it stands for.
"""

from __future__ import annotations

from collections import deque

from tocsin.watch import alarms
from tocsin.watch.alarms import Alarm
from tocsin.watch.courier import Entry

__all__ = ["Storm"]

PLACES = 100  # streams and machines named in one note
SIGNATURES = 1024  # with a window open at once; more are told by one note for all


class Window:
    __slots__ = ("elsewhere", "held", "last", "since", "told")

    def __init__(self, since: float, last: Alarm, told: set[str]) -> None:
        self.since = since
        self.last = last
        self.held: list[int] = []
        self.told = told  # where people know it to be
        # Where else it is, and how often: another machine is no repeat to whoever looks after it.
        self.elsewhere: dict[str, int] = {}

    def hold(self, number: int, alarm: Alarm) -> None:
        self.last = alarm
        self.held.append(number)
        where = alarm.where
        if where not in self.told and (where in self.elsewhere or len(self.elsewhere) < PLACES):
            self.elsewhere[where] = self.elsewhere.get(where, 0) + 1

    def note(self, now: float, observed: float) -> Alarm:
        return alarms.repeated(
            self.last, len(self.held), now - self.since, observed, self.elsewhere
        )


class Storm:
    """`window`: seconds for which repeats are held back. `rate`: alarms told per minute."""

    def __init__(self, window: float, rate: int) -> None:
        self.repeats = 0  # held back so far, and why
        self.too_fast = 0
        self._window = window
        self._rate = rate
        self._windows: dict[str, Window] = {}
        self._told: deque[float] = deque()

    def admit(self, number: int, alarm: Alarm, now: float) -> Entry | None:
        """The entry to deliver now; None when it is held back."""
        key = alarm.signature if len(self._windows) < SIGNATURES else ""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = Window(now, alarm, set())
            if self._may_tell(now):
                window.told.add(alarm.where)
                return Entry((number,), alarm)
            self.too_fast += 1
        else:
            self.repeats += 1
        window.hold(number, alarm)
        return None

    def due(self, now: float, observed: float) -> list[Entry]:
        """Notes for the windows that have ended; a window with repeats opens the next one."""
        out = []
        for key, window in list(self._windows.items()):
            if now - window.since < self._window:
                continue
            del self._windows[key]
            if window.held:
                note = window.note(now, observed)
                if not self._may_tell(now):
                    self._windows[key] = window  # its turn comes when the rate allows
                    continue
                out.append(Entry(tuple(window.held), note))
                told = window.told | window.elsewhere.keys()
                self._windows[key] = Window(now, window.last, told)
        return out

    def rest(self, now: float, observed: float) -> list[Entry]:
        """Notes for everything held back: nothing more will come."""
        windows, self._windows = self._windows, {}
        return [
            Entry(tuple(window.held), window.note(now, observed))
            for window in windows.values()
            if window.held
        ]

    def _may_tell(self, now: float) -> bool:
        while self._told and now - self._told[0] >= 60:
            self._told.popleft()
        if len(self._told) >= self._rate:
            return False
        self._told.append(now)
        return True
