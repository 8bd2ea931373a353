"""tocsin watch among people: names that change their nature, links, discs that are full."""

import contextlib
import gzip
import os
import resource
import signal
import socket
import sqlite3
import threading
import time

import pytest

import tocsin
from tests.cli_program import DISK
from tests.watch_program import append, free_port, oom, told, until
from tocsin.sinks.command import Command
from tocsin.sources.listen import SyslogTcp
from tocsin.sources.tree import Files
from tocsin.watch.alarms import of_incident
from tocsin.watch.loop import Loop
from tocsin.watch.streams import Streams


def test_a_log_that_becomes_a_directory_stops_no_other(watch, tmp_path):
    for name in ("a.log", "b.log"):
        append(tmp_path / name, b"")
    program = watch(tmp_path / "a.log", tmp_path / "b.log")
    (tmp_path / "a.log").unlink()
    (tmp_path / "a.log").mkdir()
    (tmp_path / "a.log" / "within").touch()
    until(lambda: "a directory, where a file was expected" in program.stderr)
    append(tmp_path / "b.log", oom(1))
    assert told(program, 1) == ["mysqld1"]
    (tmp_path / "a.log" / "within").unlink()
    (tmp_path / "a.log").rmdir()
    append(tmp_path / "a.log", oom(2))
    assert told(program, 2) == ["mysqld1", "mysqld2"]
    assert program.stop() == 0


def test_a_pipe_that_appears_where_nothing_was(watch, tmp_path):
    path = tmp_path / "pipe"
    program = watch(path)
    assert f"{path}: not there; waiting for it" in program.stderr
    os.mkfifo(path)
    append(path, oom(1))
    assert told(program, 1) == ["mysqld1"]
    append(path, oom(2))
    assert told(program, 2) == ["mysqld1", "mysqld2"]


def test_a_link_and_what_it_leads_to_are_one_log(watch, tmp_path):
    consoles = tmp_path / "consoles"
    consoles.mkdir()
    append(consoles / "vm17.log", b"")
    (consoles / "current").symlink_to("vm17.log")
    program = watch(consoles)
    append(consoles / "vm17.log", oom(1))
    told(program, 1)
    (consoles / "another").symlink_to("vm17.log")
    append(consoles / "vm17.log", oom(2))
    told(program, 2)
    time.sleep(0.3)
    assert len(program.incidents) == 2
    assert {w["attributes"]["log.file.path"] for w in program.incidents} == {
        str(consoles / "vm17.log")
    }


def test_logs_of_containers_that_are_rotated_behind_their_link(watch, tmp_path):
    """/var/log/containers/NAME.log leads to /var/log/pods/UID/NAME/0.log, which is renamed."""
    pods, names = tmp_path / "pods", tmp_path / "containers"
    pods.mkdir()
    names.mkdir()
    append(pods / "0.log", b"")
    (names / "web.log").symlink_to(pods / "0.log")
    arguments = (names / "*.log", "--state", tmp_path / "state")
    program = watch(*arguments)
    append(pods / "0.log", oom(1))
    told(program, 1)
    program.kill()
    # While nobody watches: more, a rotation, more.
    append(pods / "0.log", oom(2))
    (pods / "0.log").rename(pods / "0.log.20261123-120000")
    append(pods / "0.log", oom(3))
    again = watch(*arguments)
    assert told(again, 3) == ["mysqld1", "mysqld2", "mysqld3"]
    # The container is started again: its link leads to another file, at once.
    append(pods / "1.log", oom(4))
    (names / "new").symlink_to(pods / "1.log")
    (names / "new").rename(names / "web.log")
    told(again, 4)
    began = time.monotonic()
    append(pods / "1.log", oom(5))
    told(again, 5)
    assert time.monotonic() - began < 5
    assert again.gaps == []


def test_what_tocsin_writes_is_not_read(watch, tmp_path):
    consoles = tmp_path / "consoles"
    consoles.mkdir()
    append(consoles / "a.log", b"")
    program = watch(consoles, "--format", "text", "--output", consoles / "more", out="consoles/out")
    append(consoles / "a.log", oom(1))
    append(consoles / "a.log", DISK)
    until(lambda: (consoles / "more").read_bytes().count(b"\n") == 2)
    time.sleep(3)
    assert (consoles / "out").read_bytes().count(b"crit: ") == 1
    assert (consoles / "more").read_bytes().count(b"\n") == 2
    assert "it is what tocsin itself writes" in program.stderr


def limit(program, size):
    """Files that it may not write beyond `size` bytes: to a program that is a full disc."""
    soft = resource.RLIM_INFINITY if size is None else size
    resource.prlimit(program.process.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def test_a_full_disc_silences_nobody(watch, tmp_path):
    pipe, log, state = tmp_path / "pipe", tmp_path / "a.log", tmp_path / "state"
    os.mkfifo(pipe)
    append(log, b"")
    program = watch(pipe, log, "--state", state)
    append(log, oom(1))
    told(program, 1)
    limit(program, 8192)
    append(log, oom(2))
    told(program, 2)
    append(pipe, b"x" * 9000 + b"\n" + oom(3))
    told(program, 3)
    append(pipe, oom(4))
    told(program, 4)
    assert program.stderr.count("the state cannot be kept: ") == 1
    assert program.stderr.count(f"what {pipe} says cannot be kept: ") == 1
    limit(program, None)
    until(lambda: "the state is kept again" in program.stderr)
    append(log, oom(5))
    told(program, 5)
    time.sleep(0.3)
    program.kill()
    again = watch(pipe, log, "--state", state)
    append(pipe, oom(6))
    append(log, oom(7))
    assert sorted(told(again, 7)) == [f"mysqld{n}" for n in range(1, 8)]
    time.sleep(0.3)
    assert len(again.incidents) == 7
    with sqlite3.connect(state / "state.sqlite") as db:
        assert db.execute("SELECT count(DISTINCT uid) FROM alarms").fetchone() == (7,)
        assert db.execute("SELECT count(*) FROM waiting").fetchone() == (0,)


def test_a_disc_that_is_full_at_the_end_keeps_nothing_and_says_so(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, b"")
    program = watch(log, "--state", tmp_path / "state", "--exec", "exit 1")
    limit(program, 8192)
    append(log, oom(1))
    told(program, 1)
    until(lambda: "exec: exit status 1; trying again" in program.stderr)
    program.stop()
    assert "1 alarms could not be delivered; lost" in program.stderr


def test_a_pipe_with_many_writers_loses_no_line(watch, tmp_path):
    """Each opens it, writes a line and is gone: it ends, and begins again, hundreds of times."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program = watch(pipe)

    def write(start):
        for number in range(start, start + 100):
            append(pipe, oom(number))

    writers = [threading.Thread(target=write, args=(100 * n,)) for n in range(1, 4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(told(program, 300)) == [f"mysqld{n}" for n in range(100, 400)]
    # One that was made anew under the name is found, though the old one says nothing.
    pipe.unlink()
    os.mkfifo(pipe)
    append(pipe, oom(1))
    told(program, 301)


def test_a_command_that_leaves_something_running_has_done_its_work(watch, tmp_path):
    log, got = tmp_path / "a.log", tmp_path / "got"
    append(log, b"")
    program = watch(log, "--exec", f"sleep 30 & echo $TOCSIN_TITLE >>{got}")
    append(log, oom(1))
    append(log, DISK)
    until(lambda: got.exists() and got.read_bytes().count(b"\n") == 2, patience=5)
    assert program.stderr == ""


def test_a_command_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    alarm = stream_alarm()
    started = tmp_path / "started"
    hanging = Command(f"sleep 71 & echo $! >{started}; wait; true", timeout=0.5)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=r"no end after 0\.5 seconds; killed"):
        hanging.send([alarm])
    assert time.monotonic() - began < 5
    number = int(started.read_text())
    until(lambda: not os.path.exists(f"/proc/{number}") or is_zombie(number))
    # Input that nobody reads, words without end, a signal.
    Command("exec 2>&-; exit 0").send([alarm])
    with pytest.raises(RuntimeError, match="killed by signal 9"):
        Command("kill -9 $$").send([alarm])
    with pytest.raises(RuntimeError, match=r"exit status 3: .* the end$"):
        Command("yes x | head -c 300000 >&2; echo the end >&2; exit 3").send([alarm])


def is_zombie(number):
    with open(f"/proc/{number}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def stream_alarm():
    [incident] = tocsin.scan(b"Kernel panic - not syncing: x\n")[:1]
    return of_incident(incident, "src", None, origin="src", observed=1.0, version="1")


def test_a_hangup_is_an_orderly_end(watch, tmp_path):
    log, got = tmp_path / "a.log", tmp_path / "got"
    append(log, b"")
    # Under nohup, as this run may be, it is ignored, and then tocsin leaves it so.
    enter = ["env", "--default-signal=HUP"]
    program = watch(log, "--idle", "60", "--output", got, enter=enter)
    append(log, oom(1)[:-1])  # a line without its end: open, until somebody asks
    time.sleep(0.3)
    program.process.send_signal(signal.SIGHUP)
    assert program.process.wait(20) == 0
    assert program.bodies == ["Out of memory: killed mysqld1"]


def test_what_lies_in_a_pipe_at_the_end_is_read(watch, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    udp, tcp = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    program = watch(pipe, f"syslog-udp:127.0.0.1:{udp}", f"syslog-tcp:127.0.0.1:{tcp}")
    with (
        socket.create_connection(("127.0.0.1", tcp)) as stream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        stream.sendall(b"<3>" + oom(9))
        told(program, 1)
        os.kill(program.process.pid, signal.SIGSTOP)
        append(pipe, oom(1))
        sender.sendto(b"<3>" + oom(2), ("127.0.0.1", udp))
        stream.sendall(b"<3>" + oom(3) + b"<3>" + oom(4)[:-1])  # the last is no whole frame
        program.process.send_signal(signal.SIGTERM)
        os.kill(program.process.pid, signal.SIGCONT)
        assert program.process.wait(20) == 0
    assert sorted(told(program, 5)) == ["mysqld1", "mysqld2", "mysqld3", "mysqld4", "mysqld9"]


def test_a_syslog_server_that_is_restarted_misses_nothing(watch, tmp_path):
    log, port = tmp_path / "a.log", free_port(socket.SOCK_STREAM)
    append(log, b"")
    program = watch(log, "--syslog", f"tcp:127.0.0.1:{port}")
    for number in (1, 2, 3):
        with socket.create_server(("127.0.0.1", port)) as server:
            append(log, oom(number))
            connection, _ = server.accept()
            connection.settimeout(20)
            data = connection.recv(4096)
            connection.close()  # in good order: the next message there would just vanish
        assert b"mysqld%d" % number in data
        time.sleep(0.2)
    assert program.stop() == 0


def test_connections_without_number(watch, tmp_path):
    """More than it has descriptors for, all silent; then one more machine has something to say."""
    port = free_port(socket.SOCK_STREAM)
    enter = ("/bin/sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    program = watch(f"syslog-tcp:127.0.0.1:{port}", enter=enter)
    with contextlib.ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(80)
        ]
        until(lambda: "no more connections now" in program.stderr)
        silent[0].sendall(b"<3>" + oom(1))
        told(program, 1)
        time.sleep(2.5)
        assert program.stderr.count("no more connections now") < 6
        for connection in silent[1:40]:
            connection.close()
        with socket.create_connection(("127.0.0.1", port)) as late:
            late.sendall(b"<3>" + oom(2))
            told(program, 2)


def test_when_there_are_too_many_the_one_that_was_silent_longest_makes_room():
    loop = Loop()
    told = []
    streams = Streams(loop, tocsin.load_rules(), told.append, idle=60, version="1")
    source = SyslogTcp(("127.0.0.1", 0))
    source.start(loop, streams)
    with contextlib.ExitStack() as stack:
        stack.callback(source.close)
        peers = [
            stack.enter_context(socket.create_connection(("127.0.0.1", source.port)))
            for _ in range(3)
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tocsin.sources.listen.CONNECTIONS", 2)
            for _ in range(3):
                loop.round()
        peers[2].sendall(b"<0>Kernel panic - not syncing: x\n")
        peers[0].settimeout(5)
        assert peers[0].recv(1) == b""  # it was closed
        loop.round()
        loop.round()
    assert streams.bytes > 0
    loop.close()


def test_logs_that_are_gone_are_forgotten(tmp_path):
    """Of machines and containers that are no more; not those that were named themselves."""
    now = [1000.0]
    loop = Loop(clock=lambda: now[0])
    streams = Streams(loop, tocsin.load_rules(), print, idle=60, version="1")
    consoles = tmp_path / "consoles"
    consoles.mkdir()
    names = [consoles / "a.log", consoles / "b.log", tmp_path / "named.log"]
    for name in names:
        append(name, b"x\n")
    source = Files([str(consoles), str(names[2])], print, from_end=True, notify=False)
    source.start(loop, streams)
    assert len(streams) == 3
    names[0].unlink()
    names[2].unlink()
    for _ in range(30):
        now[0] += 300
        loop.turn()
    assert sorted(stream.name for stream in streams) == [str(names[1]), str(names[2])]
    assert [stream.name for stream in streams.dirty if stream.is_closed] == [str(names[0])]
    append(names[0], b"x\n")
    for _ in range(30):
        now[0] += 300
        loop.turn()
    assert len(streams) == 3
    source.close()
    loop.close()


def test_what_is_forgotten_is_forgotten_in_the_state(watch, tmp_path):
    log = tmp_path / "a.log"
    append(log, oom(1))
    with open(log, "rb") as given:
        program = watch("-", "--state", tmp_path / "state", stdin=given, ready=False)
        assert program.process.wait(20) == 0
    assert told(program, 1) == ["mysqld1"]
    with sqlite3.connect(tmp_path / "state" / "state.sqlite") as db:
        assert db.execute("SELECT count(*) FROM streams").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM alarms").fetchone() == (1,)


def test_what_is_packed_is_no_console(watch, tmp_path):
    """What logrotate packs, and files of the journal, lie in the same directory."""
    consoles = tmp_path / "consoles"
    consoles.mkdir()
    append(consoles / "early.gz", gzip.compress(b"x\n"))
    program = watch(consoles)
    # A member that holds the bytes as they are: they could be read if somebody looked.
    stored = gzip.compress(oom(1), compresslevel=0)
    assert oom(1) in stored
    append(consoles / "a.log.2.gz", stored)
    append(consoles / "early.gz", stored)
    append(consoles / "system.journal", b"LPKSHHRH" + oom(2))
    append(consoles / "a.log", oom(3))
    told(program, 1)
    time.sleep(0.5)
    assert told(program, 1) == ["mysqld3"]
