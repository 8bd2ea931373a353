"""tocsin watch on files: growth, rotation, truncation, globs, restarts."""

import os
import shutil
import subprocess
import time

import pytest

from tests.cli_program import QUIET
from tests.watch_program import Background, append, disk, oom, told, until


def test_what_is_appended_is_told_and_what_was_there_is_not(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    program = watch(log)
    append(log, QUIET + oom(2))
    assert told(program, 1) == ["mysqld2"]
    assert program.stop() == 0
    assert program.stderr == ""


def test_from_the_start_on_demand(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    program = watch("--from", "start", log)
    assert told(program, 1) == ["mysqld1"]


def test_text_blocks(rules, tmp_path):
    log = tmp_path / "a.log"
    append(log, QUIET)
    program = Background(tmp_path / "out", "watch", *rules, log)
    append(log, oom(7))
    until(lambda: b"Out of memory: killed mysqld7" in program.out.read_bytes())
    program.stop()
    assert f"where       {log}, bytes {len(QUIET)}-" in program.out.read_text()


def test_a_closed_incident_does_not_wait_for_idle(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, b"")
    program = watch("--idle", "600", log)
    began = time.monotonic()
    append(log, oom(1))
    told(program, 1)
    assert time.monotonic() - began < 5


def test_a_line_without_its_end_waits_for_idle(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, b"")
    program = watch("--idle", "0.5", log)
    append(log, oom(1)[:-1])
    assert told(program, 1) == ["mysqld1"]
    append(log, b"\n" + oom(2))
    assert told(program, 2) == ["mysqld1", "mysqld2"]


def test_ids_are_those_of_a_scan(watch, tmp_path, rules):
    log = tmp_path / "a.log"
    append(log, QUIET + oom(1) + disk("sda"))
    program = watch("--from", "start", log)
    told(program, 2)
    scanned = Background(
        tmp_path / "scanned", "scan", *rules, "--format", "jsonl", log, ready=False
    )
    scanned.process.wait()
    assert {w["attributes"]["log.record.uid"] for w in program.incidents} == {
        w["attributes"]["log.record.uid"] for w in scanned.incidents
    }


@pytest.mark.parametrize("poll", [[], ["--poll"]])
def test_rotation_by_rename_loses_nothing(watch, tmp_path, poll):
    log = tmp_path / "a.log"
    append(log, b"")
    program = watch(*poll, log)
    append(log, oom(1))
    told(program, 1)
    log.rename(tmp_path / "a.log.1")
    append(tmp_path / "a.log.1", oom(2))  # the writer does not know yet
    append(log, oom(3))
    told(program, 3)
    append(tmp_path / "a.log.1", oom(4))
    assert sorted(told(program, 4)) == [f"mysqld{n}" for n in (1, 2, 3, 4)]
    assert program.gaps == []


def test_files_that_came_and_went_between_two_looks(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    program = watch(log, "--from", "start")
    told(program, 1)
    program.process.send_signal(19)  # SIGSTOP: it sees nothing of this
    append(log, oom(2))
    for number in (3, 4, 5):
        for old in (3, 2, 1):
            if (tmp_path / f"a.log.{old}").exists():
                (tmp_path / f"a.log.{old}").rename(tmp_path / f"a.log.{old + 1}")
        log.rename(tmp_path / "a.log.1")
        append(log, oom(number))
        time.sleep(0.02)
    program.process.send_signal(18)
    assert told(program, 5) == [f"mysqld{n}" for n in (1, 2, 3, 4, 5)]
    assert program.gaps == []


def test_copy_and_truncation_reads_the_copy_and_says_what_cannot_be_known(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    program = watch(log, "--from", "start")
    told(program, 1)
    program.process.send_signal(19)
    append(log, oom(2))
    shutil.copy(log, tmp_path / "a.log.1")
    os.truncate(log, 0)
    append(log, oom(3) * 3)  # longer than what was read: its size alone tells nothing
    program.process.send_signal(18)
    assert told(program, 3) == ["mysqld1", "mysqld2", "mysqld3"]
    assert len(program.gaps) == 1
    assert program.gaps[0]["attributes"]["tocsin.gap.reason"].startswith("truncated; ")


def copy_away(log):
    """A rotation by copy and truncation, as a writer sees it."""
    if log.with_name("a.log.1").exists():
        log.with_name("a.log.1").rename(log.with_name("a.log.2"))
    time.sleep(0.02)  # copies are told apart by when they were made
    shutil.copy(log, log.with_name("a.log.1"))


def test_copies_that_came_and_went_between_two_looks(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    program = watch(log, "--from", "start")
    told(program, 1)
    program.process.send_signal(19)
    for number in (2, 3, 4):
        append(log, oom(number))
        if number < 4:
            copy_away(log)
            os.truncate(log, 0)
    program.process.send_signal(18)
    assert told(program, 4) == ["mysqld1", "mysqld2", "mysqld3", "mysqld4"]
    assert len(program.gaps) == 2


def test_the_same_where_the_last_look_saw_an_empty_file(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    program = watch(log, "--from", "start")
    told(program, 1)
    copy_away(log)
    os.truncate(log, 0)
    until(lambda: program.gaps)
    program.process.send_signal(19)
    append(log, oom(2))
    copy_away(log)
    os.truncate(log, 0)
    append(log, oom(3))
    copy_away(log)  # not truncated yet: of this one there are two
    program.process.send_signal(18)
    assert told(program, 3) == ["mysqld1", "mysqld2", "mysqld3"]
    os.truncate(log, 0)
    append(log, oom(4))
    assert told(program, 4) == ["mysqld1", "mysqld2", "mysqld3", "mysqld4"]
    time.sleep(0.3)
    assert len(program.incidents) == 4


@pytest.fixture(name="blink")
def _blink(watch, tmp_path):
    """A tocsin that has seen an empty file and then sees nothing of what `happens` with it."""

    def start(happens, *arguments, was=b""):
        log = tmp_path / "a.log"
        append(log, was)
        program = watch(*arguments, log)
        time.sleep(0.2)  # times of files are coarse
        program.process.send_signal(19)
        happens(log)
        program.process.send_signal(18)
        return program

    return start


def rotate_by_copy(log):
    copy_away(log)
    os.truncate(log, 0)


def reasons(program):
    return [gap["attributes"]["tocsin.gap.reason"] for gap in program.gaps]


@pytest.mark.parametrize("poll", [[], ["--poll"]])
@pytest.mark.parametrize("last", [b"", oom(3)])
def test_an_empty_file_that_was_written_copied_and_truncated(blink, last, poll):
    def happens(log):
        for number in (1, 2):
            append(log, oom(number))
            rotate_by_copy(log)
        append(log, last)

    program = blink(happens, *poll)
    wanted = [f"mysqld{n}" for n in ((1, 2, 3) if last else (1, 2))]
    assert told(program, len(wanted)) == wanted
    time.sleep(0.3)
    assert len(program.incidents) == len(wanted)
    assert [reason.partition(";")[0] for reason in reasons(program)] == ["truncated again"] * 2


def test_generations_that_begin_alike_are_told_apart(blink):
    head = b"==== this is the log of the console of the machine number seventeen ====\n"

    def happens(log):
        append(log, head + oom(1))
        rotate_by_copy(log)
        append(log, head + oom(2))
        copy_away(log)  # of this one there are two

    program = blink(happens)
    assert told(program, 2) == ["mysqld1", "mysqld2"]
    time.sleep(0.3)
    assert len(program.incidents) == 2


def test_an_empty_file_that_was_written_and_truncated_without_a_copy(blink):
    def happens(log):
        append(log, oom(1))
        os.truncate(log, 0)

    program = blink(happens)
    until(lambda: program.gaps)
    append(program.out.parent / "a.log", oom(2))
    assert told(program, 1) == ["mysqld2"]
    assert reasons(program) == ["changed and yet empty: what was in it may not have been read"]


def test_a_rotation_of_nothing_and_the_first_bytes_of_a_file_are_no_gap(blink):
    def happens(log):
        (log.with_name("a.log.1")).write_bytes(b"")
        log.write_bytes(b"")

    program = blink(happens)
    log = program.out.parent / "a.log"
    time.sleep(0.3)
    append(log.with_name("b.log"), b"another's\n")
    append(log, oom(1))
    assert told(program, 1) == ["mysqld1"]
    assert program.gaps == []


def test_a_file_watched_from_its_end_that_was_overwritten(blink):
    def happens(log):
        append(log, oom(1))
        rotate_by_copy(log)
        append(log, oom(2) * 9)  # past where its end was

    program = blink(happens, was=QUIET)
    assert told(program, 2) == ["mysqld1", "mysqld2"]
    assert len(program.gaps) == 1


@pytest.mark.parametrize("last", [b"", oom(2)])
def test_an_empty_file_that_was_rotated_while_nobody_watched_is_a_gap(watch, tmp_path, last):
    log, state = tmp_path / "a.log", tmp_path / "state"
    append(log, b"")
    first = watch("--state", state, log)
    time.sleep(1.5)  # a checkpoint
    first.kill()
    append(log, oom(1))
    rotate_by_copy(log)
    append(log, last)
    second = watch("--state", state, log)
    until(lambda: second.gaps)
    if last:
        assert told(second, 1) == ["mysqld2"]
    assert reasons(second) == ["truncated while nobody watched; a copy of that is not read"]


def test_a_writer_that_does_not_append_leaves_a_hole(watch, tmp_path):
    log = tmp_path / "a.log"
    with open(log, "wb", buffering=0) as writer:
        writer.write(QUIET * 1000)
        program = watch(log, "--from", "start")
        time.sleep(0.2)
        os.truncate(log, 0)
        writer.write(oom(2))
        assert told(program, 1) == ["mysqld2"]
    assert len(program.gaps) == 1


def test_late_files_directories_and_globs(watch, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "e" / "deep").mkdir(parents=True)
    append(tmp_path / "d" / "old.txt", oom(1))
    program = watch(tmp_path / "d", tmp_path / "e" / "*" / "*.log", tmp_path / "late.log")
    append(tmp_path / "d" / "new.txt", oom(2))
    append(tmp_path / "d" / "old.txt", oom(3))
    append(tmp_path / "e" / "deep" / "x.log", oom(4))
    append(tmp_path / "e" / "deep" / "x.txt", oom(5))
    append(tmp_path / "late.log", oom(6))
    assert sorted(told(program, 4)) == ["mysqld2", "mysqld3", "mysqld4", "mysqld6"]


def test_a_rotated_file_that_matches_the_glob_is_not_read_again(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    program = watch("--from", "start", tmp_path / "a.log*")
    told(program, 1)
    log.rename(tmp_path / "a.log.1")
    append(log, oom(2))
    told(program, 2)
    time.sleep(0.3)
    assert sorted(told(program, 2)) == ["mysqld1", "mysqld2"]


def test_rotated_files_that_match_the_glob_are_read_once(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, b"")
    program = watch(tmp_path / "a.log*")
    for number in range(1, 5):
        append(log, oom(number))
        told(program, number)
        for old in (3, 2, 1):
            if (tmp_path / f"a.log.{old}").exists():
                (tmp_path / f"a.log.{old}").rename(tmp_path / f"a.log.{old + 1}")
        log.rename(tmp_path / "a.log.1")
        append(log, b"")
        time.sleep(0.2)
    append(tmp_path / "a.log.own", oom(5))  # one that only looks so
    assert told(program, 5) == [f"mysqld{n}" for n in (1, 2, 3, 4, 5)]
    time.sleep(0.3)
    assert len(program.incidents) == 5
    assert program.gaps == []


def test_a_name_that_is_a_link(watch, tmp_path):
    (tmp_path / "real").mkdir()
    append(tmp_path / "real" / "x", b"")
    (tmp_path / "a.log").symlink_to(tmp_path / "real" / "x")
    program = watch(tmp_path / "a.log")
    append(tmp_path / "real" / "x", oom(1))
    assert told(program, 1) == ["mysqld1"]


def test_a_restart_goes_on_where_the_killed_one_was(watch, tmp_path):
    log, state = tmp_path / "a.log", tmp_path / "state"
    append(log, oom(1))
    first = watch("--state", state, log)
    append(log, oom(2))
    told(first, 1)
    first.kill()
    append(log, oom(3))
    log.rename(tmp_path / "a.log.1")
    append(log, oom(4))
    second = watch("--state", state, log)
    assert told(second, 3) == ["mysqld2", "mysqld3", "mysqld4"]
    assert second.gaps == []


def test_a_file_that_was_rotated_away_while_nobody_watched_is_a_gap(watch, tmp_path):
    log, state = tmp_path / "a.log", tmp_path / "state"
    append(log, QUIET)
    first = watch("--state", state, log)
    append(log, oom(1))
    told(first, 1)
    first.kill()
    log.unlink()
    append(log, oom(2))
    second = watch("--state", state, log)
    assert told(second, 2) == ["mysqld1", "mysqld2"]
    assert [gap["attributes"]["tocsin.gap.reason"] for gap in second.gaps]


def test_two_cannot_share_a_state(watch, tmp_path, rules):
    log, state = tmp_path / "a.log", tmp_path / "state"
    append(log, QUIET)
    watch("--state", state, log)
    other = Background(tmp_path / "o2", "watch", *rules, "--state", state, log, ready=False)
    assert other.process.wait(30) == 2
    assert "in use by another tocsin" in other.stderr


def test_standard_input_to_its_end(tmp_path, rules):
    program = Background(
        tmp_path / "out", "watch", *rules, "--format", "jsonl", "-", stdin=subprocess.PIPE,
        ready=False,
    )  # fmt: skip
    program.process.stdin.write(QUIET + oom(1) + oom(2)[:-1])
    program.process.stdin.close()
    assert program.process.wait(30) == 0
    assert program.bodies == ["Out of memory: killed mysqld1", "Out of memory: killed mysqld2"]
    assert program.incidents[0]["attributes"]["tocsin.source"] == "(standard input)"
