"""The journal of a running journald: everything told, at once, and once, through kills of tocsin,
kills of journald, and rotation; what the journal itself has lost is said."""

import random
import signal
import statistics
import time

import pytest

from tests.journald_program import journald_fixture  # noqa: F401
from tests.watch_program import until

KERNEL = b"Out of memory: Killed process %d (mysqld%d)"


@pytest.fixture(name="follow")
def _follow(watch, journald, tmp_path):
    def start(*arguments, **options):
        return watch("journald", *arguments, enter=journald.enter, **options)

    return start


@pytest.fixture(name="resume")
def _resume(follow, tmp_path):
    return lambda *arguments: follow("--state", tmp_path / "state", *arguments)


def kill(journald, number):
    journald.kernel(KERNEL % (number, number))


def numbers(program):
    """Whose kills were told. Kernel lines of one moment differ by number, so none is a repeat."""
    return [int(body.rpartition("mysqld")[2]) for body in program.bodies]


def test_an_incident_is_told_within_a_second(follow, journald):
    kill(journald, 900)  # was there before: old
    journald.run("journalctl", "--sync")
    program = follow()
    took = []
    for number in range(1, 11):
        began = time.monotonic()
        kill(journald, number)
        until(lambda n=number: len(program.incidents) == n)
        took.append(time.monotonic() - began)
        time.sleep(random.random() / 10)
    assert numbers(program) == list(range(1, 11))
    assert statistics.median(took) < 1
    [first, *_] = program.incidents
    attributes = first["attributes"]
    assert first["resource"]["host.name"]
    assert attributes["tocsin.level"] == 3
    assert attributes["log.record.original"].startswith(f"<3>{time.gmtime().tm_year}-")
    assert " kernel: [" in attributes["log.record.original"]
    assert attributes["tocsin.source"].startswith("journald:")


DOOR = '''
schema = 1
[[rule]]
id = "t.door"
kind = "userspace.crash"
severity = "err"
title = "The door {name} is stuck"
signature = ["name"]
origin = "user"
meaning = "Nobody comes in."
advice = ["Push."]
start = { literal = ["door is stuck: "], match = 'door is stuck: (?P<name>\\w+)' }
[[rule.example]]
log = "Nov 23 08:00:00 vm test[1]: door is stuck: front\\n"
title = "The door front is stuck"
[[rule.counterexample]]
log = "Nov 23 08:00:00 vm test[1]: door is open\\n"
'''


def test_what_programs_say_comes_through_every_door(follow, journald, tmp_path):
    (tmp_path / "door.toml").write_text(DOOR)
    program = follow("--rules", tmp_path / "door.toml")
    line = b"door is stuck: "
    journald.say(b"first line\n" + line + b"stdout\nsecond line\n", identifier="out", priority=4)
    until(lambda: len(program.incidents) == 1)
    journald.run(
        "logger", "--tag=sys", "--socket=/run/systemd/journal/dev-log", "--priority=user.err",
        line + b"syslog", check=True,
    )  # fmt: skip
    until(lambda: len(program.incidents) == 2)
    # By the native protocol a message may have many lines, and any bytes.
    native = b"PRIORITY=2\nSYSLOG_IDENTIFIER=nat\nMESSAGE=" + line + b"native\nMESSAGE=\xff\x1b\n"
    journald.run("logger", "--journald", stdin=native, check=True)
    until(lambda: len(program.incidents) == 3)
    titles = [f"The door {name} is stuck" for name in ("stdout", "syslog", "native")]
    assert program.bodies == titles
    said = [wire["attributes"]["log.record.original"] for wire in program.incidents]
    for one, level, tag in zip(said, (4, 3, 2), ("out[", "sys[", "nat["), strict=True):
        assert one.startswith(f"<{level}>{time.gmtime().tm_year}-")
        assert f" {tag}" in one


def test_killed_again_and_again_nothing_is_lost_and_nothing_told_twice(resume, journald):
    program = resume()
    number = 0
    for _ in range(8):
        for _ in range(random.randint(5, 40)):
            number += 1
            kill(journald, number)
            time.sleep(random.choice((0, 0.001, 0.01)))
        program.kill()
        for _ in range(3):  # nobody watches
            number += 1
            kill(journald, number)
        program = resume()
    until(lambda: len(program.incidents) >= number)
    time.sleep(0.5)
    assert numbers(program) == list(range(1, number + 1))
    assert program.gaps == []


def test_a_journal_that_was_silent_so_far_has_a_place_to_go_on_from(resume, journald):
    program = resume()
    program.kill()
    kill(journald, 1)
    program = resume()
    until(lambda: numbers(program) == [1])
    program.kill()
    assert program.gaps == []


def test_rotation_loses_nothing(resume, journald):
    program = resume()
    before = journald.files()
    number = 0
    for turn in range(12):
        for _ in range(10):
            number += 1
            kill(journald, number)
        if turn % 3 == 0:
            assert journald.run("journalctl", "--rotate").returncode == 0
        elif turn % 3 == 1:
            journald.signal(signal.SIGUSR2)
        elif turn % 6 == 2:
            program.kill()
            program = resume()
    until(lambda: len(program.incidents) >= number)
    time.sleep(0.5)
    assert numbers(program) == list(range(1, number + 1))
    assert len(journald.files()) > len(before)
    assert program.gaps == []


def test_a_journald_that_is_killed_and_started_again(resume, journald):
    program = resume()
    kill(journald, 1)
    until(lambda: numbers(program) == [1])
    journald.run("journalctl", "--sync")
    journald.kill()
    journald.start()
    kill(journald, 2)
    until(lambda: len(program.incidents) >= 2)
    assert numbers(program) == [1, 2]


def test_a_journal_that_was_thrown_away_is_a_gap(resume, journald):
    program = resume()
    kill(journald, 1)
    until(lambda: numbers(program) == [1])
    time.sleep(1.2)  # a checkpoint
    program.kill()
    kill(journald, 2)
    journald.run("journalctl", "--rotate", "--vacuum-files=1", check=True)
    assert b"mysqld" not in journald.run("journalctl", "-o", "cat").stdout
    program = resume()
    kill(journald, 3)
    until(lambda: 3 in numbers(program))
    assert numbers(program) == [1, 3]
    [gap] = program.gaps
    assert "no longer in the journal" in gap["body"]


def test_what_journald_missed_is_a_gap(follow, journald):
    program = follow()
    kill(journald, 1)
    journald.lose(7)
    kill(journald, 2)
    until(lambda: len(program.incidents) == 2)
    [gap] = until(lambda: program.gaps)
    assert gap["attributes"]["tocsin.gap.records"] == 7
    assert gap["attributes"]["tocsin.source"] == program.incidents[0]["attributes"]["tocsin.source"]
