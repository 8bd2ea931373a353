"""What goes to the sinks: an incident seen somewhere, or a note about the watching itself.

Both become JSON objects. A note tells what an incident cannot: input that was lost, repeats that
were held back, an incident told early that turned out worse, the end of a maintenance. Notes have
a schema of their own beside the incidents', `sinks/note.schema.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from tocsin.incident import EAGER, LAZY, EndReason, Frame, Incident, Severity
from tocsin.sinks.place import Place
from tocsin.wire import SEVERITIES, to_wire

__all__ = [
    "NOTE", "UNWELL", "Alarm", "gap", "maintenance_over", "moved", "of_incident", "repeated",
    "requested", "restore", "revised",
]  # fmt: skip

NOTE = "urn:tocsin:note:1"
UNWELL_TOLD = 4  # consoles named in the words of one note
PLACES_TOLD = 4  # streams and machines, the same
UNWELL = ("panicked", "halted", "emergency")  # states of a console that serves nobody


class Alarm(NamedTuple):
    uid: str
    source: str
    observed: float  # seconds since the epoch
    severity: int
    kind: str  # of the incident; "tocsin.gap", "tocsin.repeated" and so on of a note
    title: str
    signature: str
    wire: dict[str, Any]
    incident: Incident | None  # None for a note
    place: Place

    @property
    def is_note(self) -> bool:
        return self.incident is None

    @property
    def pages(self) -> bool:
        """Whether people are to be told at once. Of notes, that something is worse than they
        were told, and that a machine did not come back from its maintenance."""
        facts = self.wire["attributes"]
        if self.kind == "tocsin.maintenance":
            return self.severity <= Severity.CRIT
        worse = not self.is_note or "tocsin.severity.before" in facts
        return worse and bool(facts.get("tocsin.paged", True))

    @property
    def where(self) -> str:
        """The stream, and the machine where a stream tells of many."""
        host = self.wire.get("resource", {}).get("host.name")
        source = _text(self.source)
        return source if host is None or host in source else f"{host} in {source}"

    @property
    def requested(self) -> str:
        """Why somebody asked for it; "" when nobody is known to have."""
        return str(self.wire["attributes"].get("tocsin.requested.reason", ""))

    def saved(self) -> str:
        """Everything, as text for the state directory; `restore` takes it back."""
        values = None if self.incident is None else _pack(self.incident)
        return json.dumps([*self[:8], values, self.place])


def restore(text: str) -> Alarm:
    *plain, values, place = json.loads(text)
    uid, source, observed, severity, kind, title, signature, wire = plain
    incident = None if values is None else _unpack(values)
    return Alarm(
        uid, source, observed, severity, kind, title, signature, wire, incident, Place(*place[:2])
    )


def of_incident(
    incident: Incident,
    source: str,
    path: str | None,
    *,
    origin: str,
    observed: float,
    version: str,
    host: str | None = None,
) -> Alarm:
    """`origin` is what ids are made from: the stream's name, and when it began if nobody can
    read it again. `host` is whose stream it is, where the lines themselves do not say."""
    wire = to_wire(incident, source=origin, path=path, observed=observed, version=version)
    if host is not None:
        wire["resource"].setdefault("host.name", _text(host))
    if path is None:
        wire["attributes"]["tocsin.source"] = _text(source)
    return Alarm(
        wire["attributes"]["log.record.uid"],
        source,
        observed,
        int(incident.severity),
        incident.kind,
        incident.title,
        incident.signature,
        wire,
        incident,
        Place(source, path),
    )


def gap(
    source: str,
    path: str | None,
    observed: float,
    reason: str,
    *,
    offset: int,
    lost_bytes: int | None = None,
    lost_records: int | None = None,
) -> Alarm:
    """Input that was there and was not read. Amounts are None where nobody can know them."""
    amounts = {"tocsin.gap.bytes": lost_bytes, "tocsin.gap.records": lost_records}
    known = {key: value for key, value in amounts.items() if value is not None and value > 0}
    attributes = {"tocsin.gap.reason": reason, "tocsin.offset.start": offset, **known}
    body = f"input lost: {reason}"
    if lost_bytes is not None and lost_bytes > 0:
        body += f", {lost_bytes} bytes"
    if lost_records is not None and lost_records > 0:
        body += f", {lost_records} records"
    return _note(
        "gap", Place(source, path), observed, severity=Severity.WARNING, body=body, signature="",
        attributes=attributes,
    )  # fmt: skip


def repeated(
    last: Alarm, count: int, seconds: float, observed: float, elsewhere: Mapping[str, int]
) -> Alarm:
    """`count` more incidents like `last` within `seconds`, not told one by one. `elsewhere`: how
    many of them where nobody was told of one yet."""
    body = f"and {count} more of: {last.title}"
    if elsewhere:
        body += f"; in {', '.join(list(elsewhere)[:PLACES_TOLD])}"
    if len(elsewhere) > PLACES_TOLD:
        body += f" and {len(elsewhere) - PLACES_TOLD} more places"
    attributes: dict[str, Any] = {
        "tocsin.kind": last.kind,
        "tocsin.signature": last.signature,
        "tocsin.count": count,
        "tocsin.seconds": round(seconds, 3),
        "tocsin.last.uid": last.uid,
    }
    if elsewhere:
        attributes["tocsin.elsewhere"] = list(elsewhere)
    return _note(
        "repeated", Place(last.source, last.place.path), observed, severity=last.severity,
        body=body, signature=last.signature, attributes=attributes,
    )  # fmt: skip


def revised(alarm: Alarm, before: int) -> Alarm:
    """What `alarm`, told before its end was sure with the severity `before`, has become since."""
    attributes = {
        "tocsin.kind": alarm.kind,
        "tocsin.signature": alarm.signature,
        "tocsin.revises": alarm.uid,
        "tocsin.count": alarm.incident.count if alarm.incident else 1,
        "log.record.original": alarm.wire["attributes"]["log.record.original"],
    }
    if alarm.severity < before:
        attributes["tocsin.severity.before"] = SEVERITIES[before][0]
    return _note(
        "revised", Place(alarm.source, alarm.place.path), alarm.observed, severity=alarm.severity,
        body=alarm.title, signature=alarm.signature, attributes=attributes,
    )  # fmt: skip


def requested(alarm: Alarm, by: str, reason: str, *, paged: bool = True) -> Alarm:
    """The same, asked for: `by` a "window" of maintenance, or as the "console" shows."""
    facts: dict[str, Any] = {"tocsin.requested.by": by, "tocsin.requested.reason": _text(reason)}
    if not paged:
        facts["tocsin.paged"] = False
    return alarm._replace(wire={**alarm.wire, "attributes": {**alarm.wire["attributes"], **facts}})


def maintenance_over(
    file: str, reason: str, incidents: int, unwell: Sequence[str], observed: float
) -> Alarm:
    """A window ended; `unwell` are consoles that it leaves in no good state."""
    count = f"{incidents} incident{'' if incidents == 1 else 's'} in it"
    body = "; ".join((f"maintenance over: {reason}", count, *unwell[:UNWELL_TOLD]))
    if len(unwell) > UNWELL_TOLD:
        body += f"; {len(unwell) - UNWELL_TOLD} more consoles are not well"
    attributes = {
        "tocsin.requested.reason": reason,
        "tocsin.incidents": incidents,
        "tocsin.consoles": [_text(one) for one in unwell],
    }
    return _note(
        "maintenance", Place(file), observed, body=body, signature="", attributes=attributes,
        severity=Severity.CRIT if unwell else Severity.NOTICE,
    )  # fmt: skip


def _note(
    what: str,
    place: Place,
    observed: float,
    *,
    severity: int,
    body: str,
    signature: str,
    attributes: dict[str, Any],
) -> Alarm:
    source, path, _ = place
    word, number = SEVERITIES[severity]
    when = datetime.fromtimestamp(observed, UTC).isoformat(timespec="microseconds")
    key = json.dumps([what, source, observed, attributes], sort_keys=True).encode()
    uid = hashlib.sha256(key).hexdigest()[:32]
    if path is not None:
        attributes = {"log.file.path": _text(path), **attributes}
    wire = {
        "schema": NOTE,
        "observed_timestamp": when.replace("+00:00", "Z"),
        "severity_text": word,
        "severity_number": number,
        "event_name": f"tocsin.{what}",
        "body": body,
        "attributes": {"tocsin.source": _text(source), "log.record.uid": uid, **attributes},
    }
    return Alarm(
        uid, source, observed, int(severity), f"tocsin.{what}", body, signature, wire, None, place,
    )  # fmt: skip


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def moved(incident: Incident, distance: int) -> Incident:
    """The same incident with its offsets counted from `distance` bytes earlier."""
    if not distance:
        return incident
    values = {name: getattr(incident, name) for name in (*EAGER, *LAZY)}
    values["spans"] = tuple((a + distance, b + distance) for a, b in incident.spans)
    return Incident(None, **values)


# Values that JSON has no form for, and the way there and back.
_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "severity": (int, Severity),
    "ended": (lambda ended: ended.value, EndReason),
    "fields": (dict, MappingProxyType),
    "frames": (list, lambda frames: tuple(Frame(*frame) for frame in frames)),
    "spans": (list, lambda spans: tuple(map(tuple, spans))),
    "lines": (
        lambda lines: [line.decode("latin-1") for line in lines],
        lambda lines: tuple(line.encode("latin-1") for line in lines),
    ),
    "advice": (list, tuple),
}


def _pack(incident: Incident) -> dict[str, Any]:
    values = {name: getattr(incident, name) for name in (*EAGER, *LAZY)}
    return {k: _CODECS[k][0](v) if k in _CODECS else v for k, v in values.items()}


def _unpack(values: dict[str, Any]) -> Incident:
    return Incident(None, **{k: _CODECS[k][1](v) if k in _CODECS else v for k, v in values.items()})
