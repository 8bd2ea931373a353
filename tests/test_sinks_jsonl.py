"""The wire form: one object a line, valid under the schema, the same for a replay."""

import enum
import json
import re
import types
from collections import namedtuple
from pathlib import Path

import pytest

import tocsin.sinks
from tocsin.sinks.jsonl import JsonLines, dump_line
from tocsin.sinks.place import Place
from tocsin.wire import incident_id, to_wire

SCHEMA = json.loads((Path(tocsin.sinks.__path__[0]) / "incident.schema.json").read_text())


class Ended(enum.Enum):
    NEXT = "next"
    BOOT = "boot"


Frame = namedtuple("Frame", "function offset size module source reliable inlined line")
OOM = {
    "rule": "mm.oom-kill",
    "kind": "memory.oom",
    "severity": 2,
    "title": "Out of memory: killed mysqld",
    "signature": "ab12",
    "fields": {"victim": "mysqld", "pid": 412, "anon_rss_kb": 99, "kernel": "6.1.0", "comm": "sh"},
    "frames": (
        Frame("dump_stack", 1, 32, None, None, True, False, 0),
        Frame("ext4_x", 1, None, "ext4", None, False, False, 1),
        Frame("oom_kill_process", None, None, None, "mm/oom_kill.c:12", True, True, 2),
        Frame(None, None, None, None, None, True, False, 3),
    ),
    "spans": ((100, 400), (500, 600)),
    "start": 100,
    "end": 600,
    "lines": (b"one", b"tw\xffo"),
    "timestamp": 12.5,
    "clock": "kernel",
    "host": "vm17",
    "caller": "T412",
    "boot": 1,
    "confidence": "certain",
    "ended": Ended.NEXT,
    "truncated": False,
    "dropped_lines": 0,
    "level": None,
    "meaning": "The kernel ran out of memory.",
    "advice": ("Look at the table.",),
    "count": 1,
}


def incident(**changes):
    return types.SimpleNamespace(**{**OOM, **changes})


TYPES = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
    "boolean": bool,
}  # fmt: skip


def faults(value, schema, at="$"):
    """What a value breaks of a schema: the part of JSON Schema that ours uses, and no more."""
    known = {
        "$schema", "$id", "$defs", "$ref", "title", "description", "type", "required", "properties",
        "patternProperties", "additionalProperties", "items", "enum", "const", "pattern", "minimum",
    }  # fmt: skip
    assert set(schema) <= known, f"the checker of this test does not know {set(schema) - known}"
    if "$ref" in schema:
        yield from faults(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], at)
    names = schema.get("type", ())
    names = [names] if isinstance(names, str) else names
    if names and not any(
        isinstance(value, TYPES[n]) and (n == "boolean" or not isinstance(value, bool))
        for n in names
    ):
        yield f"{at}: {value!r} is not {names}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{at}: {value!r}"
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{at}: {value!r}"
    if isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            yield from faults(item, schema["items"], f"{at}[{n}]")
    if isinstance(value, dict):
        yield from (f"{at}: no {key}" for key in schema.get("required", ()) if key not in value)
        for key, item in value.items():
            if key in schema.get("properties", {}):
                yield from faults(item, schema["properties"][key], f"{at}.{key}")
                continue
            patterns = schema.get("patternProperties", {})
            fits = [s for pattern, s in patterns.items() if re.search(pattern, key)]
            for part in fits:
                yield from faults(item, part, f"{at}.{key}")
            if not fits and schema.get("additionalProperties", True) is False:
                yield f"{at}: {key} is unknown"


def check(wire):
    assert list(faults(json.loads(json.dumps(wire)), SCHEMA)) == []
    return wire


def test_everything_that_is_known():
    wire = check(
        to_wire(incident(), source="vm17", path="/v.log", lines=((3, 4), (9, 12)), observed=0.25,
                version="1.2")
    )  # fmt: skip
    assert wire == {
        "schema": "urn:tocsin:incident:1",
        "observed_timestamp": "1970-01-01T00:00:00.250000Z",
        "severity_text": "crit",
        "severity_number": 18,
        "event_name": "linux.memory.oom",
        "body": "Out of memory: killed mysqld",
        "resource": {"host.name": "vm17", "os.type": "linux", "os.version": "6.1.0"},
        "scope": {"name": "tocsin", "version": "1.2"},
        "attributes": {
            "process.pid": 412,
            "process.executable.name": "mysqld",
            "tocsin.field.anon_rss_kb": 99,
            "tocsin.field.comm": "sh",
            "exception.type": "memory.oom",
            "exception.stacktrace": "dump_stack+0x1/0x20\n? ext4_x+0x1 [ext4]\n"
            "oom_kill_process mm/oom_kill.c:12 [inline]\n(no symbol)",
            "log.file.path": "/v.log",
            "log.record.original": "one\ntw\\xffo",
            "log.record.uid": incident_id("vm17", 100, "mm.oom-kill"),
            "tocsin.kind": "memory.oom",
            "tocsin.rule": "mm.oom-kill",
            "tocsin.signature": "ab12",
            "tocsin.confidence": "certain",
            "tocsin.count": 1,
            "tocsin.offset.start": 100,
            "tocsin.offset.end": 600,
            "tocsin.spans": [[100, 400], [500, 600]],
            "tocsin.lines": 2,
            "tocsin.truncated": False,
            "tocsin.ended": "next",
            "tocsin.boot": 1,
            "tocsin.caller": "T412",
            "tocsin.uptime_s": 12.5,
            "tocsin.meaning": "The kernel ran out of memory.",
            "tocsin.advice": ["Look at the table."],
            "tocsin.line.start": 3,
            "tocsin.line.end": 12,
        },
    }
    assert "comm" in OOM["fields"], "the incident's own fields stay as they were"


def test_what_is_not_known_is_absent():
    bare = incident(
        fields={}, frames=(), timestamp=None, clock=None, host=None, caller=None, boot=None,
        meaning="", advice=(),
    )  # fmt: skip
    text = json.dumps(check(to_wire(bare)))
    for absent in ("null", "timestamp", "host.name", "exception", "uptime", "caller", "record.uid"):
        assert absent not in text


@pytest.mark.parametrize(
    ("seconds", "want"), [(1e9 + 0.5, "2001-09-09T01:46:40.500000Z"), (1e300, None), (None, None)]
)
def test_wall_time(seconds, want):
    wire = check(to_wire(incident(clock="wall", timestamp=seconds)))
    assert wire.get("timestamp") == want
    assert "tocsin.uptime_s" not in wire["attributes"]


@pytest.mark.parametrize(
    ("severity", "word", "number"),
    [(0, "emerg", 21), (1, "alert", 19), (2, "crit", 18), (3, "err", 17), (4, "warning", 13),
     (5, "notice", 10), (6, "info", 9), (7, "debug", 5)],
)  # fmt: skip
def test_severities(severity, word, number):
    wire = check(to_wire(incident(severity=severity)))
    assert (wire["severity_text"], wire["severity_number"]) == (word, number)


@pytest.mark.parametrize(
    ("fields", "name"),
    [({"comm": "c"}, "c"), ({"task": "t", "comm": "c"}, "t"), ({"victim": "v", "task": "t"}, "v")],
)
def test_who_it_was(fields, name):
    attributes = check(to_wire(incident(fields=fields)))["attributes"]
    assert attributes["process.executable.name"] == name
    rest = {k for k in attributes if k.startswith("tocsin.field.")}
    assert len(rest) == len(fields) - 1, "no field is lost and none is told twice"


CONTAINER = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "cgroup",
    [
        f"/kubepods/burstable/pod6f8d0c1a-1111-2222-3333-444455556666/{CONTAINER}",
        "/kubepods.slice/kubepods-pod6f8d0c1a_1111_2222_3333_444455556666.slice/cri-containerd-"
        f"{CONTAINER}.scope",
    ],
)
def test_pod_and_container(cgroup):
    attributes = check(to_wire(incident(fields={"cgroup": cgroup})))["attributes"]
    assert attributes["process.linux.cgroup"] == cgroup
    assert attributes["k8s.pod.uid"] == "6f8d0c1a-1111-2222-3333-444455556666"
    assert attributes["container.id"] == CONTAINER


def test_a_cgroup_that_is_no_pod():
    attributes = check(to_wire(incident(fields={"cgroup": "/system.slice/sshd.service"})))[
        "attributes"
    ]
    assert "k8s.pod.uid" not in attributes
    assert "container.id" not in attributes


def test_the_id_is_of_source_start_and_rule():
    ids = {
        incident_id(source, start, rule)
        for source in ("a", "a\udcff", "b")
        for start in (0, 1, 10)
        for rule in ("x", "y")
    }
    assert len(ids) == 18
    assert incident_id("a", 1, "x") == incident_id("a", 1, "x")


def test_what_a_limit_dropped_is_told():
    cut = incident(truncated=True, ended=Ended.BOOT, dropped_lines=7, level=3)
    attributes = check(to_wire(cut))["attributes"]
    assert attributes["tocsin.truncated"] is True
    assert attributes["tocsin.ended"] == "boot"
    assert attributes["tocsin.dropped_lines"] == 7
    assert attributes["tocsin.level"] == 3


def test_odd_bytes_everywhere_are_still_json():
    odd = incident(host="h\udc80", fields={"device": "\x9b\udcfe"}, lines=(bytes(range(256)),))
    line = dump_line(check(to_wire(odd, path="/p\udcff")))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["attributes"]["log.file.path"] == "/p\\xff"


def test_json_lines():
    out = []
    sink = JsonLines(out.append, "1.2", clock=lambda: 0.0)
    for place in (Place("a", "/a", ((1, 2),)), Place("(standard input)")):
        sink.incident(incident(), place)
    assert all(line.endswith("\n") and line.count("\n") == 1 for line in out)
    first, second = (check(json.loads(line)) for line in out)
    assert first["attributes"]["log.record.uid"] == incident_id("/a", 100, "mm.oom-kill")
    assert second["attributes"]["log.record.uid"] == incident_id(
        "(standard input)", 100, "mm.oom-kill"
    )
    assert "log.file.path" not in second["attributes"]
    assert first["observed_timestamp"] == "1970-01-01T00:00:00.000000Z"


def test_the_checker_of_this_test_checks():
    wire = to_wire(incident())
    for change in ({"schema": "x"}, {"severity_number": 99}, {"more": 1}, {"body": 7}):
        assert list(faults({**wire, **change}, SCHEMA))
    own = {"tocsin.count": True}, {"tocsin.count": 0}, {"x": 1}, {"tocsin.spans": [["a"]]}
    for change in own:
        attributes = {**wire["attributes"], **change}
        assert list(faults({**wire, "attributes": attributes}, SCHEMA))
    del wire["attributes"]["tocsin.rule"]
    assert list(faults(wire, SCHEMA)) == ["$.attributes: no tocsin.rule"]
