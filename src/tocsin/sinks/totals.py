"""What a whole run saw, for the line at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from tocsin.incident import ConsoleState, Incident

__all__ = ["Totals"]


class Totals:
    def __init__(self) -> None:
        self.files = 0
        self.unreadable = 0
        self.bytes = 0
        self.severities: Counter[int] = Counter()
        self.cuts: Counter[str] = Counter()  # what cut incidents short, and how often
        self.dropped_lines = 0
        self.limits: Counter[str] = Counter()  # what a scanner's own counts say it cut
        self.consoles: list[tuple[str, str]] = []  # source, state; those that have one

    def incident(self, incident: Incident) -> None:
        self.severities[int(incident.severity)] += 1
        if incident.truncated:
            self.cuts[incident.ended.value] += 1
        self.dropped_lines += incident.dropped_lines

    def log(
        self, source: str, size: int, console: ConsoleState, limits: Mapping[str, int]
    ) -> None:
        self.files += 1
        self.bytes += size
        self.limits.update(limits)
        if console.value != "unknown":
            self.consoles.append((source, console.value))

    @property
    def incidents(self) -> int:
        return sum(self.severities.values())

    def worst_is(self, severity: int) -> bool:
        """Whether anything at least as bad as `severity` (0 is the worst) was seen."""
        return any(number <= severity for number in self.severities)
