"""tocsin adapter: what a shipper writes and reads, and the real rsyslog around it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import peers
from tests.cli_program import CLEAN_ENVIRONMENT, PROGRAM, QUIET, RULES
from tests.watch_program import append, disk, oom, until, wires
from tocsin.sources.shipped import read

EXAMPLES = Path(__file__).parent.parent / "examples"
LINES = int(os.environ.get("TOCSIN_RSYSLOG_LINES", "200000"))
KILLS = 5


@pytest.fixture(name="rules")
def _rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "t.toml"
    path.write_text(RULES)
    return ["--no-builtin", "--rules", str(path)]


def shipped(message, **more):
    """One line as rsyslog writes it: bytes that are no UTF-8 go raw into the JSON."""
    text = json.dumps({**more, "msg": "@"}, ensure_ascii=False).encode()
    body = json.dumps(message.decode("latin-1"), ensure_ascii=False)[1:-1].encode("latin-1")
    return text.replace(b'"@"', b'"' + body + b'"') + b"\n"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b'{"msg":"a \xff b"}', b"a \xff b\n"),
        (b'{"msg":" [    1.0] x"}', b"[    1.0] x\n"),
        (b'{"msg":"\\ud800"}', b"?\n"),
        (b'{"log":"from Fluent Bit"}', b"from Fluent Bit\n"),
        (b'{"body":"from OTel","attributes":{"log.file.path":"/x"}}', b"from OTel\n"),
        (b'{"message":"tab\tinside"}', b"tab\tinside\n"),
        (b'{"msg":""}', b"\n"),
        (b"no JSON at all", b"no JSON at all\n"),
        (b'{"msg": broken', b'{"msg": broken\n'),
    ],
)
def test_a_line_of_a_shipper(data, line):
    assert read(data).line == line


def test_file_and_host_are_found_where_shippers_put_them():
    record = b'{"body":"x","attributes":{"log.file.path":"/x"},"resource":{"host.name":"vm"}}'
    assert read(record)[1:3] == ("/x", "vm")


class Adapter:
    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [*PROGRAM, "adapter", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=CLEAN_ENVIRONMENT,
        )

    def answer(self):
        return self.process.stdout.readline()

    def send(self, line):
        self.process.stdin.write(line)
        self.process.stdin.flush()
        return self.answer()

    def end(self):
        """Exit code, the rest of standard output, standard error."""
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


def test_omprog_is_answered_line_by_line(tmp_path, rules):
    out = tmp_path / "out"
    adapter = Adapter("rsyslog", *rules, "--state", tmp_path / "state", "--output", out)
    assert adapter.answer() == b"OK\n"
    for line in (QUIET.splitlines()[0], b"bad \xff bytes", oom(1)[:-1], b"x" * 100_000):
        assert adapter.send(shipped(line, file="/c/vm17.log", host="vm17")) == b"OK\n"
    assert adapter.send(b"no JSON\n") == b"OK\n"
    until(lambda: wires(out))
    assert adapter.end() == (0, b"", b"")
    [wire] = wires(out)
    assert wire["body"] == "Out of memory: killed mysqld1"
    assert wire["attributes"]["log.file.path"] == "/c/vm17.log"
    assert wire["resource"]["host.name"] == "vm17"


def test_a_line_that_was_kept_but_not_confirmed_is_not_read_twice(tmp_path, rules):
    out = tmp_path / "out"
    arguments = ("rsyslog", *rules, "--state", tmp_path / "state", "--output", out)
    first = Adapter(*arguments)
    first.answer()
    line = shipped(oom(1)[:-1], uuid="A")
    assert first.send(line) == b"OK\n"
    first.process.kill()
    first.end()
    second = Adapter(*arguments)
    second.answer()
    assert second.send(line) == b"OK\n"  # rsyslog did not hear the OK
    assert second.send(shipped(oom(1)[:-1], uuid="B")) == b"OK\n"  # the same words again
    assert second.send(shipped(disk("sda")[:-1], uuid="C")) == b"OK\n"
    until(lambda: len(wires(out)) >= 2)
    second.end()
    bodies = [w["body"] for w in wires(out) if "incident" in w["schema"]]
    assert bodies == ["Out of memory: killed mysqld1", "I/O error on sda"]


def test_mmexternal_answers_with_what_ended_in_the_line(rules):
    adapter = Adapter("rsyslog", "--mmexternal", *rules)
    assert adapter.send(b'{"msg":"quiet"}\n') == b"{}\n"
    assert adapter.send(b"not JSON \xff\n") == b"{}\n"
    adapter.send(shipped(oom(1)[:-1]))
    time.sleep(0.3)
    reply = json.loads(adapter.send(b'{"msg":"quiet"}\n'))
    assert [found["title"] for found in reply["$!"]["tocsin"]] == ["Out of memory: killed mysqld1"]
    code, out, err = adapter.end()
    assert (code, out, err) == (0, b"", b"")


def test_a_filter_prints_incidents_and_nothing_else(rules):
    adapter = Adapter("lines", *rules)
    adapter.process.stdin.write(
        shipped(QUIET.splitlines()[0]) + shipped(oom(1)[:-1]) + b"garbage\n" + disk("sda")
    )
    code, out, err = adapter.end()
    assert (code, err) == (0, b"")
    assert [json.loads(line)["body"] for line in out.splitlines()] == [
        "Out of memory: killed mysqld1", "I/O error on sda",
    ]  # fmt: skip


# -- the real rsyslog ------------------------------------------------------------------------


@pytest.fixture(name="rsyslog")
def _rsyslog(tmp_path, rules):
    """The configuration of examples/rsyslog, with this test's paths, and rsyslogd run with it."""
    rsyslogd = peers.program("rsyslogd")
    (tmp_path / "work").mkdir()
    (tmp_path / "logs").mkdir()
    program = tmp_path / "tocsin"
    words = " ".join(f"'{word}'" for word in PROGRAM)
    program.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/program.pid\n"
        f"PYTHONPATH={os.pathsep.join(filter(None, sys.path))} exec {words} \"$@\"\n"
    )
    program.chmod(0o755)
    text = (EXAMPLES / "rsyslog" / "omprog.conf").read_text()
    for ours, here in (
        ("/var/lib/rsyslog", tmp_path / "work"),
        ("/var/consoles/", f"{tmp_path}/logs/"),
        ("/usr/bin/tocsin adapter rsyslog", f"{program} adapter rsyslog {' '.join(rules)}"),
        ("/var/lib/tocsin", tmp_path / "state"),
        ("/var/log/tocsin.jsonl", tmp_path / "out"),
        ('resumeInterval="5"', 'resumeInterval="1"'),
    ):
        assert ours in text
        text = text.replace(ours, str(here))
    conf = tmp_path / "rsyslog.conf"
    conf.write_text(text)
    daemon = subprocess.Popen(
        [rsyslogd, "-n", "-f", conf, "-i", tmp_path / "rsyslogd.pid"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield tmp_path
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(30)


def test_rsyslog_confirms_every_line_and_kill_loses_none(rsyslog):
    log = rsyslog / "logs" / "vm17.log"
    data, expected = [], []
    at = 0
    for number in range(LINES):
        if number % 50:
            line = b"[%5d.000000] usb 1-1: new device number %d \xff\n" % (number // 100, number)
        else:
            line = disk(f"d{number}")
            expected.append((f"I/O error on d{number}", at))
        data.append(line)
        at += len(line)
    append(log, b"".join(data))
    out = rsyslog / "out"

    def told_so_far():
        return out.read_bytes().count(b"\n") if out.exists() else 0

    pid = rsyslog / "program.pid"
    killed = ""
    for kill in range(1, KILLS + 1):
        # Spread over the whole run; a first one before much of it is there to be lost.
        some = len(expected) * (kill - 1) // KILLS + 1
        until(lambda some=some: told_so_far() >= some, 60)
        until(lambda old=killed: pid.read_text().endswith("\n") and pid.read_text() != old, 60)
        killed = pid.read_text()
        os.kill(int(killed), signal.SIGKILL)
    until(lambda: told_so_far() >= len(expected), 120)
    # Each of them was one that rsyslog had started anew.
    assert pid.read_text() != killed
    time.sleep(0.5)
    told = [
        (wire["body"], wire["attributes"]["tocsin.offset.start"])
        for wire in wires(rsyslog / "out")
        if "incident" in wire["schema"]
    ]
    # The offsets prove the lines between them: each came, once, and in order.
    assert sorted(told, key=lambda one: one[1]) == expected
