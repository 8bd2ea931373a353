"""Alarms to OpenTelemetry collectors: a real one, and one that answers as real ones do at times.

The real one is rotel. It decodes what it gets, writes that in its log, and forwards it by OTLP to
this test: what arrives has been through somebody else's decoder and encoder.
"""

import contextlib
import gzip
import http.server
import re
import socket
import subprocess
import threading
from datetime import datetime
from pathlib import Path

import pytest

from tests import peers
from tests.watch_program import Background, append, disk, free_port, oom, until

EXAMPLES = Path(__file__).parent.parent / "examples"
# A host, a wall clock, and bytes that are no UTF-8.
CENTRAL = (
    b"2026-11-20T10:00:00.123456+00:00 vm17 kernel: "
    b"Out of memory: Killed process 412 (my\xffsqld) total-vm:1kB, anon-rss:2kB, file-rss:3kB\n"
)


class Collector(http.server.ThreadingHTTPServer):
    """What came in, and `answers` for the next requests: (status, headers, body)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = []
        self.answers = []
        self.always = 200, {}, b""
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def accepted(self):
        """(resource, scope, record) of every record in a request that was answered with 200."""
        return [
            (resource.resource, scope.scope, record)
            for status, request in list(self.requests)
            if status == 200
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        data = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportLogsServiceRequest()
        request.ParseFromString(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
        answer = self.server.always
        if callable(answer):
            answer = answer(request)
        if self.server.answers:
            answer = self.server.answers.pop(0)
        status, headers, body = answer
        self.server.requests.append((status, request))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(name="collector")
def _collector():
    peers.module("opentelemetry.exporter.otlp.proto.http")
    server = Collector()
    yield server
    server.shutdown()
    server.server_close()


class Rotel:
    """A real collector; its log is `log`."""

    def __init__(self, folder, *exporter):
        self.log = folder / "rotel.log"
        self.port = free_port(socket.SOCK_STREAM)
        self._command = [
            peers.program("rotel-agent"), "start",
            "--otlp-http-endpoint", f"127.0.0.1:{self.port}",
            "--otlp-grpc-endpoint", "127.0.0.1:0",
            "--pid-file", folder / "rotel.pid", "--log-file", folder / "rotel-own.log",
            "--debug-log", "logs", "--debug-log-verbosity", "detailed",
            *(exporter or ("--exporter", "blackhole")),
        ]  # fmt: skip
        self._process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1/logs"

    def start(self):
        with open(self.log, "ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until(self._answers)

    def stop(self):
        """It hands on what it has, and ends."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def _answers(self):
        assert self._process.poll() is None, self.log.read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            return True

    @property
    def records(self):
        """What it says it received: of each record the lines about it."""
        if not self.log.exists():
            return []
        text = self.log.read_text("utf-8", "replace")
        return [part.partition("\nFlags:")[0] for part in text.split("\nLogRecord #")[1:]]

    @property
    def uids(self):
        found = (re.search(r"-> log\.record\.uid: Str\((\w+)\)", one) for one in self.records)
        return [match[1] for match in found if match]


@pytest.fixture(name="rotel")
def _rotel(tmp_path):
    peers.module("opentelemetry.exporter.otlp.proto.http")
    started = []

    def make(*exporter):
        started.append(Rotel(tmp_path, *exporter))
        return started[-1]

    yield make
    for one in started:
        one.stop()


def uid(wire):
    return wire["attributes"]["log.record.uid"]


def nanoseconds(moment):
    since = datetime.fromisoformat(moment) - datetime.fromisoformat("1970-01-01T00:00:00Z")
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


def plain(value):
    """An attribute of a wire as a flat one."""
    if isinstance(value, list):
        return [one if isinstance(one, str) else "-".join(map(str, one)) for one in value]
    return value


def decoded(value):
    """A value as OTLP carries it."""
    which = value.WhichOneof("value")
    if which == "array_value":
        return [decoded(one) for one in value.array_value.values]
    return getattr(value, which)


def attributes(of):
    return {one.key: decoded(one.value) for one in of.attributes}


def count(prometheus, name):
    return int(re.search(rf'{name}{{sink="otlp"}} (\d+)', prometheus.read_text())[1])


# -- a real one ------------------------------------------------------------------------------


def test_a_real_collector_gets_every_incident_as_it_is(rotel, collector, tmp_path):
    through = rotel(
        "--exporter", "otlp", "--otlp-exporter-protocol", "http",
        "--otlp-exporter-endpoint", collector.url,
    )  # fmt: skip
    through.start()
    log = tmp_path / "a.log"
    append(log, b"")
    program = Background(
        tmp_path / "out", "watch", "--format", "jsonl", "--idle", "0.5", "--otlp", through.url, log
    )
    try:
        for name in ("five-troubles.log", "failing-disk.log"):
            append(log, (EXAMPLES / name).read_bytes())
        append(log, CENTRAL)
        until(lambda: any(w.get("timestamp") for w in program.incidents))
        log.write_bytes(b"")  # a note: input lost
        until(lambda: program.gaps)
        append(log, oom(7))
        until(lambda: "killed mysqld7" in " ".join(program.bodies))
        wires = program.wires
        assert len(program.incidents) > 8
        until(lambda: len(collector.accepted) >= len(wires))
    finally:
        program.kill()
    through.stop()

    got = {attributes(record)["log.record.uid"]: (r, s, record) for r, s, record in
           collector.accepted}
    assert len(collector.accepted) == len(through.records) == len(wires)  # nothing twice
    assert sorted(through.uids) == sorted(map(uid, wires)) == sorted(got)
    for wire in wires:
        resource, scope, record = got[uid(wire)]
        assert attributes(resource) == wire.get("resource", {})
        assert scope.name == "tocsin"
        assert scope.version == wire.get("scope", {}).get("version", scope.version)
        assert record.body.string_value == wire["body"]
        assert record.event_name == wire["event_name"]
        assert record.severity_text == wire["severity_text"]
        assert record.severity_number == wire["severity_number"]
        assert record.observed_time_unix_nano == nanoseconds(wire["observed_timestamp"])
        # Where the log has no wall clock, when it was seen.
        when = wire.get("timestamp", wire["observed_timestamp"])
        assert record.time_unix_nano == nanoseconds(when)
        assert attributes(record) == {k: plain(v) for k, v in wire["attributes"].items()}
    [central] = [w for w in wires if w.get("timestamp")]
    assert central["timestamp"] == "2026-11-20T10:00:00.123456Z"
    # And in the collector's own words.
    [said] = [one for one in through.records if uid(central) in one]
    moment = f"{nanoseconds(central['timestamp'])}"
    assert f"\nTimestamp: {moment}\nSeverityText: crit\n" in said
    assert f"\nBody: Str({central['body']})\n" in said
    assert "\\xff" in central["body"]


def test_a_collector_that_is_not_there_yet_gets_it_later(rotel, tmp_path, watch):
    late = rotel()
    log, prom = tmp_path / "a.log", tmp_path / "x.prom"
    append(log, b"")
    program = watch("--otlp", late.url, "--prometheus-file", prom, log)
    append(log, oom(1) + disk("sda"))
    # Alarms are told elsewhere meanwhile, and the reason is said once.
    until(lambda: len(program.incidents) == 2)
    until(lambda: "trying again\n" in program.stderr)
    assert re.fullmatch(r"tocsin: otlp: .*[Cc]onnection refused.*; trying again\n", program.stderr)
    assert late.records == []
    late.start()
    append(log, disk("sdb"))
    until(lambda: len(late.records) == 3)
    assert late.uids == [uid(wire) for wire in program.wires]  # in order, none twice
    assert program.stop() == 0
    assert count(prom, "tocsin_alarms_delivered_total") == 3
    assert count(prom, "tocsin_sink_failures_total") >= 1
    assert count(prom, "tocsin_alarms_dropped_total") == 0


def test_a_collector_that_is_restarted_misses_nothing(rotel, tmp_path, watch):
    real = rotel()
    real.start()
    log, prom = tmp_path / "a.log", tmp_path / "x.prom"
    append(log, b"")
    program = watch("--otlp", real.url, "--prometheus-file", prom, log)
    number = 0
    for pause in range(3):
        for _ in range(20):
            number += 1
            append(log, oom(number) + b"x\n" * 40000)
        until(lambda wanted=number: len(program.incidents) == wanted)
        if pause == 0:
            until(lambda: real.records)
            real.stop()
        elif pause == 1:
            until(lambda: "trying again\n" in program.stderr)
            real.start()
    until(lambda: len(set(real.uids)) == number)
    assert set(real.uids) == {uid(wire) for wire in program.wires}
    assert program.stop() == 0
    assert count(prom, "tocsin_alarms_delivered_total") == number
    assert count(prom, "tocsin_alarms_waiting") == 0
    assert count(prom, "tocsin_sink_failures_total") >= 1


# -- answers that are no "yes" ---------------------------------------------------------------


@pytest.fixture(name="told")
def _told(collector, tmp_path, watch):
    """A tocsin that tells `collector`, of the incidents of tmp_path/a.log from its start."""

    def start(data, answers=(), always=None):
        collector.answers += answers
        collector.always = always or collector.always
        append(tmp_path / "a.log", data)
        return watch(
            "--from", "start", "--otlp", f"{collector.url}/v1/logs",
            "--prometheus-file", tmp_path / "x.prom", tmp_path / "a.log",
        )  # fmt: skip

    return start


def bodies(collector):
    return [record.body.string_value for _, _, record in collector.accepted]


def test_what_a_collector_cannot_take_does_not_keep_the_rest_from_it(told, collector, tmp_path):
    def judge(request):
        text = str(request)
        return (400, {}, b"cannot parse it") if "I/O error on sdb" in text else (200, {}, b"")

    program = told(oom(1) + disk("sdb") + oom(2) + disk("sdc"), always=judge)
    until(lambda: len(collector.accepted) == 3)
    assert bodies(collector) == [
        "Out of memory: killed mysqld1", "Out of memory: killed mysqld2", "I/O error on sdc",
    ]  # fmt: skip
    append(tmp_path / "a.log", disk("sdd"))
    until(lambda: len(collector.accepted) == 4)
    assert program.stop() == 0
    assert "otlp: I/O error on sdb: the collector answered 400 (cannot parse it); not tried again" \
        in program.stderr
    prom = tmp_path / "x.prom"
    assert count(prom, "tocsin_alarms_refused_total") == 1
    assert count(prom, "tocsin_alarms_delivered_total") == 4


def test_a_number_that_otlp_has_no_room_for(told, collector):
    most = 2**64 - 1
    line = disk("sda").replace(b"sector 2048", b"sector %d" % most)
    program = told(line + disk("sdb"))
    until(lambda: len(collector.accepted) == 2)
    fields = attributes(collector.accepted[0][2])
    assert fields["tocsin.field.sector"] == str(most)
    assert program.wires[0]["attributes"]["tocsin.field.sector"] == most


@pytest.mark.parametrize(
    ("status", "headers"), [(302, {"Location": "/login"}), (401, {}), (404, {}), (503, {})]
)
def test_what_an_administrator_can_mend_is_tried_again(told, collector, status, headers):
    program = told(oom(1), [(status, headers, b"no")])
    until(lambda: collector.accepted)
    assert bodies(collector) == ["Out of memory: killed mysqld1"]
    assert program.stop() == 0
    assert f"otlp: the collector answered {status} (no); trying" in program.stderr


def test_what_a_collector_says_it_dropped_is_counted(told, collector, tmp_path):
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = 1
    answer.partial_success.error_message = "too old"
    program = told(oom(1) + disk("sda"), [(200, {}, answer.SerializeToString())])
    until(lambda: len(collector.accepted) == 2)
    assert program.stop() == 0
    assert "otlp: the collector dropped 1 of 2 (too old); not tried again" in program.stderr
    prom = tmp_path / "x.prom"
    assert count(prom, "tocsin_alarms_refused_total") == 1
    assert count(prom, "tocsin_alarms_delivered_total") == 1
    assert len(collector.requests) == 1
