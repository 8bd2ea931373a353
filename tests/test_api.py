"""The public names, as a program that embeds tocsin meets them."""

import array
import copy
import io
import json
import mmap
import pickle

import pytest

import tocsin
from tests.small import rules

OOM = (
    b"[  100.000000] java invoked oom-killer: gfp_mask=0x140cca, order=0, oom_score_adj=0\n"
    b"[  100.000001] CPU: 0 PID: 2211 Comm: java Not tainted 6.1.0-18-amd64 #1\n"
    b"[  100.000002] Call Trace:\n"
    b"[  100.000003]  out_of_memory+0x1fd/0x4c0\n"
    b"[  100.000004] Out of memory: Killed process 412 (mysqld) total-vm:2449360kB, "
    b"anon-rss:1912008kB, file-rss:0kB, shmem-rss:0kB, UID:106 pgtables:4024kB oom_score_adj:0\n"
)


def one():
    (incident,) = tocsin.scan(OOM)
    return incident


def test_the_public_names_are_the_documented_ones():
    assert set(tocsin.__all__) >= {
        "Automaton", "ConsoleState", "EndReason", "Frame", "Incident", "Limits", "Matches",
        "RuleError", "Ruleset", "Scanner", "Severity", "load_rules", "scan", "scan_file",
    }  # fmt: skip
    for name in tocsin.__all__:
        assert getattr(tocsin, name).__name__ == name or name == "__version__"
    with pytest.raises(AttributeError):
        tocsin.no_such_name  # noqa: B018


# -- buffers in --------------------------------------------------------------------------------

BUFFERS = {
    "bytes": lambda data: data,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "array": lambda data: array.array("B", data),
    "signed": lambda data: memoryview(data).cast("b"),
    "two-dimensional": lambda data: memoryview(data[: len(data) // 2 * 2]).cast(
        "B", (2, len(data) // 2)
    ),
    "readonly slice": lambda data: memoryview(b"x" + data)[1:],
}


@pytest.mark.parametrize("name", BUFFERS)
def test_buffers(name):
    data = OOM + b"\n" * (len(OOM) % 2)
    (incident,) = tocsin.scan(BUFFERS[name](data))
    assert incident.title == "Out of memory: killed mysqld"


def test_a_map_of_a_file(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(OOM)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert len(tocsin.scan(data)) == 1


@pytest.mark.parametrize("empty", [b"", bytearray(), memoryview(b""), array.array("B")])
def test_an_empty_buffer(empty):
    scanner = tocsin.Scanner(rules())
    assert scanner.feed(empty) == []
    assert scanner.offset == 0


@pytest.mark.parametrize("bad", ["text", None, 7, 1.5, [b"x"], object()])
def test_anything_else_is_a_type_error(bad):
    scanner = tocsin.Scanner(rules())
    with pytest.raises(TypeError):
        scanner.feed(bad)
    with pytest.raises(TypeError):
        tocsin.scan(bad)
    assert scanner.feed(b"OOPS\n") == []
    assert len(scanner.flush()) == 1


def test_a_strided_view_is_a_type_error():
    with pytest.raises(TypeError):
        tocsin.scan(memoryview(OOM)[::2])


def test_a_fed_buffer_may_be_changed_afterwards():
    buffer = bytearray(OOM)
    scanner = tocsin.Scanner()
    out = scanner.feed(buffer)
    buffer[:] = b"\x00" * len(buffer)
    buffer.clear()  # and no export is left that would forbid it
    (incident,) = out + scanner.flush()
    assert b"\n".join(incident.lines) + b"\n" == OOM


# -- Scanner -------------------------------------------------------------------------------------


def test_a_closed_scanner():
    scanner = tocsin.Scanner(rules())
    scanner.feed(b"OOPS\n")
    assert len(scanner.close()) == 1
    assert scanner.close() == []
    with pytest.raises(ValueError, match="closed"):
        scanner.feed(b"x")
    with pytest.raises(ValueError, match="closed"):
        scanner.flush()


def test_a_scanner_as_a_context():
    with tocsin.Scanner(rules()) as scanner:
        scanner.feed(b"OOPS\n")
    with pytest.raises(ValueError, match="closed"):
        scanner.feed(b"x")


def test_what_a_scanner_must_be_made_of():
    with pytest.raises(TypeError, match="Ruleset"):
        tocsin.Scanner({"rule": 1})
    with pytest.raises(TypeError, match="Limits"):
        tocsin.Scanner(rules(), limits=None)
    with pytest.raises(TypeError):
        tocsin.Scanner(rules(), tocsin.Limits())


def test_offset_pending_and_boot():
    scanner = tocsin.Scanner(rules())
    assert (scanner.offset, scanner.pending, scanner.boot) == (0, False, 0)
    scanner.feed(b"abc")
    assert (scanner.offset, scanner.pending) == (3, True)
    scanner.feed(b"\n")
    assert (scanner.offset, scanner.pending) == (4, False)
    scanner.feed(b"OOPS\n")
    assert (scanner.offset, scanner.pending) == (9, True)
    scanner.flush()
    assert (scanner.offset, scanner.pending) == (9, False)


def test_the_console_state_follows_the_stream():
    scanner = tocsin.Scanner(rules())
    seen = []
    for chunk in (b"x\n", b"Linux version 6\n", b"\nweb lo", b"gin: ", b"root\n", b"PANIC\n"):
        scanner.feed(chunk)
        seen.append(scanner.console.value)
    assert seen == ["unknown", "booting", "booting", "up", "up", "panicked"]
    scanner.feed(b"Linux version 6\n")
    assert (scanner.console, scanner.boot) == (tocsin.ConsoleState.BOOTING, 1)


def test_asking_for_the_console_changes_nothing():
    log = b"Linux version 6\nOOPS\n f+0x1/0x2\nweb login: "
    asked, silent = tocsin.Scanner(rules()), tocsin.Scanner(rules())
    for at in range(len(log)):
        asked.feed(log[at : at + 1])
        silent.feed(log[at : at + 1])
        assert isinstance(asked.console, tocsin.ConsoleState)
    assert asked.dumps() == silent.dumps()


def test_incidents_come_when_they_end_not_later():
    scanner = tocsin.Scanner(rules())
    assert scanner.feed(b"[    1.000000] OOPS\n") == []
    (first,) = scanner.feed(b"[    2.000000] WARN\n")
    assert (first.rule, first.ended) == ("t.report", tocsin.EndReason.NEXT)
    (second,) = scanner.feed(b"[   90.000000] OOPS\n")
    assert (second.rule, second.ended) == ("t.other", tocsin.EndReason.TIME)


# -- Incident ------------------------------------------------------------------------------------


def test_an_incident_is_frozen():
    incident = one()
    with pytest.raises(AttributeError):
        incident.title = "x"
    with pytest.raises(AttributeError):
        del incident.kind
    with pytest.raises(AttributeError):
        incident.no_such_part = 1
    with pytest.raises(AttributeError):
        incident.no_such_part  # noqa: B018
    with pytest.raises(TypeError):
        incident.fields["pid"] = 1
    assert not hasattr(incident, "__dict__")


def test_an_incident_s_parts():
    incident = one()
    assert incident.rule.startswith("mm.")
    assert (incident.kind, incident.severity) == ("memory.oom", tocsin.Severity.CRIT)
    assert incident.title == "Out of memory: killed mysqld"
    assert (incident.fields["victim"], incident.fields["pid"]) == ("mysqld", 412)
    assert incident.fields["trigger"] == "java"
    assert incident.fields["anon_rss_kb"] == 1912008
    assert incident.spans == ((0, len(OOM) - 1),)
    assert (incident.start, incident.end) == (0, len(OOM) - 1)
    assert incident.lines == tuple(OOM.splitlines())
    assert (incident.timestamp, incident.clock) == (100.0, "kernel")
    assert (incident.host, incident.caller, incident.boot) == (None, None, 0)
    assert (incident.confidence, incident.truncated, incident.count) == ("certain", False, 1)
    (frame,) = incident.frames
    assert frame == tocsin.Frame("out_of_memory", 0x1FD, 0x4C0, None, None, True, False, 3)
    assert incident.meaning
    assert all(isinstance(text, str) for text in incident.advice)
    assert "memory.oom" in repr(incident)


def test_incidents_are_equal_by_what_they_say():
    assert one() == one()
    assert hash(one()) == hash(one())
    (other,) = tocsin.scan(b"\n" + OOM)
    assert one() != other
    assert one() != "incident"
    assert len({one(), one(), other}) == 2


@pytest.mark.parametrize("read_first", [False, True])
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_an_incident_can_be_pickled(read_first, protocol):
    incident = one()
    if read_first:
        repr(incident)
    again = pickle.loads(pickle.dumps(incident, protocol))
    assert again == incident
    assert again.to_dict() == incident.to_dict()
    assert copy.deepcopy(incident) == copy.copy(incident) == incident
    with pytest.raises(TypeError):
        again.fields["pid"] = 1


def test_parts_are_worked_out_once():
    incident = one()
    assert incident.frames is incident.frames
    assert incident.fields is incident.fields
    assert incident.lines is incident.lines


def test_an_incident_outlives_its_scanner_and_its_rules():
    scanner = tocsin.Scanner()
    (incident,) = scanner.feed(OOM) + scanner.flush()
    del scanner
    assert incident.frames[0].function == "out_of_memory"


def test_a_dict_of_json_values():
    incident = one()
    wire = incident.to_dict()
    assert json.loads(json.dumps(wire)) == wire
    assert wire["body"] == incident.title
    assert wire["severity_text"] == "crit"


def test_odd_bytes_stay_json():
    log = b"\x1b[0m[    1.000000] Out of memory: Killed process 9 (\xff\x00\x07d\xc3\xa9) total-vm"
    log += b":1kB\n"
    for incident in tocsin.scan(log):
        assert json.loads(json.dumps(incident.to_dict()))


def test_severities_are_ints():
    assert list(map(int, tocsin.Severity)) == list(range(8))
    assert tocsin.Severity.EMERG < tocsin.Severity.WARNING == 4
    assert [s.name for s in tocsin.Severity][:4] == ["EMERG", "ALERT", "CRIT", "ERR"]


# -- files ---------------------------------------------------------------------------------------


def test_scan_file_of_a_path(tmp_path):
    path = tmp_path / "a.log"
    path.write_bytes(OOM * 3)
    for given in (path, str(path)):
        assert list(tocsin.scan_file(given)) == tocsin.scan(OOM * 3)


def test_scan_file_of_an_open_file(tmp_path):
    file = io.BytesIO(b"skipped\n" + OOM)
    file.seek(8)
    assert list(tocsin.scan_file(file)) == tocsin.scan(OOM)
    assert not file.closed
    path = tmp_path / "a.log"
    path.write_bytes(OOM)
    with path.open("rb") as opened:
        assert len(list(tocsin.scan_file(opened))) == 1
        assert not opened.closed


def test_scan_file_of_a_file_that_gives_little_at_a_time():
    class Slow(io.RawIOBase):
        def __init__(self):
            self.rest = OOM

        def readable(self):
            return True

        def read(self, size=-1):
            chunk, self.rest = self.rest[:3], self.rest[3:]
            return chunk

    assert list(tocsin.scan_file(Slow())) == tocsin.scan(OOM)


def test_scan_file_says_what_it_cannot_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(tocsin.scan_file(tmp_path / "none"))
    with pytest.raises(IsADirectoryError):
        list(tocsin.scan_file(tmp_path))
    for bad in (io.StringIO("x"), 7, None, b"bytes"):
        with pytest.raises(TypeError):
            list(tocsin.scan_file(bad))
    path = tmp_path / "a.log"
    path.write_bytes(OOM)
    with path.open() as text, pytest.raises(TypeError):
        list(tocsin.scan_file(text))


# -- rules ---------------------------------------------------------------------------------------


def test_a_ruleset_is_a_sequence(builtin):
    assert len(builtin) == len(list(builtin)) > 300
    first = builtin[0]
    assert builtin[first.id] is first
    assert first.id in builtin
    assert first in builtin
    assert "no.such-rule" not in builtin
    with pytest.raises(KeyError):
        builtin["no.such-rule"]
    with pytest.raises(IndexError):
        builtin[len(builtin)]
    assert builtin[:2] == (builtin[0], builtin[1])
    assert "rules" in repr(builtin)


def test_rules_without_the_built_in_ones():
    assert len(tocsin.load_rules(builtin=False)) == 0
    assert tocsin.scan(OOM, tocsin.load_rules(builtin=False)) == []
