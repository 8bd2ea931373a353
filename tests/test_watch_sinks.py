"""Where alarms go: commands, people, collectors, counts; storms, and sinks that are dead."""

import http.server
import json
import re
import socket
import subprocess
import threading
import time
import urllib.request

import pytest

from tests import peers
from tests.cli_program import QUIET
from tests.watch_program import Background, append, disk, free_port, oom, until, wires
from tocsin.watch.alarms import Alarm
from tocsin.watch.storm import Storm


@pytest.fixture(name="watch")
def _watch(watch, tmp_path):
    """A tocsin on tmp_path/a.log."""

    def start(*arguments, **options):
        append(tmp_path / "a.log", b"")
        return watch(*arguments, tmp_path / "a.log", **options)

    return start


def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def check_metrics(text):
    """What Prometheus's own tool has to say of names, types and help."""
    done = subprocess.run(
        [peers.program("promtool"), "check", "metrics"], input=text, text=True, check=False,
        capture_output=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# -- storms ----------------------------------------------------------------------------------


def alarm(number, signature="s"):
    wire = {"attributes": {}}
    title = f"t {signature}"
    return Alarm(f"u{number}", "src", 0.0, 3, "k", title, signature, wire, object(), None)


def test_the_first_is_told_and_the_rest_are_counted():
    from tocsin.sinks.place import Place

    storm = Storm(60, 100)
    place = Place("src")
    entries = [storm.admit(n, alarm(n)._replace(place=place), float(n)) for n in range(1, 6)]
    assert [entry and entry.numbers for entry in entries] == [(1,), None, None, None, None]
    assert storm.due(30, 0.0) == []
    [entry] = storm.due(61, 0.0)
    assert entry.numbers == (2, 3, 4, 5)
    assert entry.alarm.title == "and 4 more of: t s"
    # The storm goes on: the next window is open already.
    assert storm.admit(6, alarm(6)._replace(place=place), 62.0) is None
    assert [entry.numbers for entry in storm.due(121.5, 0.0)] == [(6,)]


def test_another_machine_is_no_repeat_to_who_looks_after_it():
    """The fault is the same, and one note is enough; but it names where nobody knows of it yet."""
    from tocsin.sinks.place import Place

    storm = Storm(60, 100)
    for number, (source, host) in enumerate(
        [("a", None), ("a", None), ("b", None), ("central", "vm1"), ("central", "vm2"), ("b", None)]
    ):
        one = alarm(number)._replace(source=source, place=Place(source))
        if host is not None:
            one = one._replace(wire={**one.wire, "resource": {"host.name": host}})
        assert (storm.admit(number, one, 1.0) is None) == (number > 0)
    [entry] = storm.due(62, 0.0)
    assert entry.alarm.title == "and 5 more of: t s; in b, vm1 in central, vm2 in central"
    assert entry.alarm.wire["attributes"]["tocsin.elsewhere"] == [
        "b",
        "vm1 in central",
        "vm2 in central",
    ]
    storm.admit(9, one, 63.0)
    assert storm.due(130, 0.0)[0].alarm.title == "and 1 more of: t s"


def test_a_rate_holds_back_what_is_not_alike():
    from tocsin.sinks.place import Place

    storm = Storm(60, 3)
    place = Place("src")
    told = [storm.admit(n, alarm(n, f"s{n}")._replace(place=place), 0.0) for n in range(10)]
    assert sum(entry is not None for entry in told) == 3
    held = [number for entry in storm.rest(1.0, 0.0) for number in entry.numbers]
    assert sorted(held) == list(range(3, 10))  # none is forgotten


def test_a_storm_is_one_command_and_a_count(watch, tmp_path):
    got, prom = tmp_path / "got", tmp_path / "x.prom"
    program = watch("--exec", f"cat >> {got}", "--repeat-after", "1.5", "--prometheus-file", prom)
    for number in range(40):
        # Lines of another kind in between, or the scanner itself folds them.
        append(tmp_path / "a.log", disk("sda") + b"x\n" * 40000)
        time.sleep(0.02 if number else 0.5)
    until(lambda: any("and " in w["body"] for w in wires(got)))
    time.sleep(2.5)
    bodies = [w["body"] for w in wires(got)]
    assert bodies[0] == "I/O error on sda"
    counted = [int(re.match(r"and (\d+) more of", body)[1]) for body in bodies[1:]]
    alone = [w for w in wires(tmp_path / "out") if "incident" in w["schema"]]
    assert 1 + sum(counted) == len(alone)
    assert len(bodies) < len(alone)
    assert program.stop() == 0
    text = prom.read_text()
    assert f'tocsin_suppressed_total{{sink="exec",reason="repeat"}} {sum(counted)}\n' in text
    assert f'tocsin_alarms_delivered_total{{sink="exec"}} {len(alone)}\n' in text
    assert 'tocsin_sink_failures_total{sink="exec"} 0\n' in text
    check_metrics(text)


# -- sinks -----------------------------------------------------------------------------------


def test_a_command_that_fails_is_run_again(watch, tmp_path):
    got = tmp_path / "got"
    command = script(tmp_path / "cmd", f"test -e {tmp_path}/ok || exit 3\ncat >> {got}\n")
    program = watch("--exec", command)
    append(tmp_path / "a.log", oom(1))
    until(lambda: "exit status 3; trying again" in program.stderr)
    append(tmp_path / "a.log", disk("sda"))
    until(lambda: len(program.incidents) == 2)  # a dead sink stops nothing
    assert wires(got) == []
    (tmp_path / "ok").touch()
    until(lambda: len(wires(got)) == 2)
    assert [w["body"] for w in wires(got)] == ["Out of memory: killed mysqld1", "I/O error on sda"]


def test_what_a_dead_sink_did_not_take_is_told_after_a_restart(watch, tmp_path):
    got = tmp_path / "got"
    state = ("--state", tmp_path / "state")
    first = watch("--exec", "exit 1", *state)
    append(tmp_path / "a.log", oom(1))
    until(lambda: "trying again" in first.stderr)
    first.kill()
    watch("--exec", f"cat >> {got}", *state)
    until(lambda: [w["body"] for w in wires(got)] == ["Out of memory: killed mysqld1"])


def test_what_finds_no_room_is_counted(watch, tmp_path):
    prom = tmp_path / "x.prom"
    program = watch(
        "--exec", "exit 1", "--keep", "2", "--repeat-after", "0", "--prometheus-file", prom
    )
    for number in range(5):
        append(tmp_path / "a.log", disk(f"s{'abcdefg'[number]}"))
        until(lambda n=number: len(program.incidents) > n)
    until(lambda: 'tocsin_sink_failing{sink="exec"} 1\n' in prom.read_text())
    program.stop()
    text = prom.read_text()
    assert 'tocsin_alarms_dropped_total{sink="exec"} 3\n' in text
    assert 'tocsin_alarms_waiting{sink="exec"} 2\n' in text
    assert re.search(r'tocsin_sink_failures_total\{sink="exec"\} [1-9]', text)
    check_metrics(text)
    assert "2 alarms could not be delivered; lost" in program.stderr


def test_counts_for_prometheus(watch, tmp_path):
    prom = tmp_path / "x.prom"
    program = watch("--prometheus-file", prom)
    append(tmp_path / "a.log", QUIET + oom(1))
    until(lambda: program.incidents)
    assert program.stop() == 0
    text = prom.read_text()
    assert 'tocsin_incidents_total{kind="memory.oom",severity="crit"} 1\n' in text
    assert f"tocsin_scanned_bytes_total {len(QUIET + oom(1))}\n" in text
    check_metrics(text)


def test_metrics_over_http(watch, tmp_path):
    peers.module("prometheus_client")
    port = free_port(socket.SOCK_STREAM)
    program = watch("--metrics", f"127.0.0.1:{port}")
    append(tmp_path / "a.log", oom(1))

    def page():
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            return answer.read().decode()

    until(lambda: 'tocsin_incidents_total{kind="memory.oom",severity="crit"} 1.0' in page())
    text = page()
    for name in ("tocsin_scanned_bytes_total", "tocsin_alarms_delivered_total"):
        assert f"\n{name}" in text
    check_metrics(text)
    assert program.stop() == 0


class Receiver(http.server.BaseHTTPRequestHandler):
    bodies = []
    status = 200

    def do_POST(self):
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(name="receiver")
def _receiver():
    class Own(Receiver):
        bodies = []

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Own, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_apprise(watch, receiver, tmp_path):
    peers.module("apprise")
    own, url = receiver
    watch("--notify", url.replace("http", "json"))
    append(tmp_path / "a.log", oom(1))
    [body] = until(lambda: own.bodies)
    told = json.loads(body)
    assert told["title"].startswith("crit: Out of memory: killed mysqld1 [")
    assert "- Look at the table of tasks." in told["message"]
    assert told["type"] == "failure"


def test_syslog(watch, tmp_path):
    path = tmp_path / "log"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        log.settimeout(20)
        watch("--syslog", path)
        append(tmp_path / "a.log", oom(1))
        text = log.recv(65536).decode()
    assert text.startswith("<26>1 20")
    assert text.endswith("] Out of memory: killed mysqld1")
    assert 'kind="memory.oom"' in text


def test_an_extra_that_is_not_there(tmp_path, rules):
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "apprise.py").write_text("raise ImportError('no', name='apprise')\n")
    program = Background(
        tmp_path / "out", "watch", *rules, "--notify", "json://x", tmp_path / "a.log",
        ready=False, path=hidden,
    )  # fmt: skip
    assert program.process.wait(30) == 2
    assert 'apprise is not installed; pip install "tocsin[notify]"' in program.stderr


def test_a_burst_that_is_larger_than_the_bound_finds_room_in_a_sink_that_lives(watch, tmp_path):
    append(tmp_path / "a.log", b"".join(map(oom, range(500))))
    got = tmp_path / "got"
    program = watch("--from", "start", "--keep", "50", "--output", got)
    until(lambda: len(wires(got)) == len(program.incidents) == 500)
    assert "counting on" not in program.stderr
