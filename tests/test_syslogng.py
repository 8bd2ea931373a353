"""syslog-ng: the parser inside it, the adapter behind it, and the real one around both."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tocsin
from tests import peers
from tests.cli_program import CLEAN_ENVIRONMENT, PROGRAM, RULES
from tests.watch_program import append, disk, oom, until, wires
from tocsin.syslogng import Parser
from tocsin.watch.store import Store

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "syslog-ng"
QUIET = b"[    1.000000] usb 1-1: new device \xff\xfe"
OURS = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture(name="rules")
def _rules(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(RULES)
    return str(path)


# -- the parser, with dicts for messages -------------------------------------------------------


@pytest.fixture(name="parser")
def _parser(rules, tmp_path):
    parser = Parser()
    assert parser.init(
        {"rules": rules, "builtin": "no", "idle": "0.2", "output": str(tmp_path / "found")}
    )
    yield parser
    with contextlib.suppress(ValueError, OSError):
        parser.deinit()


def message(text, file="/c/vm17.log", host="vm17"):
    return {"MESSAGE": text, "HOST": host.encode(), "FILE_NAME": file.encode()}


def test_a_message_in_which_nothing_ends_stays_as_it_is(parser):
    for text in (QUIET, oom(1)[:-1], b""):
        passing = message(text)
        assert parser.parse(passing) is True
        assert passing == message(text)


def test_the_message_after_it_has_the_incident(parser, tmp_path):
    parser.parse(message(oom(1)[:-1]))
    until(lambda: wires(tmp_path / "found"))  # by the clock: no message came
    other, passing = message(QUIET, host="vm18"), message(QUIET)
    assert parser.parse(other)
    assert parser.parse(passing)
    assert ".tocsin.kind" not in other
    assert passing[".tocsin.kind"] == "memory.oom"
    assert passing[".tocsin.severity"] == "crit"
    assert passing[".tocsin.title"] == "Out of memory: killed mysqld1"
    assert passing[".tocsin.count"] == passing[".tocsin.incidents"] == "1"
    [wire] = wires(tmp_path / "found")
    [told] = json.loads(passing[".tocsin.json"])
    assert told["uid"] == passing[".tocsin.uid"] == wire["attributes"]["log.record.uid"]
    assert told["signature"] == passing[".tocsin.signature"]
    assert wire["attributes"]["log.file.path"] == "/c/vm17.log"
    assert wire["resource"]["host.name"] == "vm17"
    again = message(QUIET)
    parser.parse(again)
    assert ".tocsin.kind" not in again


def test_of_several_the_worst_is_named_and_all_are_there(parser, tmp_path):
    parser.parse(message(disk("sda")[:-1]))
    parser.parse(message(oom(1)[:-1]))
    until(lambda: len(wires(tmp_path / "found")) == 2)
    passing = message(QUIET)
    parser.parse(passing)
    assert passing[".tocsin.kind"] == "memory.oom"
    assert passing[".tocsin.incidents"] == "2"
    titles = [told["title"] for told in json.loads(passing[".tocsin.json"])]
    assert sorted(titles) == ["I/O error on sda", "Out of memory: killed mysqld1"]


def test_text_of_syslog_ng_4_and_messages_of_many_lines(parser, tmp_path):
    text = (QUIET + b"\n" + oom(1)).decode("utf-8", "surrogateescape")
    parser.parse({"MESSAGE": text, "HOST": "vm17"})  # and no FILE_NAME: a KeyError
    parser.parse({"HOST": "vm17"})
    parser.deinit()
    [wire] = wires(tmp_path / "found")
    assert wire["body"] == "Out of memory: killed mysqld1"


def test_the_end_tells_what_is_open(parser, tmp_path):
    parser.parse(message(oom(1)[:-1]))
    parser.deinit()
    assert [wire["body"] for wire in wires(tmp_path / "found")] == ["Out of memory: killed mysqld1"]


def test_it_can_begin_again(parser, rules, tmp_path):
    parser.parse(message(oom(1)[:-1]))
    parser.deinit()
    parser.init({"rules": rules, "builtin": "no", "idle": "0.2", "output": str(tmp_path / "found")})
    parser.parse(message(oom(2)[:-1]))
    until(lambda: len(wires(tmp_path / "found")) == 2)


def test_a_full_disc_drops_no_message(rules, capfd):
    parser = Parser()
    options = {"rules": rules, "builtin": "no", "output": "/dev/full"}
    assert parser.init(options)
    for number in range(3):
        assert parser.parse(message(disk(f"d{number}")[:-1], file=f"/{number}"))
    parser.deinit()
    assert capfd.readouterr().err == "tocsin: output: No space left on device\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"state": "x"}, "tocsin: no option state; there are builtin, idle, min-severity"),
        ({"idle": "0"}, "tocsin: idle: expected seconds above 0, got '0'"),
        ({"idle": "soon"}, "could not convert string to float: 'soon'"),
        ({"builtin": "maybe"}, "tocsin: builtin: expected yes or no, got 'maybe'"),
        ({"min-severity": "bad"}, "tocsin: min-severity: 'bad' is none of emerg alert"),
    ],
)
def test_options_are_checked(options, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        Parser().init(options)


def test_what_is_less_severe_is_left_out(rules, tmp_path):
    parser = Parser()
    parser.init({
        "rules": rules, "builtin": "no", "min-severity": "crit", "output": str(tmp_path / "found"),
    })  # fmt: skip
    parser.parse(message(disk("sda")[:-1]))
    parser.parse(message(oom(1)[:-1]))
    parser.deinit()
    assert [wire["body"] for wire in wires(tmp_path / "found")] == ["Out of memory: killed mysqld1"]


# -- the real syslog-ng ------------------------------------------------------------------------


@pytest.fixture(scope="module", name="syslog_ng")
def _syslog_ng():
    """The program, or the script of ci/setup that starts an unpacked one."""
    return peers.program("syslog-ng")


@pytest.fixture(scope="module", name="with_python")
def _with_python(syslog_ng, tmp_path_factory):
    """It embeds the system's Python, for which the tocsin under test must have been built."""
    conf = tmp_path_factory.mktemp("probe") / "conf"
    conf.write_text(
        "@version: 3.38\npython {\nimport sys\n"
        "print('python %d.%d' % sys.version_info[:2], file=sys.stderr, flush=True)\n};\n"
    )
    done = subprocess.run(
        [syslog_ng, "-s", "-f", conf], capture_output=True, text=True, timeout=30, check=False
    )
    found = re.search(r"^python (\S+)$", done.stderr, re.M)
    if not found:
        peers.missing("the Python module of syslog-ng")
    if found[1] != OURS:
        peers.missing(f"syslog-ng's Python {found[1]} (tocsin is built for {OURS}): tocsin for it")
    return syslog_ng


class Daemon:
    def __init__(self, program, folder, example, changes):
        self.folder = folder
        text = (EXAMPLES / example).read_text()
        (folder / "consoles").mkdir()
        for ours, here in (("/var/consoles", folder / "consoles"), *changes):
            assert ours in text
            text = text.replace(ours, str(here))
        (folder / "conf").write_text(text)
        self.errors = open(folder / "errors", "wb")  # noqa: SIM115
        self.process = subprocess.Popen(
            [program, "-F", "--stderr", "-f", folder / "conf", "-R", folder / "persist",
             "-p", folder / "pid", "-c", folder / "control"],
            stdout=self.errors, stderr=self.errors, stdin=subprocess.DEVNULL,
            env={**CLEAN_ENVIRONMENT, "PYTHONPATH": str(Path(tocsin.__file__).parent.parent)},
        )  # fmt: skip

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.errors.close()
        return code, (self.folder / "errors").read_text()


@pytest.fixture(name="run")
def _run(tmp_path):
    daemons = []

    def run(*arguments):
        daemons.append(Daemon(arguments[0], tmp_path, *arguments[1:]))
        return daemons[-1]

    yield run
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


def test_the_parser_in_the_real_one(with_python, run, rules, tmp_path):
    daemon = run(with_python, "parser.conf", [
        ("/var/log/tocsin.jsonl", tmp_path / "output"),
        ("/var/log/tocsin.log", tmp_path / "found"),
        ('"idle" "2"', f'"idle" "0.3" "rules" "{rules}" "builtin" "no"'),
    ])  # fmt: skip
    log = tmp_path / "consoles" / "vm17.log"
    append(log, QUIET + b"\n" + oom(1))
    # The clock runs in there: told though no message comes after it.
    until(lambda: wires(tmp_path / "output"))
    [wire] = wires(tmp_path / "output")
    assert wire["attributes"]["log.file.path"] == str(log)
    append(log, QUIET + b"\n")
    until(lambda: (tmp_path / "found").exists() and (tmp_path / "found").read_text())
    append(log, disk("sda"))
    time.sleep(1)  # read by now; open until the end
    code, errors = daemon.stop()
    assert code == 0, errors
    assert "Exception" not in errors
    [line] = (tmp_path / "found").read_text().splitlines()
    assert line.endswith(" crit memory.oom Out of memory: killed mysqld1")
    assert [wire["body"] for wire in wires(tmp_path / "output")] == [
        "Out of memory: killed mysqld1", "I/O error on sda",
    ]  # fmt: skip


def test_a_configuration_loaded_again(with_python, run, rules, tmp_path):
    daemon = run(with_python, "parser.conf", [
        ("/var/log/tocsin.jsonl", tmp_path / "output"),
        ("/var/log/tocsin.log", tmp_path / "found"),
        ('"idle" "2"', f'"idle" "0.3" "rules" "{rules}" "builtin" "no"'),
    ])  # fmt: skip
    log = tmp_path / "consoles" / "vm17.log"
    for number in (1, 2):
        append(log, oom(number))
        until(lambda n=number: len(wires(tmp_path / "output")) == n)
        if number == 1:
            # One that is no good, so the old one goes on; then a good one.
            good = (tmp_path / "conf").read_text()
            for text in (good.replace('"idle"', '"idol"'), good):
                (tmp_path / "conf").write_text(text)
                before = (tmp_path / "errors").read_text()
                daemon.process.send_signal(signal.SIGHUP)
                until(lambda b=before: len((tmp_path / "errors").read_text()) > len(b))
                time.sleep(0.5)
    assert daemon.stop()[0] == 0


def test_an_option_that_is_none_refuses_the_configuration(with_python, run):
    daemon = run(with_python, "parser.conf", [('"idle" "2"', '"idol" "2"')])
    assert daemon.process.wait(30) != 0
    assert "no option idol; there are builtin, idle" in daemon.stop()[1]


@pytest.fixture(name="program")
def _program(tmp_path):
    """tocsin as a destination starts it, with its process id told."""
    path = tmp_path / "tocsin"
    words = " ".join(f"'{word}'" for word in PROGRAM)
    path.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/program.new; mv {tmp_path}/program.new "
        f"{tmp_path}/program.pid\nunset LD_LIBRARY_PATH\n"
        f'PYTHONPATH={os.pathsep.join(filter(None, sys.path))} exec {words} "$@"\n'
    )
    path.chmod(0o755)
    return path


def changes(program, rules, folder):
    return [
        ("/usr/bin/tocsin adapter syslog-ng",
         f"{program} adapter syslog-ng --no-builtin --rules {rules}"),
        ("/var/lib/tocsin", folder / "state"),
        ("/var/log/tocsin.jsonl", folder / "out"),
    ]  # fmt: skip


def bodies(path):
    return [wire["body"] for wire in wires(path) if "incident" in wire["schema"]]


def test_a_program_gets_every_byte_and_all_at_the_end(syslog_ng, run, program, rules, tmp_path):
    daemon = run(syslog_ng, "program.conf", changes(program, rules, tmp_path))
    odd = b'[    7.000000] Out of memory: Killed process 7 (\xff\\xff"\x1b[0m)'
    log = tmp_path / "consoles" / "vm17.log"
    append(log, QUIET + b"\n" + odd + b"\n")
    until(lambda: bodies(tmp_path / "out"))
    rest = b"".join(disk(f"d{number}") for number in range(500))
    append(log, rest)
    until(lambda: len(bodies(tmp_path / "out")) > 100)
    code, errors = daemon.stop()
    assert code == 0, errors
    # Told to stop in the middle of it: what was in the pipe was still read.
    gone = time.monotonic() + 20
    while time.monotonic() < gone and Path(
        f"/proc/{(tmp_path / 'program.pid').read_text().strip()}"
    ).exists():
        time.sleep(0.05)
    first, second = (wire["attributes"] for wire in wires(tmp_path / "out")[:2])
    assert first["log.file.path"] == str(log)
    # Offsets count every byte in front.
    assert first["tocsin.offset.start"] == len(QUIET) + 1
    assert second["tocsin.offset.start"] == len(QUIET) + 1 + len(odd) + 1
    # What is open is kept and not told: the state says how far was read.
    store = Store(str(tmp_path / "state"))
    [offset] = [saved.offset for saved in store.streams() if saved.path == str(log)]
    store.close()
    assert offset == len(QUIET) + 1 + len(odd) + 1 + len(rest)
    assert not [wire for wire in wires(tmp_path / "out") if wire["event_name"] == "tocsin.gap"]


LINES = 4000
KILLS = 4


def test_a_kill_loses_nothing_that_is_not_told(syslog_ng, run, program, rules, tmp_path):
    run(syslog_ng, "program.conf", changes(program, rules, tmp_path))
    out, log = tmp_path / "out", tmp_path / "consoles" / "vm17.log"

    def seen():
        told = wires(out)
        lost = sum(
            wire["attributes"]["tocsin.gap.records"]
            for wire in told
            if wire["event_name"] == "tocsin.gap"
        )
        return len(bodies(out)), lost

    part = LINES // (KILLS + 1)
    for turn in range(KILLS + 1):
        # Each line is an incident of its own: what was read can be told by its name.
        append(log, b"".join(disk(f"d{turn * part + number}") for number in range(part)))
        if turn < KILLS:
            before = seen()[0]
            until(lambda b=before: seen()[0] > b, 60)
            os.kill(int((tmp_path / "program.pid").read_text()), signal.SIGKILL)
    until(lambda: sum(seen()) >= (KILLS + 1) * part, 20)
    time.sleep(0.5)
    read, lost = seen()
    assert read + lost == (KILLS + 1) * part
    found = bodies(out)
    assert len(set(found)) == len(found)
    assert found == sorted(found, key=lambda body: int(body.removeprefix("I/O error on d")))
