"""The configuration files in examples/: their commands run, their programs take them."""

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from tests import peers
from tests.cli_program import PROGRAM
from tests.watch_program import Background, append, oom, until
from tocsin.cli.main import _parser

EXAMPLES = Path(__file__).parent.parent / "examples"


def commands():
    """Each command line of tocsin in an example, by the file it is in."""
    for path in sorted(EXAMPLES.rglob("*")):
        if path.suffix in {".conf", ".service"} and path.parent.name != "icinga":
            text = path.read_text()
            for match in re.finditer(r'/usr/bin/tocsin ([^"\n]*)', text):
                yield path.parent.name, shlex.split(match[1])
        elif path.suffix == ".json":
            for rule in json.loads(path.read_text())["rules"]:
                yield path.parent.name, rule["args"]
        elif path.name == "vector.yaml":
            words = re.findall(r"^      - (\S+)$", path.read_text(), re.M)
            yield path.parent.name, words[words.index("/usr/bin/tocsin") + 1 :]


COMMANDS = list(commands())


def test_every_program_has_its_command():
    assert {name for name, _ in COMMANDS} == {
        "rsyslog", "fluent-bit", "vector", "node-problem-detector", "syslog-ng",
        "systemd",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "words"), COMMANDS, ids=[f"{n}-{w[0]}" for n, w in COMMANDS])
def test_a_command_of_an_example_is_one(name, words):
    assert _parser().parse_args(words).run


@pytest.mark.parametrize("name", ["fluent-bit", "vector"])
def test_the_command_of_a_shipper_prints_json_lines(name, tmp_path):
    [words] = [words for shipper, words in COMMANDS if shipper == name]
    (tmp_path / "consoles").mkdir()
    words = [
        word.replace("/var/lib/tocsin", str(tmp_path / "state")).replace(
            "/var/consoles", str(tmp_path / "consoles")
        )
        for word in words
    ]
    program = Background(tmp_path / "out", *words)
    try:
        append(tmp_path / "consoles" / "vm17.log", oom(1) + b"[    2.000000] usb 1-1: x\n")
        until(lambda: program.bodies == ["Out of memory: killed mysqld1"])
    finally:
        program.kill()


@pytest.fixture(name="rsyslogd")
def _rsyslogd():
    return peers.program("rsyslogd")


def test_mmexternal_in_the_real_rsyslog(rsyslogd, tmp_path):
    for name in ("work", "consoles"):
        (tmp_path / name).mkdir()
    program = tmp_path / "tocsin"
    source = Path(__file__).parent.parent / "src"
    words = shlex.join(PROGRAM)
    program.write_text(f'#!/bin/sh\nPYTHONPATH={source}:$PYTHONPATH exec {words} "$@"\n')
    program.chmod(0o755)
    text = (EXAMPLES / "rsyslog" / "mmexternal.conf").read_text()
    for ours, here in (
        ("/var/lib/rsyslog", tmp_path / "work"),
        ("/var/consoles", tmp_path / "consoles"),
        ("/usr/bin/tocsin", program),
        ("/var/log/tocsin.log", tmp_path / "found"),
    ):
        assert ours in text
        text = text.replace(ours, str(here))
    conf = tmp_path / "rsyslog.conf"
    conf.write_text(text)
    subprocess.run([rsyslogd, "-N1", "-f", conf], check=True, capture_output=True)
    daemon = subprocess.Popen(
        [rsyslogd, "-n", "-f", conf, "-i", tmp_path / "pid"], stderr=subprocess.DEVNULL
    )
    try:
        log = tmp_path / "consoles" / "vm17.log"
        number = 0

        def found():
            nonlocal number
            number += 1
            append(log, oom(7) + b"[    8.%06d] quiet \xff\n" % number)
            path = tmp_path / "found"
            return path.exists() and "Out of memory: killed mysqld7" in path.read_text()

        until(found)
        [kinds] = {tuple(re.findall(r'"kind": ?"([^"]*)"', line)) for line in
                   (tmp_path / "found").read_text().splitlines()[:1]}  # fmt: skip
        assert kinds == ("memory.oom",)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
