"""Counts of one run, for whoever measures it."""

from __future__ import annotations

from collections import Counter

from tocsin.watch.alarms import Alarm
from tocsin.wire import SEVERITIES

__all__ = ["Meter"]


class Meter:
    def __init__(self) -> None:
        self.incidents: Counter[tuple[str, str]] = Counter()  # by kind and severity
        self.last: dict[str, float] = {}  # seconds since the epoch, by kind

    def alarm(self, alarm: Alarm) -> None:
        if not alarm.is_note:
            self.incidents[alarm.kind, SEVERITIES[alarm.severity][0]] += 1
            self.last[alarm.kind] = alarm.observed
