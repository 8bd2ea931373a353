"""What must hold for every log, whatever it says: of the cases here, and of the logs beside.

No expected values: a log is scanned in two ways that must agree.
"""

import json
import random
import re
import time

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
        glued = STAMPED.match(incident.lines[0]) or before.endswith(b" login: ")
        assert not before.strip(b"\r\x00") or glued, incident


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

# What is put in front of every line by whoever takes it down, and in place of the kernel's stamp by
# whoever prints the log again. {n}: a number that grows; {iso} and {day}: the stamp as a time.
IN_FRONT = {
    "minicom": "[2026-11-23 01:02:{n:02d}] ",
    "a terminal server": "[2026-11-23T01:02:{n:02d}.250Z] ",
    "screen": "01:02:{n:02d}.250 ",
    "picocom": "01:02:{n:02d}.250000 > ",
    "docker": "2026-11-23T01:02:{n:02d}.123456789Z ",
    "a pod's log": "2026-11-23T01:02:{n:02d}.123456789Z stdout F ",
    "a container runtime's errors": "2026-11-23T01:02:{n:02d}.123456789Z stderr F ",
    "libvirt": "2026-11-23 01:02:{n:02d}.250+0000: ",
    "ts": "Nov 23 01:02:{n:02d} ",
    "an ISO time": "2026-11-23 01:02:{n:02d} ",
    "grabserial": "[1.{n:06d} 0.000125] ",
    "compose": "console-1  | ",
    "a pod's name": "[pod/console-0/console] ",
    "a host's name": "[web1] ",
    "a colour": "\x1b[0;33m",
    "a bell": "\x07",
    "a level": "<4>",
    "dmesg -x": "kern  :warn  : ",
}
INSTEAD = {
    "dmesg -T": "[{day}] ",
    "dmesg -x -T": "kern  :warn  : [{day}] ",
    "dmesg -e": "[  +0.{part}] ",
    "dmesg -e, the first of a minute": "[Nov23 01:02] ",
    "dmesg -d": "[{stamp} <    0.000125>] ",
    "dmesg in ISO": "{iso},{part}+00:00 ",
    "dmesg in colour": "\x1b[32m[{stamp}] \x1b[0m\x1b[1m\x1b[31m",
    "a level alone": "<4>",
    "nothing": "",
}
# The same of logs that speak of many machines, and of no boots.
AS_LOG = {
    "journalctl": "Nov 23 01:02:{n:02d} web1 kernel: ",
    "journalctl -o short-precise": "Nov 23 01:02:{n:02d}.{part} web1 kernel: ",
    "journalctl -o short-iso": "{iso}+0000 web1 kernel: ",
    "journalctl -o short-full": "Mon {blank} UTC web1 kernel: ",
    "journalctl -o short-unix": "{unix}.{part} web1 kernel: ",
    "journalctl -o short-monotonic": "[{stamp}] web1 kernel: ",
    "journalctl -o short-delta": "[{stamp} <    0.000125 >] web1 kernel: ",
    "journalctl -o cat": "kernel: ",
    "busybox": "Nov 23 01:02:{n:02d} web1 kern.warn kernel: [{stamp}] ",
    "logread": "Mon Nov 23 01:02:{n:02d} 2026 kern.warn kernel: [{stamp}] ",
    "rsyslog": "{iso}.{part}+00:00 web1 kernel: [{stamp}] ",
    "a relay": "Nov 23 01:02:{n:02d} relay Nov 23 01:02:{n:02d} web1 kernel: [{stamp}] ",
    "RFC 5424": "<4>1 {iso}.{part}+00:00 web1 kernel - - - [{stamp}] ",
    "RFC 6587": "98 <4>1 {iso}.{part}+00:00 web1 kernel - - - [{stamp}] ",
    "a caller": "[{stamp}][  T123] ",
}
BEHIND = {
    "the end of a colour": b"\x1b[0m",
    "the line cleared": b"\x1b[K",
    "NULs": b"\x00\x00\x00",
    "blanks": b"   ",
}


def told(log):
    """What is said of a log, whoever took it down."""
    return sorted(
        (i.kind, i.title, i.count)
        for i in tocsin.scan(log)
        if i.severity <= tocsin.Severity.WARNING and not i.boot
    )


def all_stamped(log):
    """The lines of a log of which the kernel stamped every one; others are left out."""
    if not all(STAMPED.match(line) for line in log.split(b"\n") if line.strip()):
        pytest.skip("not a plain kernel log")
    return [line for line in re.sub(rb"\r+\n", b"\n", log).split(b"\n") if line.strip()]


@every_case
def test_who_took_a_line_down_does_not_matter(path):
    lines = all_stamped(read(path))
    expected = told(b"".join(line + b"\n" for line in lines))
    for name, form in IN_FRONT.items():
        if form.startswith(("<", "kern")) and any(line.startswith(b"<") for line in lines):
            continue  # it has a level
        fronts = (form.format(n=n % 60).encode() for n in range(len(lines)))
        log = b"".join(front + line + b"\n" for front, line in zip(fronts, lines, strict=True))
        assert told(log) == expected, name


@every_case
def test_who_prints_a_log_again_does_not_matter(path):
    lines = all_stamped(read(path))
    if any(re.match(rb"\s*<|\[ *[\d.]+\](?:\[| \S+ kernel: )", line) for line in lines):
        pytest.skip("levels, callers or hosts are part of this log")
    expected = told(b"".join(line + b"\n" for line in lines))
    # Where nothing tells the time, no silence ends a report: as if no time had passed.
    timeless = told(b"".join(b"[    1.000000]" + line.partition(b"]")[2] + b"\n" for line in lines))
    # What a second boot ends goes on in a log that speaks of no boots.
    boots = sum(b"Linux version" in line for line in lines)
    forms = INSTEAD if boots > 1 else {**INSTEAD, **AS_LOG}
    for name, form in forms.items():
        out = []
        for line in lines:
            stamp, _, text = line.lstrip(b"[ ").partition(b"]")
            whole, _, part = stamp.decode().partition(".")
            unix = 1795392000 + int(whole)
            when = time.gmtime(unix)
            front = form.format(
                n=int(whole) % 60, stamp=f"{whole:>5}.{part}", part=part, unix=unix,
                iso=time.strftime("%Y-%m-%dT%H:%M:%S", when),
                blank=time.strftime("%Y-%m-%d %H:%M:%S", when),
                day=time.strftime("%a %b %e %H:%M:%S %Y", when),
            )  # fmt: skip
            out.append(front.encode() + text.removeprefix(b" ") + b"\n")
        tells_time = any(of in form for of in ("{stamp}", "{iso}", "{day}", "{unix}", "{blank}"))
        assert told(b"".join(out)) in ([expected] if tells_time else [expected, timeless]), name


IN_A_STRING = {
    "a container's file": lambda line: json.dumps(
        {"log": line + "\n", "stream": "stdout", "time": "2026-11-23T01:02:03.123456789Z"},
        separators=(",", ":"),
    ),
    "a shipper's file": lambda line: json.dumps(
        {"@timestamp": "2026-11-23T01:02:03.000Z", "host": {"name": "web1"}, "message": line}
    ),
    "a journal's export": lambda line: json.dumps(
        {"_TRANSPORT": "kernel", "SYSLOG_IDENTIFIER": "kernel", "MESSAGE": line, "PRIORITY": "3"}
    ),
    "a table": lambda line: '2026-11-23T01:02:03Z,web1,"{}"'.format(line.replace('"', '""')),
    "names and values": lambda line: f"time=2026-11-23T01:02:03Z host=web1 msg={json.dumps(line)}",
}


@every_case
def test_what_string_holds_a_line_does_not_matter(path):
    log = read(path)
    lines = all_stamped(log)
    if b"\t" in log or not log.isascii():
        pytest.skip("a literal or a name would be written in escapes")
    if sum(b"Linux version" in line for line in lines) > 1:
        pytest.skip("a journal tells of no boots")
    expected = {row[:2] for row in told(b"".join(line + b"\n" for line in lines))}
    for name, form in IN_A_STRING.items():
        strings = "".join(form(line.decode()) + "\n" for line in lines)
        assert {row[:2] for row in told(strings.encode())} == expected, name


@every_case
def test_what_a_terminal_adds_behind_a_line_does_not_matter(path):
    log = re.sub(rb"\r+\n", b"\n", read(path))
    for name, behind in BEHIND.items():
        assert told(log.replace(b"\n", behind + b"\n")) == told(log), name


@every_case
def test_a_console_taken_down_twice_does_not_restart(path):
    """Each line twice, as where `console=tty0` and `console=ttyS0` end in one file."""
    lines = all_stamped(read(path))
    if b"Linux version" not in lines[0]:
        # That the log holds all twice shows at the first line of a boot.
        lines.insert(0, b"[    0.000000] Linux version 6.1.0 (gcc) #1 SMP")
    once = b"".join(line + b"\n" for line in lines)
    twice = b"".join(line + b"\n" + line + b"\n" for line in lines)
    assert [i.title for i in tocsin.scan(twice) if i.kind == "boot"] == [
        i.title for i in tocsin.scan(once) if i.kind == "boot"
    ]
    if path.parent.name == "contexts":
        return  # two at once are told apart line by line: twice as many are too many
    assert {(kind, title) for kind, title, _ in told(once)} <= {
        (kind, title) for kind, title, _ in told(twice)
    }



@every_case
def test_a_snapshot_is_the_same_bytes_every_time(path):
    log = read(path)
    half = len(log) // 2
    scanner = tocsin.Scanner()
    scanner.feed(log[:half])
    state = scanner.dumps()
    assert state == scanner.dumps()
    assert tocsin.Scanner.loads(state).dumps() == state
