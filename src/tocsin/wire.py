"""The wire form: an incident as one JSON object in the names of OpenTelemetry's log data model.

The only place where a field of tocsin gets its semantic-convention key. Values are JSON types,
keys have a fixed order, nothing here reads a clock: the same incident gives the same object,
byte for byte. Additions are allowed within one schema number, changes are not.

Imports nothing of tocsin, so that a plain value may call it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = ["SCHEMA", "incident_id", "to_wire"]

SCHEMA = "urn:tocsin:incident:1"

# RFC 5424 keyword and OpenTelemetry number by syslog severity 0..7, after the appendix of the
# log data model that maps syslog.
SEVERITIES = (
    ("emerg", 21),
    ("alert", 19),
    ("crit", 18),
    ("err", 17),
    ("warning", 13),
    ("notice", 10),
    ("info", 9),
    ("debug", 5),
)

# A semantic-convention key, and the fields that may fill it: the first that is there does, the
# others keep their own name under FIELD.
RESOURCE = (("os.version", ("kernel",)),)
ATTRIBUTES = (
    ("process.pid", ("pid",)),
    ("process.executable.name", ("victim", "task", "comm")),
    ("process.user.id", ("uid",)),
    ("process.linux.cgroup", ("cgroup",)),
    ("cpu.logical_number", ("cpu",)),
    ("code.function.name", ("function",)),
    ("code.file.path", ("file",)),
    ("code.line.number", ("line",)),
    ("system.device", ("device",)),
)
FIELD = "tocsin.field."

# The pod and the container in a control group's path, as the kubelet and the runtimes name them:
# /kubepods/burstable/pod<uid>/<id>, kubepods-pod<uid, _ for ->.slice/cri-containerd-<id>.scope.
POD = re.compile(r"[/-]pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})")
CONTAINER = re.compile(r"[/-]([0-9a-f]{64})(?:\.scope)?(?:/|$)")


def incident_id(source: str, start: int, rule: str) -> str:
    """The same incident of the same source has the same id, however often it is replayed."""
    name = b"\0".join((source.encode(errors="surrogateescape"), b"%d" % start, rule.encode()))
    return hashlib.sha256(name).hexdigest()[:32]


def to_wire(
    incident: Any,
    *,
    source: str | None = None,
    path: str | None = None,
    lines: Sequence[tuple[int, int]] | None = None,
    observed: float | None = None,
    version: str | None = None,
) -> dict[str, Any]:
    """An incident as a dict of JSON types.

    `source` names the stream (the id needs it), `path` is its file, `lines` the first and last
    line of each span, `observed` when it was seen (seconds since the epoch), `version` tocsin's.
    What is not known is absent, not null.
    """
    fields = dict(incident.fields)
    word, number = SEVERITIES[incident.severity]
    wire: dict[str, Any] = {"schema": SCHEMA}
    if incident.clock == "wall" and (moment := _rfc3339(incident.timestamp)):
        wire["timestamp"] = moment
    if observed is not None:
        wire["observed_timestamp"] = _rfc3339(observed)
    wire["severity_text"] = word
    wire["severity_number"] = number
    wire["event_name"] = "linux." + incident.kind.replace("-", "_")
    wire["body"] = incident.title
    wire["resource"] = dict(_resource(incident, fields))
    wire["scope"] = {"name": "tocsin"}
    if version is not None:
        wire["scope"]["version"] = version
    attributes = dict(_attributes(fields))
    if incident.frames:
        attributes["exception.type"] = incident.kind
        attributes["exception.stacktrace"] = "\n".join(map(_frame, incident.frames))
    if path is not None:
        attributes["log.file.path"] = _text(path)
    attributes["log.record.original"] = "\n".join(map(_text, incident.lines))
    if source is not None:
        attributes["log.record.uid"] = incident_id(source, incident.start, incident.rule)
    attributes.update(_own(incident))
    if lines:
        attributes["tocsin.line.start"] = lines[0][0]
        attributes["tocsin.line.end"] = lines[-1][1]
    wire["attributes"] = attributes
    return wire


def _resource(incident: Any, fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    if incident.host is not None:
        yield "host.name", _text(incident.host)
    yield "os.type", "linux"
    yield from _take(fields, RESOURCE)


def _attributes(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    cgroup = str(fields.get("cgroup", ""))
    yield from _take(fields, ATTRIBUTES)
    if pod := POD.search(cgroup):
        yield "k8s.pod.uid", pod[1].replace("_", "-")
    if containers := CONTAINER.findall(cgroup):
        yield "container.id", containers[-1]
    for name, value in fields.items():
        yield FIELD + name, _plain(value)


def _take(
    fields: dict[str, Any], table: Sequence[tuple[str, Sequence[str]]]
) -> Iterator[tuple[str, Any]]:
    """Move the fields that have a semantic-convention key out of `fields`."""
    for key, names in table:
        name = next((name for name in names if name in fields), None)
        if name is not None:
            yield key, _plain(fields.pop(name))


def _own(incident: Any) -> Iterator[tuple[str, Any]]:
    yield "tocsin.kind", incident.kind
    yield "tocsin.rule", incident.rule
    yield "tocsin.signature", incident.signature
    yield "tocsin.confidence", incident.confidence
    yield "tocsin.count", incident.count
    yield "tocsin.offset.start", incident.start
    yield "tocsin.offset.end", incident.end
    yield "tocsin.spans", [list(span) for span in incident.spans]
    yield "tocsin.lines", len(incident.lines)
    yield "tocsin.truncated", incident.truncated
    yield "tocsin.ended", incident.ended.value
    if incident.dropped_lines:
        yield "tocsin.dropped_lines", incident.dropped_lines
    if incident.level is not None:
        yield "tocsin.level", incident.level
    if incident.boot is not None:
        yield "tocsin.boot", incident.boot
    if incident.caller is not None:
        yield "tocsin.caller", _text(incident.caller)
    if incident.clock == "kernel" and incident.timestamp is not None:
        yield "tocsin.uptime_s", incident.timestamp
    if incident.meaning:
        yield "tocsin.meaning", incident.meaning
    if incident.advice:
        yield "tocsin.advice", list(incident.advice)


def _rfc3339(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None  # the log claims a time no calendar has
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _text(value: bytes | str) -> str:
    """Log bytes as text: UTF-8 where they are, \\xNN where they are not."""
    if isinstance(value, str):  # file names carry odd bytes as surrogates
        value = value.encode("utf-8", "surrogateescape")
    return value.decode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else _text(value)


def _frame(frame: Any) -> str:
    """As the kernel would print it, without the address."""
    text = frame.function or "(no symbol)"
    if frame.offset is not None:
        text += f"+{frame.offset:#x}"
        if frame.size is not None:
            text += f"/{frame.size:#x}"
    if frame.module is not None:
        text += f" [{frame.module}]"
    if frame.source is not None:
        text += f" {frame.source}"
    if frame.inlined:
        text += " [inline]"
    return _text(text if frame.reliable else "? " + text)
