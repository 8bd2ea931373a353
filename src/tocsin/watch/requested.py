"""Which incidents somebody asked for: by a maintenance window, or as the console itself shows.

A window speaks for people who are not to be woken. What the console shows (a crash by magic key, an
orderly stop) is only told with the incident: who asked, nobody here knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tocsin.incident import Incident, Severity
from tocsin.watch import alarms
from tocsin.watch.alarms import Alarm
from tocsin.watch.maintenance import Maintenance, Window

__all__ = ["Requests", "shown"]

# The field `requested` of a machine that a program stopped; any other value names what asked.
STOP = "stop"
START = "boot.kernel-start"
# A machine that is too hot stops in an orderly way, and nobody asked for it.
UNASKED = "hardware.thermal"
KILL = "memory.oom"  # asked for or not, the machine goes on
REMEMBERED = 10000  # machines


def shown(incident: Incident) -> str | None:
    """What in the report itself shows that it was asked for, and how."""
    if incident.confidence == "unverified":
        return None
    by = incident.fields.get("requested")
    if by is None:
        return None
    return "an orderly stop" if by == STOP else f"by {by}"


class Ended(NamedTuple):
    """A window that is over, as it was last seen."""

    window: Window
    incidents: int
    unwell: tuple[str, ...]  # consoles, and what they show


class Requests:
    """Marks alarms. `consoles` lists what can be in a window: name, host, state."""

    def __init__(
        self,
        maintenance: Maintenance | None = None,
        consoles: Callable[[], Iterable[tuple[str, str | None, str]]] = tuple,
    ) -> None:
        self.maintenance = maintenance
        self._consoles = consoles
        # By source and host: why the machine went down, None when it was not asked to.
        self._stopped: dict[tuple[str, str | None], str | None] = {}
        self._current: dict[tuple[object, ...], tuple[Window, int]] = {}

    def mark(self, alarm: Alarm) -> Alarm:
        """The alarm, with who asked for it, if somebody did."""
        kind = alarm.wire["attributes"].get("tocsin.kind")
        if kind is None:
            return alarm  # lost input is nobody's wish
        host = alarm.wire.get("resource", {}).get("host.name")
        reason = self._shown(alarm, alarm.incident, host) if alarm.incident else None
        window = None
        if self.maintenance is not None:
            window = self.maintenance.window(alarm.source, host, kind)
        if window is not None:
            known, count = self._current.get(window.key, (window, 0))
            self._current[window.key] = known, count + (not alarm.is_note)
            return alarms.requested(alarm, "window", window.reason, paged=window.pages)
        return alarms.requested(alarm, "console", reason) if reason else alarm

    def ended(self) -> list[Ended]:
        """The windows that were in force and are no more, each once."""
        if self.maintenance is None:
            return []
        self.maintenance.look()
        out = []
        now = {window.key: window for window in self.maintenance.in_force()}
        for key, (window, count) in list(self._current.items()):
            if key not in now:
                del self._current[key]
                out.append(Ended(window, count, self._unwell(window)))
        for key, window in now.items():
            self._current[key] = window, self._current.get(key, (window, 0))[1]
        return out

    def _unwell(self, window: Window) -> tuple[str, ...]:
        return tuple(
            f"{name} is {state}"
            for name, host, state in self._consoles()
            if state in alarms.UNWELL and window.covers(window.begin, name, host, None)
        )

    def _shown(self, alarm: Alarm, incident: Incident, host: str | None) -> str | None:
        machine = alarm.source, host
        reason = shown(incident)
        stopped = self._stopped.get(machine, "")
        if incident.rule == START:
            self._stopped.pop(machine, None)
            # What the kernel's start follows from was asked for, and so is the start.
            return stopped or None
        if incident.kind == UNASKED and incident.severity <= Severity.CRIT:
            self._remember(machine, None)
        elif stopped is None and incident.fields.get("requested") == STOP:
            return None
        elif reason is not None and incident.kind != KILL:
            self._remember(machine, reason)
        return reason

    def _remember(self, machine: tuple[str, str | None], reason: str | None) -> None:
        if len(self._stopped) >= REMEMBERED:
            del self._stopped[next(iter(self._stopped))]
        self._stopped[machine] = reason
