"""What of the lab can be told without a guest: its table, its words, its archives."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tocsin

LAB = Path(__file__).parent / "lab"
sys.path.insert(0, str(LAB))

import kernel  # noqa: E402
import lab  # noqa: E402

ROWS = lab.table(LAB / "scenarios.toml")


def test_every_scenario_expects_something():
    assert len(ROWS) > 8
    kinds = {rule.kind for rule in tocsin.load_rules()}
    for row in ROWS:
        assert "expect" in row, row["name"]
        for want in row["expect"]:
            assert want["kind"] in kinds, row["name"]
            assert {"severity", "title"} <= set(want), row["name"]
            for pattern in want.values():
                re.compile(str(pattern))
        # A healthy guest is the only one of which nothing is reported.
        assert row["expect"] or row["name"] == "login"
        assert row["console"] in {state.value for state in tocsin.ConsoleState}


def test_every_trouble_is_known_to_the_module():
    actions = set(re.findall(r"ACTION\((\w+)\)", (LAB / "trouble.c").read_text()))
    for row in ROWS:
        for word in re.findall(r"^trouble (\w+)", row["script"], re.M):
            assert word in actions, row["name"]
            assert row["trouble"], row["name"]


def test_the_scripts_are_scripts():
    shell = shutil.which("sh")
    for text in [(LAB / "init").read_text(), *(row["script"] for row in ROWS)]:
        subprocess.run([shell, "-n"], input=text, text=True, check=True)


def test_an_archive_is_what_cpio_reads(tmp_path):
    files = {"init": b"one", "a/b/c": b"", "a/b/d": b"12345", "e/f": bytes(range(256)) * 5}
    data = kernel.archive(files)
    # Headers, names and contents all begin at a multiple of four.
    at, found = 0, {}
    while not data.startswith(b"TRAILER!!!", at + 110):
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 109 + name_size].decode()
        at += 110 + name_size
        at += -at % 4
        if mode & 0o040000:
            assert name not in found
        else:
            found[name] = data[at : at + size]
        at += size + -size % 4
    assert found == files
    if shutil.which("cpio"):
        subprocess.run(["cpio", "-id", "--quiet"], input=data, cwd=tmp_path, check=True)
        assert {n: (tmp_path / n).read_bytes() for n in files} == files


def told(incident):
    told = json.loads(json.dumps(incident.to_dict()))
    told["attributes"]["log.record.uid"] = f"{incident.rule} {incident.start}"
    return told


def heard(log, *, late=0.0):
    """As if this log had come at once and everything had been reported `late` seconds after."""
    out = lab.Heard(console=bytearray(log), arrivals=[(len(log), 1.0)])
    scanner = tocsin.Scanner()
    out.reports = [(1.0 + late, i) for i in scanner.feed(log) + scanner.flush()]
    out.states = [(1.0, scanner.console)]
    out.watched = [(when, told(incident)) for when, incident in out.reports]
    return out


PANIC = (
    b"[    1.000000] Kernel panic - not syncing: sysrq triggered crash\n"
    b"[    1.100000] ---[ end Kernel panic - not syncing: sysrq triggered crash ]---\n"
)
WANT = {"kind": "kernel.panic", "severity": "emerg", "title": ".*sysrq.*"}


@pytest.mark.parametrize(
    ("row", "late", "said"),
    [
        ({"expect": [WANT], "console": "panicked"}, 0.1, []),
        ({"expect": [], "console": "panicked"}, 0.1, ["not expected: kernel.panic"]),
        ({"expect": [WANT, WANT]}, 0.1, ["incident 2: not heard"]),
        ({"expect": [{**WANT, "severity": "err"}]}, 0.1, ["incident 1: severity: expected err"]),
        ({"expect": [{**WANT, "cpu": "0"}]}, 0.1, ["incident 1: cpu: expected 0, got None"]),
        ({"expect": [WANT], "console": "up"}, 0.1, ["console: expected up, got panicked"]),
        ({"expect": [WANT], "saw": ["booting"]}, 0.1, ["console: never booting"]),
        ({"expect": [WANT]}, 5.0, ["5.00 s late", "tocsin watch: kernel panic: sysrq"]),
        ({"expect": [], "also": "kernel.*"}, 0.1, []),
        ({"expect": [], "also": "memory.*"}, 0.1, ["not expected: kernel.panic"]),
        ({}, 0.1, []),
    ],
)
def test_differences_are_told(row, late, said):
    found = lab.differences(row, heard(PANIC, late=late))
    assert len(found) == len(said)
    for text, part in zip(found, said, strict=True):
        assert part in text


def test_what_was_waited_for_in_vain_is_told():
    out = heard(PANIC)
    out.missed = "login: "
    assert lab.differences({"expect": [WANT]}, out) == ["out of time waiting for 'login: '"]


def test_a_program_that_tells_otherwise_is_told():
    out = heard(PANIC)
    out.watched = []
    (text,) = lab.differences({"expect": [WANT]}, out)
    assert text.startswith("tocsin watch and the reader differ: [('kernel.panic', ")


def test_further_troubles_are_written_alike():
    rows = lab.table(LAB / "more.toml")
    assert rows
    actions = set(re.findall(r"ACTION\((\w+)\)", (LAB / "trouble.c").read_text()))
    for row in rows:
        subprocess.run([shutil.which("sh"), "-n"], input=row["script"], text=True, check=True)
        assert set(re.findall(r"^trouble (\w+)", row["script"], re.M)) <= actions, row["name"]
