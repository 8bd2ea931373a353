"""tocsin watch on everything that is no file: sockets, devices, the journal."""

import os
import pty
import socket
import subprocess
import time

from tests import peers
from tests.cli_program import QUIET
from tests.watch_program import Background, append, disk, free_port, oom, told, until


def test_a_unix_socket_that_comes_late_and_comes_back(watch, tmp_path):
    path = tmp_path / "serial"
    program = watch(f"unix:{path}")
    for number in (1, 2):
        with socket.socket(socket.AF_UNIX) as guest:
            guest.bind(str(path))
            guest.listen()
            connection, _ = guest.accept()
            connection.sendall(oom(number))
            told(program, number)
            connection.close()
        path.unlink()
    assert "waiting for it" in program.stderr
    assert program.incidents[0]["attributes"]["tocsin.source"] == f"unix:{path}"


def test_a_pty(watch):
    guest, host = pty.openpty()
    program = watch(os.ttyname(host))
    os.write(guest, oom(1).replace(b"\n", b"\r\r\n") + b"\x03\x04")
    assert told(program, 1) == ["mysqld1"]
    os.write(guest, oom(2))
    assert told(program, 2) == ["mysqld1", "mysqld2"]
    assert program.process.poll() is None  # ^C is a byte of a console and no signal
    os.close(guest)
    os.close(host)


def test_a_named_pipe_with_one_writer_after_another(watch, tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    program = watch(path)
    for number in (1, 2):
        append(path, oom(number))
        told(program, number)
    assert told(program, 2) == ["mysqld1", "mysqld2"]


def test_kmsg_gaps_and_restart(watch, tmp_path):
    records = tmp_path / "records"

    def record(number, text):
        append(records, b"3,%d,%d,-;%s\n SUBSYSTEM=x\n" % (number, number * 1000, text))

    record(1, b"quiet")
    program = watch(f"kmsg:{records}", "--state", tmp_path / "state")
    record(2, b"Out of memory: Killed process 1 (a)")
    told(program, 1)
    record(6, b"Out of memory: Killed process 2 (b)")
    assert told(program, 2) == ["a", "b"]
    assert [gap["attributes"]["tocsin.gap.records"] for gap in program.gaps] == [3]
    program.kill()
    record(7, b"Out of memory: Killed process 3 (c)")
    again = watch(f"kmsg:{records}", "--state", tmp_path / "state")
    assert told(again, 3) == ["a", "b", "c"]
    time.sleep(0.2)
    assert len(again.wires) == 4


def test_netconsole_from_many_senders(watch):
    port = free_port(socket.SOCK_DGRAM)
    program = watch(f"netconsole:127.0.0.1:{port}")
    for number in range(1, 20):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((f"127.0.0.{number}", 0))
            text = b"Out of memory: Killed process 1 (v%d)" % number
            if number % 2:
                sender.sendto(b"4,5,5000,-;" + text + b"\n", ("127.0.0.1", port))
            else:
                sender.sendto(oom(number)[:20], ("127.0.0.1", port))
                sender.sendto(oom(number)[20:], ("127.0.0.1", port))
    told(program, 19)
    hosts = {wire["resource"]["host.name"] for wire in program.incidents}
    assert hosts == {f"127.0.0.{number}" for number in range(1, 20)}


def test_a_hole_in_netconsole_is_told(watch):
    port = free_port(socket.SOCK_DGRAM)
    program = watch(f"netconsole:127.0.0.1:{port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in (1, 2, 5, 6):
            sender.sendto(b"4,%d,%d000,-;x\n" % (number, number), ("127.0.0.1", port))
        until(lambda: program.gaps)
    assert program.gaps[0]["attributes"]["tocsin.gap.records"] == 2


def test_syslog_over_udp_and_tcp(watch):
    udp, tcp = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
    program = watch(f"syslog-udp:127.0.0.1:{udp}", f"syslog-tcp:127.0.0.1:{tcp}")
    kernel = b"<3>Nov 23 01:02:03 vm%d kernel: [    1.000000] Out of memory: Killed process 1 (v%d)"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(kernel % (1, 1), ("127.0.0.1", udp))
    with socket.create_connection(("127.0.0.1", tcp)) as sender:
        sender.sendall(kernel % (2, 2) + b"\n")
        message = kernel % (3, 3)
        sender.sendall(b"%d %s" % (len(message), message))
    assert sorted(told(program, 3)) == ["v1", "v2", "v3"]
    hosts = {wire["resource"]["host.name"] for wire in program.incidents}
    assert hosts == {"vm1", "vm2", "vm3"}


def test_an_address_that_is_none(tmp_path, rules):
    program = Background(tmp_path / "out", "watch", *rules, "netconsole:nowhere", ready=False)
    assert program.process.wait(30) == 2
    assert "'nowhere' is not HOST:PORT" in program.stderr


def test_journal_files_of_the_real_systemd(watch, tmp_path):
    remote = peers.program("systemd-journal-remote")
    peers.program("journalctl")
    export = b""
    for number, message in enumerate((b"quiet", oom(1)[:-1], disk("sda")[:-1] + b" \xff\x1b[0m")):
        binary = b"MESSAGE\n" + len(message).to_bytes(8, "little") + message + b"\n"
        export += (
            b"__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n" % (17 * 10**14 + number, number)
            + b"_BOOT_ID=0123456789abcdef0123456789abcdef\n_TRANSPORT=kernel\n"
            + b"_SOURCE_MONOTONIC_TIMESTAMP=5000000\n_HOSTNAME=vm17\n" + binary + b"\n"
        )
    journal = tmp_path / "a.journal"
    subprocess.run([remote, "-o", journal, "-"], input=export, check=True, capture_output=True)
    program = watch(journal, "--state", tmp_path / "state")
    assert program.process.wait(30) == 0
    assert program.bodies == ["Out of memory: killed mysqld1", "I/O error on sda"]
    assert program.incidents[0]["resource"]["host.name"] == "vm17"
    assert "\\xff" in program.incidents[1]["attributes"]["log.record.original"]
    again = watch(journal, "--state", tmp_path / "state")
    assert again.process.wait(30) == 0
    assert len(again.incidents) == 2  # the cursor: nothing is told again


def test_a_pipe_that_is_killed_with_a_report_open_tells_it_after_the_restart(watch, tmp_path):
    read, write = os.pipe()
    first = watch("-", "--state", tmp_path / "state", "--idle", "600", stdin=read)
    os.write(write, QUIET + oom(1)[:-1])
    time.sleep(0.3)
    first.kill()
    os.write(write, b"\n" + oom(2))
    second = watch("-", "--state", tmp_path / "state", "--idle", "600", stdin=read)
    assert told(second, 2) == ["mysqld1", "mysqld2"]
    os.close(write)
    assert second.process.wait(30) == 0
    assert len(second.incidents) == 2


def test_nobody_reads_the_output_any_more(tmp_path, rules):
    log = tmp_path / "a.log"
    append(log, QUIET)
    read, write = os.pipe()
    program = subprocess.Popen(
        [*Background.command, "watch", *map(str, rules), "--from", "start", log], stdout=write
    )
    os.close(write)
    os.close(read)
    append(log, oom(1))
    assert program.wait(30) == 128 + 13
