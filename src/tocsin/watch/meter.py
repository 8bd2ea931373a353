"""Counts of one run, and their names for Prometheus."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tocsin.incident import ConsoleState
from tocsin.sinks.prometheus import Family
from tocsin.watch.alarms import Alarm
from tocsin.wire import SEVERITIES

if TYPE_CHECKING:
    from tocsin.watch.maintenance import Maintenance
    from tocsin.watch.outbox import Outbox
    from tocsin.watch.streams import Streams

__all__ = ["Meter"]

CONSOLES = 2000  # streams with a state of their own among the samples


class Meter:
    def __init__(self) -> None:
        self.incidents: Counter[tuple[str, str]] = Counter()  # by kind and severity
        self.requested: Counter[str] = Counter()  # by who asked: a window, the console
        self.last: dict[str, float] = {}  # seconds since the epoch, by kind

    def alarm(self, alarm: Alarm) -> None:
        if not alarm.is_note:
            self.incidents[alarm.kind, SEVERITIES[alarm.severity][0]] += 1
            self.last[alarm.kind] = alarm.observed
            by = alarm.wire["attributes"].get("tocsin.requested.by")
            if by is not None:
                self.requested[by] += 1

    def families(
        self, streams: Streams, outbox: Outbox, maintenance: Maintenance | None = None
    ) -> list[Family]:
        sinks = outbox.counts()

        def by_sink(count: str) -> list[tuple[dict[str, str], float]]:
            return [({"sink": name}, counts[count]) for name, counts in sorted(sinks.items())]

        return [
            Family(
                "tocsin_incidents_total", "counter", "Incidents seen.",
                [
                    ({"kind": kind, "severity": severity}, count)
                    for (kind, severity), count in sorted(self.incidents.items())
                ],
            ),
            Family(
                "tocsin_last_incident_timestamp_seconds", "gauge",
                "When the last incident of a kind was seen.",
                [({"kind": kind}, when) for kind, when in sorted(self.last.items())],
            ),
            Family(
                "tocsin_scanned_bytes_total", "counter", "Console bytes scanned.",
                [({}, streams.bytes)],
            ),
            Family(
                "tocsin_gaps_total", "counter", "Places where input was lost.",
                [({}, streams.gaps)],
            ),
            Family(
                "tocsin_malformed_total", "counter", "Input that its protocol does not allow.",
                [({"input": name}, n) for name, n in sorted(streams.malformed.items())],
            ),
            Family("tocsin_streams", "gauge", "Streams watched.", [({}, len(streams))]),
            Family(
                "tocsin_console_state", "gauge", "What a console last showed: 1 for that state.",
                _consoles(streams),
            ),
            Family(
                "tocsin_alarms_waiting", "gauge", "Alarms that a sink has not taken yet.",
                by_sink("waiting"),
            ),
            Family(
                "tocsin_alarms_delivered_total", "counter", "Alarms that a sink has taken.",
                by_sink("delivered"),
            ),
            Family(
                "tocsin_alarms_dropped_total", "counter", "Alarms that found no room to wait.",
                by_sink("dropped"),
            ),
            Family(
                "tocsin_sink_failures_total", "counter", "Deliveries that a sink failed to take.",
                by_sink("failures"),
            ),
            Family(
                "tocsin_alarms_refused_total", "counter", "Alarms that a sink will never take.",
                by_sink("refused"),
            ),
            Family(
                "tocsin_sink_failing", "gauge", "1 for a sink whose last delivery failed.",
                by_sink("failing"),
            ),
            Family(
                "tocsin_suppressed_total", "counter",
                "Alarms that people were spared: asked for, repeats, too many a minute.",
                [
                    ({"sink": name, "reason": reason}, count)
                    for (name, reason), count in sorted(outbox.suppressed().items())
                ],
            ),
            Family(
                "tocsin_requested_total", "counter",
                "Incidents that somebody asked for, as a window says or the console shows.",
                [({"by": by}, count) for by, count in sorted(self.requested.items())],
            ),
            *_windows(maintenance),
        ]  # fmt: skip


def _windows(maintenance: Maintenance | None) -> list[Family]:
    if maintenance is None:
        return []
    return [
        Family(
            "tocsin_maintenance_windows", "gauge", "Maintenance windows in force.",
            [({}, len(maintenance.in_force()))],
        ),
        Family(
            "tocsin_maintenance_file_bad", "gauge",
            "1 when the file of windows cannot be read and an older reading stands.",
            [({}, float(maintenance.is_bad))],
        ),
    ]  # fmt: skip


def _consoles(streams: Streams) -> list[tuple[dict[str, str], float]]:
    out: list[tuple[dict[str, str], float]] = []
    for stream in list(streams)[:CONSOLES]:
        now = stream.console
        if now != ConsoleState.UNKNOWN.value:
            out += [
                ({"source": stream.name, "state": state.value}, float(state.value == now))
                for state in ConsoleState
            ]
    return out
