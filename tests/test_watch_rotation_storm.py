"""A thousand rotations a minute: nothing is lost, and what nobody can know is told as a gap."""

import os
import re
import shutil
import time

import pytest

from tests.watch_program import Background, append, oom, until

ROTATIONS = int(os.environ.get("TOCSIN_ROTATIONS", "120"))
# Some seconds' worth: who has to wait for a processor so long has lost nothing yet.
KEPT = 100


def shift(log):
    """a.log.1 becomes a.log.2 and so on; the last goes."""
    for number in range(KEPT, 1, -1):
        older = log.with_name(f"a.log.{number - 1}")
        if older.exists():
            older.rename(log.with_name(f"a.log.{number}"))


def by_rename(log):
    shift(log)
    log.rename(log.with_name("a.log.1"))
    append(log, b"")


def by_copy(log):
    shift(log)
    shutil.copy(log, log.with_name("a.log.1"))
    os.truncate(log, 0)


@pytest.mark.parametrize("rotate", [by_rename, by_copy])
def test_a_storm_of_rotations(tmp_path, rules, rotate):
    log = tmp_path / "a.log"
    append(log, b"")
    program = Background(tmp_path / "out", "watch", *rules, "--format", "jsonl", "--idle", "1", log)

    def told():
        return {int(re.search(r"mysqld(\d+)", body)[1]) for body in program.bodies}

    try:
        number = 0
        for _ in range(ROTATIONS):
            for _ in range(5):
                number += 1
                append(log, oom(number))
                time.sleep(0.005)
            rotate(log)
            time.sleep(0.02)

        wanted = set(range(1, number + 1))
        until(lambda: told() >= wanted)
        assert told() == wanted
        # What was written between a copy and the truncation nobody can know: that is told.
        assert bool(program.gaps) == (rotate is by_copy)
        bodies = program.bodies
        assert len(bodies) == len(set(bodies))
    finally:
        program.kill()
