"""Notes between incidents are valid under their schema; alarms survive being saved."""

import json
from pathlib import Path

import tocsin
import tocsin.sinks
from tests.test_sinks_jsonl import faults
from tocsin.watch import alarms

SCHEMAS = Path(tocsin.sinks.__path__[0])
NOTE = json.loads((SCHEMAS / "note.schema.json").read_text())
INCIDENT = json.loads((SCHEMAS / "incident.schema.json").read_text())
LOG = (
    b"[  100.000000] Kernel panic - not syncing: Fatal \xff exception\n"
    b"[  100.000001] Call Trace:\n[  100.000002]  dump_stack_lvl+0x44/0x5c\n"
    b"[  100.000003]  panic+0x118/0x2ed\n"
)


def alarm(path=None):
    [incident] = tocsin.scan(LOG)
    return alarms.of_incident(
        incident, "unix:/x", path, origin="x", observed=17e8, version="1", host="vm17"
    )


def test_every_note_is_valid():
    notes = [
        alarms.gap("a\udcff", None, 17e8, "truncated", offset=0),
        alarms.gap("a", "/a\udcff", 17e8, "lost", offset=5, lost_bytes=3, lost_records=2),
        alarms.repeated(alarm(), 3, 60.0, 17e8, {f"vm{n}": 1 for n in range(9)}),
        alarms.revised(alarm("/a"), 0),
        alarms.revised(alarm("/a"), 2),
        alarms.maintenance_over("/m.toml", "CHG-7", 0, [], 17e8),
        alarms.maintenance_over("/m.toml", "CHG-7", 3, ["a\udcff is halted"] * 9, 17e8),
        alarms.requested(alarms.revised(alarm("/a"), 2), "window", "CHG-7", paged=False),
    ]
    for note in notes:
        assert list(faults(json.loads(json.dumps(note.wire)), NOTE)) == []
        assert note.is_note
    assert list(faults({**notes[0].wire, "severity_text": "loud"}, NOTE))
    # What people are called for: worse than it was told, not back from a maintenance.
    assert [note.pages for note in notes] == [False] * 4 + [True, False, True, False]
    assert notes[2].title.endswith("; in vm0, vm1, vm2, vm3 and 5 more places")
    assert notes[6].title.endswith("; 5 more consoles are not well")


def test_an_incident_of_a_stream_is_valid_and_names_it():
    wire = alarm().wire
    assert list(faults(json.loads(json.dumps(wire)), INCIDENT)) == []
    assert wire["attributes"]["tocsin.source"] == "unix:/x"
    assert wire["resource"]["host.name"] == "vm17"


def test_what_is_saved_comes_back_whole():
    for one in (alarm(), alarm("/a"), alarms.gap("a\udcff", None, 17e8, "lost", offset=0)):
        assert alarms.restore(one.saved()) == one


def test_offsets_are_moved_and_nothing_else():
    [incident] = tocsin.scan(LOG)
    moved = alarms.moved(incident, 1000)
    assert (moved.start, moved.end) == (incident.start + 1000, incident.end + 1000)
    assert moved.title == incident.title
    assert moved.lines == incident.lines
