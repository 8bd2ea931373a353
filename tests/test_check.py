"""tocsin check, as a monitor meets it."""

import os
import re
import time

import pytest

from tests.cli_program import LOGIN, OOM, QUIET, run
from tests.watch_program import Background, append, oom, until
from tocsin.watch.verdict import Console, Level, Seen, Wants, judge

PANIC = b"[   50.000000] Kernel panic - not syncing: Attempted to kill init!\n"


@pytest.fixture(name="watched")
def _watched(tmp_path):
    """A log, its state directory, and a tocsin at work on it."""
    log = tmp_path / "vm17.log"
    append(log, QUIET)
    program = Background(tmp_path / "out", "watch", "--state", tmp_path / "state", log)
    yield log, tmp_path / "state", program
    program.kill()


CONSOLE = Console("vm17", "up", 5.0)


@pytest.mark.parametrize(
    ("incidents", "consoles", "wants", "level", "text"),
    [
        ([], [CONSOLE], Wants(), Level.OK, "no incidents in 1 console"),
        ([Seen(3, "k", "t", "s")], [CONSOLE], Wants(), Level.WARNING, "t in s"),
        (
            [Seen(1, "k", "t", "s", requested=True)], [CONSOLE], Wants(), Level.OK,
            "no incidents in 1 console",
        ),
        ([Seen(5, "k", "t", "s")], [CONSOLE], Wants(), Level.OK, "no incidents in 1 console"),
        ([Seen(2, "k", "t", "s")] * 2, [], Wants(), Level.CRITICAL, "2 x t in s"),
        (
            [Seen(2, "k", "t", "s"), Seen(1, "k", "u", "s")], [], Wants(), Level.CRITICAL,
            "u in s; 1 more",
        ),
        ([], [CONSOLE._replace(state="panicked")], Wants(), Level.CRITICAL, "vm17 is panicked"),
        ([], [CONSOLE], Wants(silent=4), Level.CRITICAL, "vm17 is silent for 5 s"),
        ([], [CONSOLE], Wants(silent=5), Level.OK, "no incidents in 1 console"),
        (
            [], [CONSOLE._replace(state="booting")], Wants(up=True), Level.CRITICAL,
            "vm17 shows no login prompt (booting)",
        ),
    ],
)  # fmt: skip
def test_verdicts(incidents, consoles, wants, level, text):
    verdict = judge(incidents, consoles, wants)
    assert (verdict.level, verdict.text) == (level, text)


def test_a_watched_log(watched):
    log, state, _ = watched
    done = run("check", "--state", state)
    assert done.returncode == 0
    assert re.fullmatch(
        r"TOCSIN OK - no incidents in 1 console \| incidents=0;;;0 critical=0;;;0 warning=0;;;0 "
        r"requested=0;;;0 consoles=1;;;0 consoles_up=0;;;0 longest_silence=[\d.]+s;;;0\n",
        done.stdout,
    )
    append(log, oom(1) + LOGIN)
    done = until(lambda: (d := run("check", "--state", state)).returncode == 2 and d)
    assert done.stdout.startswith(
        f"TOCSIN CRITICAL - Out of memory: killed mysqld1 in {log} | incidents=1;;;0 critical=1"
    )
    until(lambda: "consoles_up=1;" in run("check", "--state", state).stdout)
    assert run("check", "--state", state, "--critical", "alert", "--up").returncode == 1
    assert run("check", "--state", state, "--since", "0s").returncode == 0
    assert run("check", "--state", state, "--source", "other*").returncode == 3
    done = run("check", "--state", state, "--npd")
    assert done.returncode == 1
    assert len(done.stdout) <= 81
    time.sleep(1.1)
    done = run("check", "--state", state, "--since", "0s", "--silent", "1s", "--npd")
    assert done.returncode == 1
    assert "is silent for" in done.stdout or done.stdout.endswith("...\n")


def test_nobody_watches(watched):
    _, state, program = watched
    program.stop()
    done = run("check", "--state", state)
    assert done.returncode == 3
    assert done.stdout == f"TOCSIN UNKNOWN - {state}: no tocsin is running on it\n"
    assert run("check", "--state", state, "--npd").returncode == 2


@pytest.mark.parametrize("arguments", [(), ("--state", "/nowhere"), ("/nowhere/at/all",)])
def test_what_cannot_be_known_is_unknown(arguments):
    done = run("check", *arguments)
    assert done.returncode == 3
    assert done.stdout.startswith("TOCSIN UNKNOWN - ")
    assert done.stderr == ""


def test_a_file(tmp_path, rules):
    log = tmp_path / "vm17.log"
    append(log, QUIET + OOM)
    assert run("check", *rules, log).returncode == 2
    assert run("check", log, "--critical", "emerg", "--up").returncode == 2
    append(log, LOGIN)
    assert run("check", log, "--critical", "emerg", "--up").returncode == 1
    os.utime(log, (time.time() - 500, time.time() - 500))
    done = run("check", *rules, log, "--silent", "5m")
    assert done.returncode == 2
    assert re.search(r"is silent for 50\d s", done.stdout)


def test_a_panicked_console(tmp_path):
    log = tmp_path / "vm17.log"
    append(log, QUIET + PANIC)
    done = run("check", log, "--critical", "emerg", "--warning", "emerg")
    assert done.returncode == 2
    assert "is panicked" in done.stdout
