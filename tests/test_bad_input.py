"""Input that a protocol does not allow: answered as it asks, counted, and nothing stops for it."""

import json
import os
import re
import socket
import subprocess

import pytest

from tests.cli_program import CLEAN_ENVIRONMENT, PROGRAM
from tests.watch_program import append, disk, free_port, oom, told, wires
from tocsin.sources import export, netconsole
from tocsin.sources.shipped import LONGEST

# What a shipper may write, and how many times that counts as malformed.
LINES = {
    "bytes that are no UTF-8, raw in the JSON": (b'{"msg":"bad \xff\xfe bytes"}', 0),
    "half of a surrogate pair": (b'{"msg":"\\ud800"}', 0),
    "a raw NUL and a raw escape": (b'{"msg":"\x00\x1b[0m"}', 0),
    "an empty message": (b'{"msg":""}', 0),
    "broken JSON": (b'{"msg": broken', 1),
    "JSON that is cut": (b'{"msg":"half', 1),
    "no JSON": (b"plain \xff text", 1),
    "an empty line": (b"", 1),
    "no object": (b'["msg"]', 1),
    "an object without a message": (b'{"host":"vm17"}', 1),
    "a message that is no text": (b'{"msg":{"a":[1]}}', 1),
    "a number that is too long": (b'{"msg":' + b"9" * 10_000 + b"}", 1),
    "nested too deep": (b'{"msg":' + b"[" * 100_000, 1),
    "nested too deep, and whole": (b'{"attributes":' * 5000 + b"{}" + b"}" * 5000, 1),
    "base64 that is none": (b'{"msg64":"!!!!"}', 1),
    "a number of a line that is none": (b'{"msg":"x","seq":"\xd9\xa3"}', 0),
    "an over-long line": (b'{"msg":"' + b"x" * (2 * LONGEST) + b'"}', 1),
    "an over-long line that is no JSON": (b"\xff" * (LONGEST + 100), 1),
    "an over-long object, by a little": (b'{"msg":"' + b"x" * LONGEST + b'"}', 1),
}
MALFORMED = sum(count for _, count in LINES.values())


def metric(path, name):
    text = path.read_text()
    return {label: int(n) for label, n in re.findall(rf"^{name}(\S*) (\d+)$", text, re.M)}


@pytest.mark.parametrize("state", [True, False], ids=["state", "no state"])
@pytest.mark.parametrize(
    ("shipper", "ready", "answer"),
    [
        (["rsyslog"], b"OK\n", rb"OK\n"),
        (["rsyslog", "--mmexternal"], b"", rb"\{.*\}\n"),
        (["syslog-ng"], b"", b""),
        (["lines"], b"", b""),
    ],
    ids=["omprog", "mmexternal", "syslog-ng", "lines"],
)
def test_an_adapter_answers_each_line_once_and_counts(
    shipper, ready, answer, state, rules, tmp_path
):
    arguments = [*rules, "--output", tmp_path / "out", "--prometheus-file", tmp_path / "counts"]
    if state:
        arguments += ["--state", tmp_path / "state"]
    process = subprocess.Popen(
        [*PROGRAM, "adapter", *shipper, *map(str, arguments)], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip
    if ready:
        assert process.stdout.readline() == ready
    last = json.dumps({"msg": oom(1).decode()[:-1], "file": "/c/vm17.log"}).encode()
    for line in (*(line for line, _ in LINES.values()), last):
        process.stdin.write(line + b"\n")
        process.stdin.flush()
        if answer:
            assert re.fullmatch(answer, process.stdout.readline()), line[:100]
    # Over its end, an over-long line is one too.
    process.stdin.write(b"\xff" * (2 * LONGEST))
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    # Not one answer too many; the filter prints incidents, each a line of JSON.
    if shipper == ["lines"]:
        assert all(json.loads(line) for line in out.splitlines())
    else:
        assert re.fullmatch(answer, out)
    # With a state directory the report stays open over the end; else the end tells it.
    if not state:
        assert [wire["body"] for wire in wires(tmp_path / "out")] == [
            "Out of memory: killed mysqld1"
        ]
    counted = metric(tmp_path / "counts", "tocsin_malformed_total")
    assert counted == {f'{{input="{shipper[0]}"}}': MALFORMED + 1}


# -- datagrams and connections -----------------------------------------------------------------


def malformed(path, name):
    """The count of the one input whose name begins so, once it is written."""
    found = metric(path, "tocsin_malformed_total") if path.exists() else {}
    return sum(n for label, n in found.items() if f'input="{name}' in label)


def counted(watch, tmp_path, source, send, *, last, expected):
    """Run `tocsin watch SOURCE`, send what is bad, then a good one; both are seen."""
    program = watch(source, "--prometheus-file", tmp_path / "counts")
    send()
    last()
    assert told(program, 1) == ["mysqld1"]
    assert program.stop() == 0
    assert program.stderr == ""
    assert malformed(tmp_path / "counts", source.split(":")[0]) == expected
    return program


def test_syslog_datagrams(watch, tmp_path):
    port = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))

        def send():
            for data in (b"", b"no priority", b"<1234>too long", b"<>none", b"\xff\x00\xfe",
                         b"x" * 60_000):  # fmt: skip
                sender.send(data)

        counted(
            watch, tmp_path, f"syslog-udp:127.0.0.1:{port}", send,
            last=lambda: sender.send(b"<3>Nov 23 01:02:03 vm17 kernel: " + oom(1)), expected=6,
        )  # fmt: skip


def test_syslog_connections(watch, tmp_path):
    port = free_port(socket.SOCK_STREAM)

    def send():
        for data in (
            b"no priority\n",  # 1
            b"7 <3>a\xff\xfeb" + b"99999999 short",  # a count that is never met: cut and counted, 1
            b"<3>" + b"x" * 70_000 + b"\n",  # over-long, and its second half has no priority: 2
            b"12345678901234567890 digits\n",  # no count, and no message: 1
            b"<3>ended in the middle",
        ):
            with socket.create_connection(("127.0.0.1", port)) as sender:
                sender.sendall(data)

    def last():
        with socket.create_connection(("127.0.0.1", port)) as sender:
            sender.sendall(b"<3>Nov 23 01:02:03 vm17 kernel: " + oom(1))

    counted(watch, tmp_path, f"syslog-tcp:127.0.0.1:{port}", send, last=last, expected=5)


HUGE = b"9" * 5000
NETCONSOLE = {
    "a fragment beyond its whole": (b"6,1,1000,-,ncfrag=50/60;" + b"x" * 20, 1),
    "a fragment of something too large": (b"6,2,1000,-,ncfrag=0/99999999;x", 1),
    "a fragment of nothing": (b"6,3,1000,-,ncfrag=0/0;", 1),
    "a fragment with a number that is none": (b"6," + HUGE + b",1000,-,ncfrag=0/5;x", 1),
    "a fragment without a text": (b"6,4,1000,-,ncfrag=0/5", 1),
    "numbers beyond all bounds are text": (b"6," + HUGE + b"," + HUGE + b",-;x\n", 0),
    "a record without an end of its head": (b"6,5,1000,-", 0),
    "bytes that are no text": (b"\xff\x00\xfe", 0),
}


def test_netconsole_datagrams(watch, tmp_path):
    port = free_port(socket.SOCK_DGRAM)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))

        def send():
            sender.send(b"")
            for data, _ in NETCONSOLE.values():
                sender.send(data + (b"" if data.endswith(b"\n") else b"\n"))

        counted(
            watch, tmp_path, f"netconsole:127.0.0.1:{port}", send,
            last=lambda: sender.send(b"3,10,9000,-;" + oom(1).split(b"] ")[1]),
            expected=sum(count for _, count in NETCONSOLE.values()),
        )  # fmt: skip


def test_a_wrong_number_does_not_silence_a_sender():
    heard, lost = [], []
    desk = netconsole.Netconsole(lambda _, data: heard.append(data), lambda _, n: lost.append(n))

    def send(number, usec, now):
        desk.datagram("10.0.0.1", b"6,%d,%d,-;text %d\n" % (number, usec, number), now)
        desk.due(now)

    send(1, 1000, 0.0)
    send(10**12, 2000, 0.0)  # nobody's
    send(2, 3000, 0.0)
    desk.due(1.0)
    for number in range(3, 10):
        send(number, number * 1000 + 1000, 1.0 + number)
    assert [int(data.split()[-1]) for data in heard] == [1, 2, 10**12, *range(3, 10)]
    assert lost == [10**12 - 3]


# -- records -----------------------------------------------------------------------------------


def test_kmsg_records(watch, tmp_path):
    records = tmp_path / "records"
    append(records, b"3,1,1000,-;quiet\n")
    program = watch(f"kmsg:{records}")
    bad = [b"no record", b"3,2", b"3," + HUGE + b",1,-;x", b"\xff\xfe"]
    append(records, b"".join(line + b"\n" for line in bad))
    append(records, b"3,2,2000,-;" + oom(1).split(b"] ")[1])
    assert told(program, 1) == ["mysqld1"]
    lost = [gap["attributes"]["tocsin.gap.bytes"] for gap in program.gaps]
    assert lost == [len(line) for line in bad]


def test_journal_entries(tmp_path, rules):
    """As journalctl would print them, had a journal such entries."""
    entry = b"_HOSTNAME=vm17\n_TRANSPORT=kernel\nMESSAGE=%s\n\n"
    stream = (
        b"MESSAGE\n" + b"\xff" * 8 + b"a length that cannot be\n\n"
        + b"b\xffd name\n\x05\x00\x00\x00\x00\x00\x00\x00short\n\n"
        + b"_SOURCE_MONOTONIC_TIMESTAMP=" + HUGE + b"\n__REALTIME_TIMESTAMP=" + HUGE + b"\n"
        + b"PRIORITY=x\n" + entry % disk("sda")[:-1] + entry % oom(1)[:-1]
    )  # fmt: skip
    (tmp_path / "stream").write_bytes(stream)
    fake = tmp_path / "journalctl"
    fake.write_text(f"#!/bin/sh\nexec cat {tmp_path}/stream\n")
    fake.chmod(0o755)
    done = subprocess.run(
        [*PROGRAM, "watch", *map(str, rules), "--format", "jsonl", tmp_path / "a.journal"],
        env={**CLEAN_ENVIRONMENT, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told_of = [json.loads(line) for line in done.stdout.splitlines()]
    bodies = [wire["body"] for wire in told_of if "incident" in wire["schema"]]
    assert bodies == ["I/O error on sda", "Out of memory: killed mysqld1"]
    gaps = [wire for wire in told_of if wire["event_name"] == "tocsin.gap"]
    assert sum(gap["attributes"]["tocsin.gap.records"] for gap in gaps) == 2
    entries = export.Entries()
    assert len(list(entries.feed(stream))) == 2
    assert entries.damaged == 2


