"""What people get wrong on the command line of tocsin watch and its fellows, and what they hear: a
line that says what, where and what was expected, and an exit status that is true."""

import os
import sqlite3
import subprocess

import pytest

from tests.cli_program import CLEAN_ENVIRONMENT, PROGRAM, run
from tests.watch_program import append, oom


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--idle", "nan", "x"], "argument --idle: expected seconds above 0, got 'nan'"),
        (["--idle", "-1", "x"], "argument --idle: expected seconds above 0"),
        (["--idle", "inf", "x"], "argument --idle: expected seconds above 0"),
        (["--rate", "0", "x"], "argument --rate: expected a number of at least 1, got '0'"),
        (["--keep", "-5", "x"], "argument --keep: expected a number of at least 1"),
        (["--repeat-after", "-1", "x"], "argument --repeat-after: expected seconds"),
        (["--bogus", "x"], "unrecognized arguments: --bogus"),
        ([""], "'' names no source"),
        (["unix:"], "unix:: expected unix:PATH"),
        (["--output", "/nonexistent/x", "y"], "--output /nonexistent/x: No such file"),
        (["--prometheus-file", "/nonexistent/x", "y"], "--prometheus-file /nonexistent/x: No such"),
        (["--state", "/etc/passwd", "y"], "/etc/passwd: a file, where a directory was expected"),
        (["kmsg:/nonexistent"], "/nonexistent: No such file"),
        (["kmsg:/dev/null"], "/dev/null: expected /dev/kmsg, or a file of its records"),
        (["/nonexistent.journal"], "/nonexistent.journal: journalctl:"),
    ],
)
def test_it_does_not_start_and_says_why(rules, arguments, says):
    if "journal" in arguments[0]:
        from tests import peers

        peers.program("journalctl")
    done = run("watch", *rules, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def closed(descriptor, *arguments):
    """The program with a standard stream that is closed."""
    sh = f'exec "$@" {descriptor}'
    return subprocess.run(
        ["/bin/sh", "-c", sh, "sh", *PROGRAM, *map(str, arguments)],
        env=CLEAN_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_standard_streams_that_are_closed(rules, tmp_path):
    done = closed("<&-", "watch", *rules, "-")
    assert (done.returncode, done.stderr) == (
        2,
        b"tocsin: (standard input): Bad file descriptor\n",
    )
    done = closed(">&-", "watch", *rules, "-")
    assert done.returncode == 2
    assert b"standard output is closed" in done.stderr
    # What would be printed must not get into the file that is opened next.
    state = tmp_path / "state"
    out = tmp_path / "out"
    records = tmp_path / "a.journal"
    records.write_bytes(b"")
    log = tmp_path / "log"
    append(log, oom(1))
    done = closed(f">&- <{log}", "watch", *rules, "--state", state, "--output", out, "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert out.read_bytes().count(b"\n") == 1
    with sqlite3.connect(state / "state.sqlite") as db:
        assert db.execute("SELECT count(*) FROM alarms").fetchone() == (1,)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check", "--bogus"], 3),
        (["check", "--since", "yesterday"], 3),
        (["check", "--warning", "loud", "x"], 3),
        (["check", "--since", "99999999999999d", "x"], 3),
        (["check", "--npd", "--bogus"], 2),
        (["check", "/"], 3),
        (["check", "--state", "/etc/passwd"], 3),
    ],
)
def test_a_monitor_that_asks_wrongly_hears_unknown_and_not_critical(arguments, code):
    done = run(*arguments)
    assert done.returncode == code
    assert len(done.stdout.splitlines()) == 1
    assert "/:" in done.stdout or arguments[-1] != "/"


def test_a_window_without_an_end_that_a_calendar_knows(tmp_path):
    path = tmp_path / "w.toml"
    for arguments in (
        ("--for", "99999999999d"),
        ("--from", "9999-12-31T23:00:00", "--for", "2d"),
        ("--until", "0001-01-01T00:00:00"),
    ):
        done = run("maintenance", path, *arguments, "--reason", "x")
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
    assert not path.exists()


def damage(state, how):
    path = state / "state.sqlite"
    if how == "no database":
        path.write_bytes(b"x" * 5000)
    elif how == "torn":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
    else:
        with sqlite3.connect(path) as db:
            db.execute(how)
        db.close()


@pytest.mark.parametrize(
    "how",
    [
        "no database",
        "torn",
        "DROP TABLE journal",
        "DROP TABLE streams",
        "PRAGMA user_version = 7",
        "UPDATE streams SET position = 'no JSON'",
        "UPDATE alarms SET body = '[1]'",
        "UPDATE streams SET scanner = x'00112233'",
    ],
)
def test_a_state_that_is_damaged_or_of_another_version(rules, tmp_path, how):
    log, state = tmp_path / "log", tmp_path / "state"
    append(log, oom(1))
    command = ["watch", *rules, "--state", state, "--exec", "exit 1", "-"]
    run(*command, stdin=log.read_bytes())
    assert (state / "state.sqlite").stat().st_size
    for name in ("state.sqlite-wal", "state.sqlite-shm"):
        assert not (state / name).exists()
    damage(state, how)
    done = run(*command, stdin=b"")
    assert "Traceback" not in done.stderr
    if "scanner" in how:  # that stream alone is given up
        assert "what was open there is given up" in done.stderr or done.returncode == 0
    else:
        assert done.returncode == 2
        assert f"{state}" in done.stderr
    if "version" in how:
        assert "state of version 7; this tocsin writes" in done.stderr


def test_a_name_that_no_file_system_could_have(rules, tmp_path):
    """From a shipper, as JSON: bytes that are no UTF-8, half of a character, no end."""
    text = oom(1).strip()
    for host in (b"h\xff", b"\\ud800", b"a\\u0000b", b"x" * 200000):
        line = b'{"msg":"' + text + b'","host":"' + host + b'","file":"/a/' + host + b'"}\n'
        for options in ([], ["--state", tmp_path / "state"]):
            for shipper in ("lines", "rsyslog"):
                out = tmp_path / "out"
                done = run(
                    "adapter", shipper, *rules, *options, "--output", out,
                    "--exec", f"cat >>{tmp_path}/told", stdin=line + b"{}\n" * 3,
                )  # fmt: skip
                assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "told").read_bytes().count(b"\n") >= 8


def test_a_directory_that_may_not_be_used(rules, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may everything")
    (tmp_path / "state").mkdir(mode=0o500)
    done = run("watch", *rules, "--state", tmp_path / "state", "-")
    assert done.returncode == 2
    assert f"{tmp_path}/state" in done.stderr
