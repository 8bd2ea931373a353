"""tocsin scan, as a user meets it: a program with arguments, streams and an exit code."""

import bz2
import gzip
import json
import lzma
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.cli_program import (
    CLEAN_ENVIRONMENT,
    CLOCK,
    DISK,
    LOGIN,
    OOM,
    PROGRAM,
    QUIET,
    RULES,
    run,
)

ALL = QUIET + OOM + QUIET + DISK + CLOCK + QUIET


@pytest.fixture(name="rules")
def _rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "t.toml"
    path.write_text(RULES)
    return ["--no-builtin", "--rules", path]


@pytest.fixture(name="log")
def _log(tmp_path):
    def write(content, name="vm17.log"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


def titles(done):
    return re.findall(r"^\w+: (.*?)  \[", done.stdout, re.M)


def wires(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_quiet_log(rules, log):
    done = run("scan", *rules, log(QUIET))
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"1 file; {len(QUIET)} bytes; no incidents\n",
        "",
    )


def test_incidents_of_a_log(rules, log):
    path = log(ALL)
    done = run("scan", *rules, path)
    assert done.returncode == 1
    assert done.stderr == ""
    assert titles(done) == [
        "Out of memory: killed mysqld", "I/O error on sdb", "The clock went back",
    ]  # fmt: skip
    assert f"  where       {path}:3, bytes {len(QUIET)}-" in done.stdout
    assert "  fields      device=sdb sector=2048 disk=sdb\n" in done.stdout
    assert "  means       The disc could not do what it was asked.\n" in done.stdout
    assert "  do          - `smartctl -a /dev/" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith(
        f"1 file; {len(ALL)} bytes; 3 incidents (1 crit, 1 err, 1 warning)"
    )


def test_jsonl(rules, log):
    path = log(ALL)
    done = run("scan", *rules, "--format", "jsonl", path)
    assert done.returncode == 1
    for wire, line, number in zip(wires(done), (OOM, DISK, CLOCK), (3, 6, 7), strict=True):
        attributes = wire["attributes"]
        start, end = attributes["tocsin.offset.start"], attributes["tocsin.offset.end"]
        assert ALL[start:end].strip() == line.strip()
        assert attributes["log.record.original"].encode() == line.strip()
        assert attributes["log.file.path"] == str(path)
        assert attributes["tocsin.line.start"] == attributes["tocsin.line.end"] == number


def test_a_replay_has_the_same_ids(rules, log, tmp_path):
    path = log(ALL)
    one = run("scan", *rules, "--format", "jsonl", path)
    two = run("scan", *rules, "--format", "jsonl", os.path.relpath(path))
    ids = [[wire["attributes"]["log.record.uid"] for wire in wires(d)] for d in (one, two)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 3


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("how", ["file", "pipe", "redirected"])
def test_every_way_in_says_the_same(rules, log, pack, how):
    plain = run("scan", *rules, "--format", "jsonl", log(ALL))
    path = log(pack(ALL), "packed")
    if how == "file":
        done = run("scan", *rules, "--format", "jsonl", path)
    elif how == "pipe":
        done = run("scan", *rules, "--format", "jsonl", "-", stdin=path.read_bytes())
    else:
        with path.open("rb") as file:
            out = subprocess.check_output(
                f"{sys.executable} -m tocsin.cli.main scan --no-builtin --rules {rules[2]}"
                " --format jsonl - || [ $? = 1 ]",
                shell=True,
                stdin=file,
            )
        done = subprocess.CompletedProcess([], 1, out.decode(), "")

    def comparable(wire):
        for key in ("log.file.path", "log.record.uid"):
            wire["attributes"].pop(key, None)
        return {**wire, "observed_timestamp": None}

    assert list(map(comparable, wires(done))) == list(map(comparable, wires(plain)))
    assert done.returncode == plain.returncode == 1


def test_many_files_and_directories(rules, log, tmp_path):
    log(OOM, "d/b.log")
    log(DISK, "d/a/c.log")
    log(QUIET + LOGIN, "d/z.log")
    done = run("scan", *rules, log(CLOCK, "first"), tmp_path / "d")
    assert titles(done) == [
        "The clock went back", "I/O error on sdb", "Out of memory: killed mysqld",
    ]  # fmt: skip
    assert done.stdout.splitlines()[-1].startswith("4 files; ")


def test_logs_do_not_run_into_each_other(rules, log):
    half = len(OOM) // 2
    done = run("scan", *rules, log(OOM[:half], "a"), log(OOM[half:], "b"))
    assert titles(done) == []


def test_standard_input_is_named(rules):
    done = run("scan", *rules, "-", stdin=ALL)
    assert "  where       (standard input):3, " in done.stdout


def test_standard_input_can_be_given_a_name(rules):
    one, two = (
        wires(run("scan", *rules, "--format", "jsonl", "--source", name, "-", stdin=OOM))
        for name in ("vm17", "vm18")
    )
    assert one[0]["attributes"]["log.record.uid"] != two[0]["attributes"]["log.record.uid"]
    assert "  where       vm17:1, " in run("scan", *rules, "--source=vm17", "-", stdin=OOM).stdout


@pytest.mark.parametrize(
    ("options", "kinds", "code"),
    [
        ([], ["memory.oom", "storage.block", "virt.clock"], 1),
        (["--min-severity", "err"], ["memory.oom", "storage.block"], 1),
        (["--min-severity", "crit"], ["memory.oom"], 1),
        (["--min-severity", "alert"], [], 0),
        (["--kind", "storage"], ["storage.block"], 1),
        (["--kind", "*.clock"], ["virt.clock"], 0),
        (["--kind", "virt", "--fail-on", "warning"], ["virt.clock"], 1),
        (["--kind", "mem", "--kind", "v*"], ["memory.oom", "virt.clock"], 1),
        (["--kind", "memory.oo[mn]"], ["memory.oom"], 1),
        (["--fail-on", "alert"], ["memory.oom", "storage.block", "virt.clock"], 0),
        (["--fail-on", "CRIT"], ["memory.oom", "storage.block", "virt.clock"], 1),
        (["--fail-on", "never"], ["memory.oom", "storage.block", "virt.clock"], 0),
        (["--kind", "storage", "--fail-on", "crit"], ["storage.block"], 0),
    ],
)
def test_what_is_shown_and_what_fails(rules, log, options, kinds, code):
    done = run("scan", *rules, "--format", "jsonl", *options, log(ALL))
    assert [wire["attributes"]["tocsin.kind"] for wire in wires(done)] == kinds
    assert done.returncode == code
    assert done.stderr == ""


def test_quiet(rules, log):
    done = run("scan", *rules, "-q", log(ALL), "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "tocsin: nosuch: No such file or directory\n"
    done = run("scan", *rules, "-q", log(ALL))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(
    ("lines", "shown"), [("all", True), ("none", False), ("0", False), ("1", True), ("50", True)]
)
def test_lines(rules, log, lines, shown):
    done = run("scan", *rules, "--lines", lines, log(OOM))
    assert (OOM.decode().strip() in done.stdout) is shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["scan"], "the following arguments are required: FILE"),
        (["scan", "--min-severity", "bad", "x"], "'bad' is no severity; one of emerg, alert"),
        (["scan", "--fail-on", "sometimes", "x"], "'sometimes' is no severity"),
        (["scan", "--lines", "-1", "x"], "--lines"),
        (["scan", "--lines", "few", "x"], "'few' is not a number, all or none"),
        (["scan", "--color", "red", "x"], "invalid choice: 'red'"),
        (["scna"], "invalid choice: 'scna'"),
        ([], "the following arguments are required: COMMAND"),
        (["scan", "--no-builtin", "x"], "--no-builtin leaves no rules"),
    ],
)
def test_usage_errors(arguments, complaint):
    done = run(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_kind_that_no_rule_has_is_an_error(rules, log):
    done = run("scan", *rules, "--kind", "memroy", "--kind", "memory.oom", log(OOM))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "tocsin: no rule has a kind like 'memroy'; did you mean memory.oom?\n"


def test_rules_that_cannot_be_used(log, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(RULES.replace("severity", "sevrity", 1))
    for path, complaint in ((bad, "sevrity"), (tmp_path / "none.toml", "none.toml")):
        done = run("scan", "--rules", path, log(OOM))
        assert done.returncode == 2
        assert done.stdout == ""
        assert complaint in done.stderr
        assert len(done.stderr.splitlines()) == 1


def broken(tmp_path):
    """Every way an argument may be no good, and what is said of it."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.gz").write_bytes(gzip.compress(OOM * 1000)[:-30])
    (tmp_path / "liar.gz").write_bytes(gzip.compress(OOM)[:10] + b"no deflate here at all")
    (tmp_path / "x.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    yield tmp_path / "nosuch.log", "No such file or directory"
    yield tmp_path / "empty", "no logs in this directory"
    yield tmp_path / "liar.gz", "broken gzip data: Error -3 while decompressing data"
    yield tmp_path / "x.zip", "a zip archive cannot be read; unpack it first"
    yield tmp_path / "log" / "x", "Not a directory"
    if os.geteuid():
        (tmp_path / "locked").write_bytes(OOM)
        (tmp_path / "locked").chmod(0)
        yield tmp_path / "locked", "Permission denied"


def test_what_cannot_be_read_is_one_line_and_stops_no_other(rules, tmp_path, log):
    log(DISK, "log")
    for path, complaint in broken(tmp_path):
        done = run("scan", *rules, path, log(DISK))
        assert done.returncode == 2
        assert titles(done) == ["I/O error on sdb"]
        assert done.stderr.startswith(f"tocsin: {path}: {complaint}")
        assert len(done.stderr.splitlines()) == 1
        assert "1 not read to the end" in done.stdout


def test_the_head_of_a_cut_archive_is_scanned(rules, log):
    packed = gzip.compress(DISK + random.Random(2).randbytes(500_000))
    path = log(packed[:-100_000], "cut.gz")
    done = run("scan", *rules, path)
    assert done.returncode == 2
    assert titles(done) == ["I/O error on sdb"]
    assert done.stderr == f"tocsin: {path}: broken gzip data: it ends too early\n"


def test_a_closed_standard_input_is_said(rules):
    done = subprocess.run(
        f"{sys.executable} -m tocsin.cli.main scan --no-builtin --rules {rules[2]} - <&-",
        shell=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == b"tocsin: -: Bad file descriptor\n"


EVIL = b"\x1b]0;owned\x07\x1b[2J\x9b31m\xc2\x9b31m\x00\x7f\xff\xe2\x80\xae"


@pytest.mark.parametrize("form", ["text", "jsonl"])
def test_no_byte_of_a_log_steers_the_terminal(rules, log, form):
    line = b"[    3.000000] Out of memory: Killed process 7 (my" + EVIL + b"sqld) " + EVIL + b"\n"
    path = log(line, "odd\x1b[31mname\udcff")
    done = run("scan", *rules, "--format", form, path, b"/nosuch\x1b[31m".decode())
    assert done.returncode == 2
    assert "sqld" in done.stdout
    assert all(c.isprintable() or c in "\n\t" for c in done.stdout + done.stderr)
    assert done.stderr == "tocsin: /nosuch\\x1b[31m: No such file or directory\n"


COLOUR = "\x1b[1;31m"


@pytest.mark.parametrize(
    ("options", "environment", "coloured"),
    [
        ([], {}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "0"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        (["--color=always"], {"NO_COLOR": "1"}, True),
        (["--color=never"], {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_in_a_pipe(rules, log, options, environment, coloured):
    done = run("scan", *rules, *options, log(OOM), **environment)
    assert (COLOUR in done.stdout) is coloured


@pytest.mark.parametrize(
    ("options", "environment", "coloured"),
    [
        ([], {"TERM": "xterm"}, True),
        ([], {"TERM": "dumb"}, False),
        ([], {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (["--color=never"], {"TERM": "xterm"}, False),
        (["--format=jsonl"], {"TERM": "xterm"}, False),
    ],
)
def test_colours_on_a_terminal(rules, log, options, environment, coloured):
    leader, follower = pty.openpty()
    command = [*PROGRAM, "scan", *map(str, [*rules, *options, log(OOM)])]
    with subprocess.Popen(
        command, stdout=follower, env={**CLEAN_ENVIRONMENT, **environment}
    ) as program:
        os.close(follower)
        seen = b""
        while select.select([leader], [], [], 60)[0]:
            try:
                piece = os.read(leader, 4096)
            except OSError:  # EIO: the program has closed its side
                break
            seen += piece
    os.close(leader)
    assert program.returncode == 1
    assert b"mysqld" in seen
    assert (COLOUR.encode() in seen) is coloured


def start(*arguments, **streams):
    return subprocess.Popen(
        # A shell's background job, which this run may be, has it ignored.
        ["env", "--default-signal=INT", *PROGRAM, *map(str, arguments)],
        env=CLEAN_ENVIRONMENT,
        stderr=subprocess.PIPE,
        **streams,
    )


def test_a_reader_that_leaves_is_no_error(rules, log):
    many = b"".join(
        b"[%5d.000000] Out of memory: Killed process 1 (p%d)\n" % (20 * n, n) for n in range(5000)
    )
    with start("scan", *rules, log(many), stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == 128 + signal.SIGPIPE


def test_a_full_disc_is_said(rules, log):
    with open("/dev/full", "wb") as full, start("scan", *rules, log(OOM), stdout=full) as program:
        assert program.stderr.read() == b"tocsin: cannot write: No space left on device\n"
    assert program.returncode == 2


def feed_until(program, wanted):
    """Log lines into a running program, a second of the log's time apart, until it prints."""
    for second in range(13, 2000):
        program.stdin.write(b"[%5d.000000] usb 1-1: alive %s\n" % (second, b"." * 999))
        program.stdin.flush()
        while select.select([program.stdout], [], [], 0.01)[0]:
            if wanted in program.stdout.readline():
                return
    raise AssertionError(f"{wanted} was not printed while the log went on")


def test_incidents_of_a_live_log_come_while_it_lives(rules):
    with start("scan", *rules, "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdin.write(QUIET + OOM)
        feed_until(program, b"killed mysqld")
        program.stdin.close()
        program.wait(60)
    assert program.returncode == 1


def test_control_c(rules):
    with start("scan", *rules, "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdin.write(QUIET + OOM)
        feed_until(program, b"killed mysqld")
        time.sleep(0.2)
        program.send_signal(signal.SIGINT)
        assert program.wait(60) == 130
        assert program.stderr.read() == b""


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_a_terminal_of_another_encoding_is_no_error(rules, log, locale):
    line = "[    3.000000] Out of memory: Killed process 7 (kärnan) ☃\n".encode()
    done = run("scan", *rules, log(line), **locale)
    assert done.returncode == 1
    assert "\\u2603" in done.stdout


def test_ten_megabytes_of_noise(rules, log):
    done = run("scan", *rules, log(random.Random(4).randbytes(10 << 20)))
    assert done.stderr == ""
    assert done.stdout == "1 file; 10.0 MiB; no incidents\n"


def test_nuls(rules, log):
    done = run("scan", *rules, log(bytes(100_000) + b"\n" + OOM + bytes(100_000)))
    assert titles(done) == ["Out of memory: killed mysqld"]
    assert "/vm17.log:2, " in done.stdout


# Runs the program and says how much memory it ever held, and how much Python alone does.
WEIGH = """
import re, sys
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])
before = peak()
from tocsin.cli.main import main
code = main(sys.argv[1:])
print(peak() - before, file=sys.stderr)
sys.exit(code)
"""
LIMIT_KB = 64 << 10


def weigh(*arguments):
    command = [sys.executable, "-c", WEIGH, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    *complaints, grown = done.stderr.splitlines()
    assert complaints == []
    return done, int(grown)


def test_memory_of_one_line_of_a_hundred_megabytes(rules, log):
    path = log(QUIET)
    with path.open("ab") as file:
        for _ in range(100):
            file.write(b"Out of memory: " + b"x" * ((1 << 20) - 15))
        file.write(b"\n" + DISK)
    done, grown = weigh("scan", *rules, path)
    assert titles(done) == ["I/O error on sdb"]
    assert "/vm17.log:4, " in done.stdout
    assert grown < LIMIT_KB


@pytest.mark.slow
@pytest.mark.parametrize("how", ["plain", "packed"])
def test_memory_of_a_big_log(rules, tmp_path, how):
    block = b"".join(
        b"[%6d.%06d] usb 1-1: new high-speed USB device number %d\n" % (n, n, n % 99)
        for n in range(20_000)
    )
    size = (1 << 30 if how == "plain" else 1 << 28) // len(block)
    path = tmp_path / "big"
    with path.open("wb") if how == "plain" else gzip.open(path, "wb", 1) as file:
        for _ in range(size):
            file.write(block)
        file.write(DISK)
    done, grown = weigh("scan", *rules, path)
    path.unlink()
    assert titles(done) == ["I/O error on sdb"]
    assert f"/big:{size * 20_000 + 1:d}, " in done.stdout
    assert grown < LIMIT_KB
