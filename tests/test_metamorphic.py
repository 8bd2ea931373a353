"""What must hold for every log, whatever it says: of the cases here, and of the logs beside.

No expected values: a log is scanned in two ways that must agree.
"""

import random
import re

import pytest

import tocsin
from tests import cases
from tests.conftest import SHARED
from tests.small import look

OWN = cases.paths()
# Other people's logs, where they lie beside the project. None of the four may be empty then.
FOLDERS = ("seed", "consoles", "syzbot", "boots", "noise")
OTHERS = [path for name in FOLDERS for path in sorted((SHARED / "corpus" / name).glob("*.log"))]
PATHS = OWN + OTHERS
NAMES = [cases.name(p) for p in OWN] + [f"shared/{p.parent.name}/{p.stem}" for p in OTHERS]
STAMPED = re.compile(rb"\s*(?:<\d>)?\[ *\d+\.\d{6}\]")


def read(path):
    return cases.Case(path).log if path in OWN else path.read_bytes()


every_log = pytest.mark.parametrize("path", PATHS, ids=NAMES)
every_case = pytest.mark.parametrize("path", OWN, ids=NAMES[: len(OWN)])


def test_there_are_logs():
    assert len(OWN) >= 150
    if SHARED.is_dir():
        assert all(any(p.parent.name == name for p in OTHERS) for name in FOLDERS)


def fed(log, cuts, snapshot_every=0):
    """Incidents, console, offset, counts and the state before the flush."""
    scanner, out, at = tocsin.Scanner(), [], 0
    for number, cut in enumerate([*cuts, len(log)], 1):
        out += scanner.feed(log[at:cut])
        at = cut
        if snapshot_every and number % snapshot_every == 0:
            scanner = tocsin.Scanner.loads(scanner.dumps())
    state = scanner.dumps()
    console = scanner.console
    out += scanner.flush()
    return look(out), console, scanner.console, scanner.offset, scanner.counts, state


def ways_to_cut(log, seed):
    rng = random.Random(seed)
    lines = [match.end() for match in re.finditer(rb"\n", log)]
    yield "by line", lines, 0
    yield "inside line ends", sorted({max(0, at - 1) for at in lines}), 0
    yield "by line, with snapshots", lines, max(1, len(lines) // 20)
    if len(log) <= 6000:
        yield "byte by byte", range(1, len(log)), 0
        yield "byte by byte, with snapshots", range(1, len(log)), 97
    for sizes in ((1, 7, 64), (1, 512, 4096), (3000, 70_000)):
        cuts, at = [], 0
        while at < len(log):
            at += rng.choice(sizes)
            cuts.append(min(at, len(log)))
        yield f"random {sizes}", cuts, max(1, len(cuts) // 7)


@every_log
def test_cuts_do_not_matter(path):
    log = read(path)
    whole = fed(log, [])
    for how, cuts, snapshots in ways_to_cut(log, len(log)):
        got = fed(log, cuts, snapshots)
        assert got[0] == whole[0], how
        assert got[1:] == whole[1:], how


@every_log
def test_lines_are_bytes_of_the_log_at_the_spans(path):
    log = read(path)
    for incident in tocsin.scan(log):
        assert incident.spans
        previous = -1
        for start, end in incident.spans:
            assert previous < start < end <= len(log)
            previous = end
        text = b"".join(log[start:end] for start, end in incident.spans)
        assert re.sub(rb"[\r\n]", b"", text) == re.sub(rb"[\r\n]", b"", b"".join(incident.lines))
        assert incident.start == incident.spans[0][0]
        assert incident.end == incident.spans[-1][1]
        # Whole lines, except where a kernel line was glued behind something else.
        before = log[: incident.start].rsplit(b"\n", 1)[-1]
        assert not before.strip(b"\r\x00") or STAMPED.match(incident.lines[0]), incident


@every_log
def test_an_incident_can_be_read_whole(path):
    for incident in tocsin.scan(read(path)):
        assert incident.title
        assert incident.title == incident.title.strip()
        assert "\n" not in incident.title
        assert re.fullmatch(r"[0-9a-f]{16}", incident.signature)
        assert incident.meaning
        assert incident.count >= 1
        assert incident.confidence in ("certain", "likely", "unverified")
        assert all(0 <= frame.line < len(incident.lines) for frame in incident.frames)
        assert all(isinstance(value, (str, int)) for value in incident.fields.values())
        assert incident.truncated or not incident.dropped_lines


@every_case
def test_an_incident_is_found_again_from_its_start(path):
    """What stands before an incident is not needed to see it, unless it says whose line it is."""
    log = read(path)
    incidents = tocsin.scan(log)
    for incident in incidents:
        if incident.severity > tocsin.Severity.WARNING:
            continue
        if any(i.start < incident.start < i.end and i.spans != incident.spans for i in incidents
               if i.kind == incident.kind):  # fmt: skip
            continue  # two reports at once: the other one's lines are known by its beginning
        again = [i for i in tocsin.scan(log[incident.start :]) if i.start == 0]
        assert (incident.kind, incident.title) in [(i.kind, i.title) for i in again]


@every_case
def test_line_ends_do_not_matter(path):
    log = re.sub(rb"\r+\n", b"\n", read(path))

    def said(text):
        return [
            (i.kind, i.title, i.severity, i.count, len(i.lines), dict(i.fields), i.signature)
            for i in tocsin.scan(text)
        ]

    expected = said(log)
    for end in (b"\r\n", b"\r\r\n"):
        assert said(log.replace(b"\n", end)) == expected


@every_case
def test_a_syslog_header_does_not_matter(path):
    """The same log as a central syslog would hold it: kernel lines of one host."""
    log = read(path)
    lines = [line for line in log.split(b"\n") if line.strip()]
    if b" kernel: " in log or not all(STAMPED.match(line) for line in lines):
        pytest.skip("not a plain kernel log")
    lines = [line + b"\n" for line in log.split(b"\n") if line.strip()]
    plain = tocsin.scan(b"".join(lines))
    if any(incident.boot for incident in plain):
        pytest.skip("a central log tells of no boots")
    wrapped = tocsin.scan(
        b"".join(
            b"Nov 23 01:02:%02d vm-17 kernel: %s" % (n % 60, line) for n, line in enumerate(lines)
        )
    )
    assert [(i.kind, i.title, i.signature) for i in plain] == [
        (i.kind, i.title, i.signature) for i in wrapped
    ]
    assert {i.host for i in wrapped} <= {"vm-17"}


@every_case
def test_a_snapshot_is_the_same_bytes_every_time(path):
    log = read(path)
    half = len(log) // 2
    scanner = tocsin.Scanner()
    scanner.feed(log[:half])
    state = scanner.dumps()
    assert state == scanner.dumps()
    assert tocsin.Scanner.loads(state).dumps() == state
