"""Maintenance windows: what is in them is told as asked for, and wakes nobody."""

import json
import os
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tocsin
import tocsin.sinks
from tests import peers
from tests.cli_program import OOM, QUIET, run
from tests.test_sinks_jsonl import faults
from tests.watch_program import Background, append, disk, oom, until, wires
from tocsin.watch import alarms
from tocsin.watch.maintenance import BadWindows, Maintenance, Window, parse
from tocsin.watch.requested import Requests, shown

SCHEMAS = Path(tocsin.sinks.__path__[0])
NOTE = json.loads((SCHEMAS / "note.schema.json").read_text())
INCIDENT = json.loads((SCHEMAS / "incident.schema.json").read_text())
KINDS = ("memory.oom", "storage.block", "kernel.panic")
GOOD = {"from": "2026-11-23T22:00:00+01:00", "until": "2026-11-23T22:00:01Z", "reason": '"x"'}


def at(seconds):
    """So many seconds from now, as TOML and people write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def table(**changes):
    keys = {**GOOD, **changes}
    return "[[window]]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items() if v is not None)


def window(path, length=600, **keys):
    keys = {"from": at(-60), "until": at(length), "reason": '"CHG-7"', **keys}
    path.write_text(table(**keys))


# -- the file --------------------------------------------------------------------------------


def test_a_window_is_read():
    text = table(source='"db*"', host='["a", "b"]', kind='"memory"', page="true")
    moment = datetime(2026, 11, 23, 21, tzinfo=UTC).timestamp()
    assert parse(text, KINDS) == (
        Window(moment, moment + 3601, "x", ("db*",), ("a", "b"), ("memory",), True),
    )
    assert parse(table(until='"2026-11-23T22:00:01Z"'), KINDS)[0].end == moment + 3601
    assert parse("", KINDS) == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[window]\n", "no TOML: .*line 1"),
        ("windows = []", r"windows: unknown; expected \[\[window\]\] tables"),
        ("[window]\n", r"window: expected tables, each under \[\[window\]\]"),
        (table(form="1"), "window 1: form: unknown; expected one of from, until"),
        (table(until=None), "window 1: until: missing; expected a time with its zone, as 2026-"),
        (table(until='"soon"'), "window 1: until: 'soon'; expected a time with its zone"),
        (table() + table(until="2026-11-24T00:00:00"), "window 2: until: .* has no zone; expected"),
        (table(until="2026-11-24"), "window 1: until: .*; expected a time with its zone"),
        (table(until="2026-11-23T22:00:00+01:00"), "window 1: until: not after from"),
        (table(reason=None), "window 1: reason: missing; expected some words"),
        (table(reason='" "'), "window 1: reason: ' '; expected some words"),
        (table(source="5"), "window 1: source: 5; expected a glob in quotes, or a list"),
        (table(host='["a", ""]'), "window 1: host: .*; expected a glob"),
        (table(kind='"kernel.panik"'), "window 1: kind: no rule has a kind like 'kernel.panik'"),
        (table(page='"no"'), "window 1: page: 'no'; expected true or false"),
        ("window = [1]", "window 1: expected a table"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, says):
    with pytest.raises(BadWindows, match=says):
        parse(text, KINDS)


@pytest.mark.parametrize(
    ("changes", "asked", "covers"),
    [
        ({}, (5, "a", "h", "memory.oom"), True),
        ({}, (0, "a", None, "memory.oom"), True),
        ({}, (10, "a", "h", "memory.oom"), False),
        ({}, (-1, "a", "h", "memory.oom"), False),
        ({"sources": ("b", "/v/*.log")}, (5, "/v/x.log", None, "memory.oom"), True),
        ({"sources": ("b", "/v/*.log")}, (5, "/w/x.log", None, "memory.oom"), False),
        ({"hosts": ("db*",)}, (5, "a", "db7", "memory.oom"), True),
        ({"hosts": ("db*",)}, (5, "a", None, "memory.oom"), False),
        ({"kinds": ("memory",)}, (5, "a", None, "memory.oom"), True),
        ({"kinds": ("*.block",)}, (5, "a", None, "memory.oom"), False),
        ({"kinds": ("memory",)}, (5, "a", None, None), False),
    ],
)
def test_who_is_meant(changes, asked, covers):
    assert Window(0, 10, "x")._replace(**changes).covers(*asked) is covers


def test_it_is_read_again_and_a_bad_one_changes_nothing(tmp_path):
    path, said, clock = tmp_path / "m.toml", [], [1000.0]
    windows = Maintenance(str(path), KINDS, said.append, lambda: clock[0])
    assert said.pop().endswith("m.toml: not there; no windows until it is")
    path.write_text(table(**{"from": "1970-01-01T00:00:00Z"}))
    assert windows.window("a", None, "memory.oom").reason == "x"
    assert said.pop().endswith("m.toml: read again, 1 window, 1 in force")
    path.write_text(table(reason=None))
    assert windows.window("a", None, "memory.oom").reason == "x"
    assert windows.is_bad
    assert re.search(r"window 1: reason: missing; .*; it goes on as before, 1 window", said.pop())
    windows.look()
    assert said == []  # once for each change
    path.write_bytes(b"\xff")
    windows.look()
    assert "no UTF-8 at byte 0; expected TOML; it goes on as before" in said.pop()
    path.unlink()
    assert windows.window("a", None, "memory.oom") is None
    assert said.pop().endswith("m.toml: gone, and its windows with it")
    assert not windows.is_bad
    path.write_text(table(page=1))
    with pytest.raises(BadWindows):
        Maintenance(str(path), KINDS, said.append)


# -- what the console shows ------------------------------------------------------------------

CRASH = (
    "[  126.707900] sysrq: Trigger a crash\n"
    "[  126.708000] Kernel panic - not syncing: sysrq triggered crash\n"
    "[  126.708100] CPU: 0 PID: 412 Comm: bash Not tainted 6.1.0-18-amd64 #1\n"
    "[  126.708200] Call Trace:\n"
    "[  126.708300]  panic+0x118/0x2ed\n"
    "[  126.708400]  sysrq_handle_crash+0x1a/0x20\n"
    "[  126.708500] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\n"
)
STOPS = "[  124.604467] systemd-shutdown[1]: Rebooting.\n[  124.634053] reboot: Restarting system\n"
STARTS = "[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc) #1\n"
HOT = "[  100.000000] thermal thermal_zone0: acpitz: critical temperature reached, shutting down\n"


def marked(log, requests=None):
    """(title, why it was asked for) of each incident of a log."""
    requests = requests or Requests()
    out = []
    for incident in tocsin.scan(log.encode()):
        alarm = alarms.of_incident(
            incident, "vm", None, origin="vm", observed=17e8, version="1", host=None
        )
        alarm = requests.mark(alarm)
        assert list(faults(json.loads(json.dumps(alarm.wire)), INCIDENT)) == []
        out.append((alarm.title, alarm.requested))
        assert alarm.pages
    return out


def test_a_crash_by_magic_key_is_asked_for():
    assert marked(CRASH) == [("kernel panic: sysrq triggered crash", "by sysrq")]
    other = CRASH.replace("sysrq triggered crash", "Fatal exception")
    assert [why for _, why in marked(other)] == [""]


OLD = (
    "[  100.000000] SysRq : Trigger a crash\n"
    "[  100.000100] BUG: unable to handle kernel NULL pointer dereference at           (null)\n"
    "[  100.000200] IP: [<ffffffff81355ce6>] sysrq_handle_crash+0x16/0x20\n"
    "[  100.000300] PGD 7a5c067 PUD 7a5d067 PMD 0\n[  100.000400] Oops: 0002 [#1] SMP\n"
    "[  100.000500] CPU: 0 PID: 412 Comm: bash Not tainted 3.16.0-4-amd64 #1 Debian 3.16.43-2\n"
    "[  100.000600] RIP: 0010:[<ffffffff81355ce6>]  [<ffffffff81355ce6>] "
    "sysrq_handle_crash+0x16/0x20\n[  100.000700] Call Trace:\n"
    "[  100.000800]  [<ffffffff81356535>] ? __handle_sysrq+0xa5/0x130\n"
    "[  100.000900]  [<ffffffff813569be>] ? write_sysrq_trigger+0x4e/0x60\n"
    "[  100.001000] ---[ end trace 3e5ec8c7f7f6a4c9 ]---\n"
    "[  100.001100] Kernel panic - not syncing: Fatal exception\n"
)
KILL = (
    "[  5.000000] kworker/0:1 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=-1, "
    "oom_score_adj=0\n[  5.100000] Out of memory: Killed process 12 (sleep) total-vm:1kB, "
    "anon-rss:1kB\n"
)


def test_the_same_on_an_older_kernel_and_a_kill_by_magic_key():
    assert marked(OLD) == [
        ("BUG: unable to handle kernel NULL pointer dereference in sysrq_handle_crash",
         "by sysrq"),
    ]  # fmt: skip
    assert marked(KILL) == [
        ("Out of memory killer requested by sysrq: killed sleep", "by sysrq"),
    ]
    assert marked(KILL.replace("=-1", "=0"))[0][1] == ""


def test_an_orderly_stop_is_asked_for_and_so_is_the_start_after_it():
    told = marked(STOPS + STARTS)
    assert told == [
        ("Machine stops: Restarting system", "an orderly stop"),
        ("A kernel starts", "an orderly stop"),
    ]
    assert marked("[    4.451426] sysrq: Resetting\n") == [
        ("Machine stops: Resetting", "by sysrq"),
    ]
    assert marked(STARTS + "vm login: \n" + STARTS)[1] == ("Machine restarted without a word", "")
    assert marked(CRASH + STARTS)[1] == ("A kernel starts", "by sysrq")


def test_nobody_asked_a_machine_that_is_too_hot():
    told = dict(marked(HOT + "[  103.000000] reboot: Power down\n"))
    assert told["Machine stops: Power down"] == ""
    assert len(told) == 2


def test_a_line_that_anybody_can_print_shows_nothing():
    log = "[    1.000000] x: one\n" * 20 + re.sub(r"\[ +[\d.]+\] ", "", CRASH)
    [incident] = tocsin.scan(log.encode())
    assert incident.confidence == "unverified"
    assert shown(incident) is None


# -- the program -----------------------------------------------------------------------------


@pytest.fixture(name="watched")
def _watched(watch, tmp_path):
    """A tocsin on a.log and b.log with windows, whose --exec writes to `paged`."""

    def start(*arguments):
        for name in ("a.log", "b.log"):
            append(tmp_path / name, b"")
        return watch(
            "--maintenance", tmp_path / "m.toml", "--exec", f"cat >> {tmp_path}/paged", *arguments,
            tmp_path / "a.log", tmp_path / "b.log",
        )  # fmt: skip

    return start


def test_what_is_in_a_window_is_told_and_pages_nobody(watched, tmp_path):
    window(tmp_path / "m.toml", source=f'"{tmp_path}/a*"')
    prom = tmp_path / "x.prom"
    program = watched("--prometheus-file", prom)
    append(tmp_path / "a.log", QUIET + oom(1))
    append(tmp_path / "b.log", QUIET + oom(2))
    until(lambda: len(program.incidents) == 2)
    until(lambda: wires(tmp_path / "paged"))
    told = {w["body"][-1]: w["attributes"] for w in program.incidents}
    assert told["1"]["tocsin.requested.by"] == "window"
    assert told["1"]["tocsin.requested.reason"] == "CHG-7"
    assert told["1"]["tocsin.paged"] is False
    assert not [key for key in told["2"] if "requested" in key or "paged" in key]
    for wire in program.incidents:
        assert list(faults(wire, INCIDENT)) == []
    assert program.stop() == 0
    assert [w["body"] for w in wires(tmp_path / "paged")] == ["Out of memory: killed mysqld2"]
    text = prom.read_text()
    assert 'tocsin_suppressed_total{sink="exec",reason="maintenance"} 1\n' in text
    assert 'tocsin_requested_total{by="window"} 1\n' in text
    assert "tocsin_maintenance_windows 1\n" in text
    assert "tocsin_maintenance_file_bad 0\n" in text


def test_a_window_that_asks_for_it_pages_all_the_same(watched, tmp_path):
    window(tmp_path / "m.toml", page="true")
    watched()
    append(tmp_path / "a.log", QUIET + oom(1))
    [wire] = until(lambda: wires(tmp_path / "paged"))
    assert wire["attributes"]["tocsin.requested.reason"] == "CHG-7"
    assert "tocsin.paged" not in wire["attributes"]


def test_a_window_counts_from_the_moment_it_is_written(watched, tmp_path):
    program = watched()
    assert "m.toml: not there; no windows until it is" in program.stderr
    assert run("maintenance", tmp_path / "m.toml", "--for", "1h", "--reason", "CHG").returncode == 0
    append(tmp_path / "a.log", QUIET + oom(1))
    [wire] = until(lambda: program.incidents)
    assert wire["attributes"]["tocsin.requested.reason"] == "CHG"
    (tmp_path / "m.toml").write_text("nonsense")
    append(tmp_path / "a.log", disk("sda"))
    until(lambda: len(program.incidents) == 2)
    assert program.incidents[1]["attributes"]["tocsin.requested.reason"] == "CHG"
    assert "m.toml: no TOML: " in program.stderr
    assert "; it goes on as before, 1 window, 1 in force\n" in program.stderr
    assert not (tmp_path / "paged").exists()


def test_a_bad_file_stops_the_start(tmp_path, rules):
    (tmp_path / "m.toml").write_text(table(until="2026-11-24T00:00:00"))
    program = Background(
        tmp_path / "out", "watch", *rules, "--maintenance", tmp_path / "m.toml",
        tmp_path / "a.log", ready=False,
    )  # fmt: skip
    assert program.process.wait(30) == 2
    assert program.stderr.startswith(f"tocsin: {tmp_path}/m.toml: window 1: until: 2026-11-24 ")
    assert program.stderr.endswith("expected a time with its zone, as 2026-11-23T22:00:00+01:00\n")


PANIC = b"[   50.000000] Kernel panic - not syncing: Attempted to kill init!\n"


def test_a_machine_that_is_left_panicked_is_told_of_at_the_end(tmp_path):
    log, paged = tmp_path / "a.log", tmp_path / "paged"
    append(log, QUIET)
    window(tmp_path / "m.toml", length=5)
    program = Background(
        tmp_path / "out", "watch", "--format", "jsonl", "--idle", "0.2", "--maintenance",
        tmp_path / "m.toml", "--exec", f"cat >> {paged}", log,
    )  # fmt: skip
    try:
        append(log, PANIC)
        until(lambda: program.incidents)
        [note] = until(lambda: wires(paged))
        assert list(faults(note, NOTE)) == []
        assert note["event_name"] == "tocsin.maintenance"
        assert note["severity_text"] == "crit"
        assert note["body"] == (
            f"maintenance over: CHG-7; 1 incident in it; {log} is panicked"
        )
        assert note["attributes"]["tocsin.consoles"] == [f"{log} is panicked"]
    finally:
        program.kill()


def test_the_end_of_a_window_without_harm_is_no_alarm(watched, tmp_path):
    window(tmp_path / "m.toml", length=2)
    program = watched()
    append(tmp_path / "a.log", QUIET + oom(1))
    [note] = until(lambda: [w for w in program.wires if w["event_name"] == "tocsin.maintenance"])
    assert note["body"] == "maintenance over: CHG-7; 1 incident in it"
    assert note["severity_text"] == "notice"
    time.sleep(0.3)
    assert not (tmp_path / "paged").exists()


def test_a_monitor_does_not_hold_it_against_anybody(tmp_path):
    append(tmp_path / "a.log", QUIET)
    window(tmp_path / "m.toml")
    state = ("--state", tmp_path / "state")
    program = Background(
        tmp_path / "out", "watch", *state, "--maintenance", tmp_path / "m.toml", tmp_path / "a.log"
    )
    try:
        append(tmp_path / "a.log", OOM)
        until(lambda: "requested=1;" in run("check", *state).stdout)
        done = run("check", *state)
        assert done.returncode == 0
        assert done.stdout.startswith("TOCSIN OK - no incidents in 1 console | incidents=0;;;0 ")
        text = (tmp_path / "out").read_text()
        assert "  asked for   CHG-7 (maintenance window, nobody is called)\n" in text
    finally:
        program.kill()


def test_people_are_told_why(watch, tmp_path):
    """What a window lets through says in every sink that it was asked for."""
    window(tmp_path / "m.toml", page="true")
    got = tmp_path / "got"
    watch(
        "--maintenance", tmp_path / "m.toml", "--exec", f'echo "$TOCSIN_REQUESTED" >> {got}',
        "--from", "start", tmp_path / "a.log",
    )  # fmt: skip
    append(tmp_path / "a.log", oom(1))
    until(lambda: got.exists() and got.read_text() == "CHG-7\n")
    apprise = peers.module("apprise")
    from tocsin.sinks.notify import Notify

    class Taken(Notify):
        def __init__(self):
            super().__init__(["json://localhost"])
            self._apprise = self

        def notify(self, **message):
            self.message = message
            return True

    assert apprise.Apprise
    [incident] = tocsin.scan(OOM)
    alarm = alarms.of_incident(incident, "vm", None, origin="vm", observed=17e8, version="1")
    sink = Taken()
    sink.send([alarms.requested(alarm, "window", "CHG-7")])
    assert sink.message["title"].startswith("crit, asked for: ")
    assert sink.message["body"].startswith("Asked for: CHG-7\n")


def test_a_monitor_leaves_consoles_in_maintenance_alone(tmp_path):
    log = tmp_path / "a.log"
    append(log, QUIET + PANIC)
    check = ("check", log, "--critical", "emerg", "--since", "0s", "--maintenance")
    assert run(*check, tmp_path / "m.toml").returncode == 2  # no windows
    window(tmp_path / "m.toml", source=f'"{tmp_path}/*"')
    append(log, b"")
    done = run(*check, tmp_path / "m.toml")
    assert "a.log is panicked" not in done.stdout
    assert "consoles_in_maintenance=1;" in done.stdout
    window(tmp_path / "m.toml", source='"/elsewhere/*"')
    done = run(*check, tmp_path / "m.toml")
    assert done.returncode == 2
    assert "a.log is panicked" in done.stdout
    (tmp_path / "m.toml").write_text("x")
    done = run(*check, tmp_path / "m.toml")
    assert done.returncode == 3
    assert "m.toml: no TOML: " in done.stdout


# -- the command -----------------------------------------------------------------------------


def test_windows_are_planned_listed_and_ended(tmp_path):
    path = tmp_path / "m.toml"
    old = {"from": at(-60), "until": at(-50), "reason": '"old"  # "said so"'}
    path.write_text("# ours\n" + table(**old))
    os.chmod(path, 0o640)
    done = run(
        "maintenance", path, "--for", "2h", "--reason", 'a "b" \\ \x7f', "--source", "db*",
        "--kind", "memory",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    over, now = done.stdout.splitlines()
    assert over.startswith("over      ")
    assert now.startswith("in force  ")
    assert now.endswith('  a "b" \\ \\x7f  (source db*; kind memory)')
    done = run("maintenance", path, "--from", at(3600), "--until", at(7200), "--reason", "later")
    assert [row.split()[0] for row in done.stdout.splitlines()] == ["over", "in", "planned"]
    done = run("maintenance", path, "--end")
    assert [row.split()[0] for row in done.stdout.splitlines()] == ["over", "over", "planned"]
    assert path.read_text().startswith("# ours\n")
    assert path.stat().st_mode & 0o777 == 0o640
    assert run("maintenance", path).stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--for", "2h"), "a window needs a --reason, and either --for or --until"),
        (("--reason", "x"), "a window needs a --reason, and either --for or --until"),
        (("--reason", "x", "--for", "1h", "--end"), "--end begins no window"),
        (("--reason", "x", "--for", "1h", "--kind", "memry"), "m.toml: window 1: kind: no rule"),
        (("--reason", "x", "--for", "0s"), "m.toml: window 1: until: not after from"),
        (("--reason", "x", "--for", "soon"), "'soon' is no time; write 90s, 10m, 1h or 2d"),
        (("--reason", "x", "--until", "soon"), "'soon' is no time; write 2026-"),
    ],
)
def test_a_window_that_is_none_is_refused_and_nothing_written(tmp_path, arguments, says):
    done = run("maintenance", tmp_path / "m.toml", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_ended_here_is_left_alone(tmp_path):
    text = f'window = [{{ from = {at(-60)}, until = {at(60)}, reason = "x" }}]\n'
    (tmp_path / "m.toml").write_text(text)
    done = run("maintenance", tmp_path / "m.toml", "--end")
    assert done.returncode == 2
    assert "m.toml: not written as this command can change it; end it by hand" in done.stderr
    assert (tmp_path / "m.toml").read_text() == text
