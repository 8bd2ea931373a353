"""The core against a scanner too simple to be wrong, on text made to match."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

import tocsin
from tests.reference import scanner as reference
from tests.small import look, rules, scan_cut

PREFIXES = [
    b"", b"", b"[    1.000001] ", b"[    1.000002]", b"[12.345678][  T117] ", b"<3>",
    b"<4>[    2.000000] ", b"Nov 23 01:02:03 h1 kernel: ", b"Nov  3 01:02:03 h2 app[7]: ",
    b"Nov 23 01:02:03 h1 kernel: [    3.000001] ", b"kernel: ", b"[    4.000000] h3 kernel: ",
    b"prompt$ ", b"web login: [    5.000000] ",
]  # fmt: skip
PIECES = [
    b"A", b"B", b"AB", b"BA", b"BB", b"AABB", b"ABBA", b"ABAB", b"BABA", b"BBB", b"AAAA", b"DOWN",
    b"DOWN ", b"FATAL", b"KNOCK", b"dev [", b"dev ", b"[", b"]", b" ", b"x", b"_", b":", b"\t",
    b"\r", b"1",
    b"[    6.000001]", b"[6.000002] ", b"[7.12]",
]  # fmt: skip
ENDS = [b"\n", b"\n", b"\r\n", b"\r\r\n"]
LINES = st.builds(
    lambda prefix, pieces, end: prefix + b"".join(pieces) + end,
    st.sampled_from(PREFIXES), st.lists(st.sampled_from(PIECES), max_size=8), st.sampled_from(ENDS),
)  # fmt: skip
LOGS = st.lists(LINES, max_size=12).map(b"".join)
# So that nothing is folded away or cut.
WIDE = tocsin.Limits(fold_lines=1 << 20, folds=1 << 10, fold_seconds=1e9)
# One of the rules wins a line by rank and length; of equals the core may choose.
LENGTH = {rule: len(row[0]) for rule, row in reference.STARTS.items()}


def said_by_the_core(log):
    """Every line that an incident holds: (rule, bytes)."""
    scanner = tocsin.Scanner(rules(), limits=WIDE)
    incidents = scanner.feed(log) + scanner.flush()
    return [(incident.rule, line) for incident in incidents for line in incident.lines]


@settings(max_examples=600, deadline=None)
@given(LOGS)
@example(b"dev [    1.234567] dev [")
@example(b"Nov 23 01:02:03 h1 kernel: [    3.000001] [    6.000001]ABBA\n")
@example(b"[    1.000001] KNOCK[    6.000001]ABBA\n")
@example(b"\r[    1.000001] ABBA\n")
def test_which_lines_say_what(log):
    if re.search(rb"(?:\A|[\n\]>:]) *\r(?!\r*\n)", log) or b"\r[" in log:
        return  # a bare return in front of a message is an escape, which the oracle does not know
    got = {}
    for rule, line in said_by_the_core(log):
        got.setdefault(line, []).append(rule)
    want = {}
    for message in reference.messages(log):
        rules_here = reference.starts(message)
        if rules_here:
            want.setdefault(message.line, []).append(rules_here)
    assert {line: len(found) for line, found in got.items()} == {
        line: len(found) for line, found in want.items()
    }
    for line, found in got.items():
        most = max(LENGTH[rule] for rule in want[line][0])
        assert all(LENGTH[rule] == most and rule in want[line][0] for rule in found), line


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_what_stands_before_a_message(line):
    """Time, host, caller and level of an incident, by regular expressions."""
    if b"\r" in line.rstrip(b"\r\n"):
        return
    incidents = tocsin.scan(line, rules())
    by_offset = {
        message.offset: message
        for message in reference.messages(line)
        if reference.starts(message)
    }
    assert {i.start for i in incidents} <= set(by_offset)
    for incident in incidents:
        want = by_offset[incident.start]
        assert incident.lines[0] == want.line
        assert incident.timestamp == want.time
        assert (incident.host or "").encode() == (want.host or b"")
        assert (incident.caller or "").encode() == (want.caller or b"")
        assert incident.level == want.level


MIXED = st.lists(
    st.sampled_from(
        [
            *PREFIXES, *PIECES, b"\n", b"\n", b"\n", b"OOPS", b"WARN", b"END.", b"DISC", b"disc",
            b"++++", b" f+0x1/0x2", b"PANIC", b" login:", b"Linux version", b"\x00", b"\x1b[0m",
            b"Traceback", b"  File", b"[   90.000000] ", b"6,1,2000000,-;",
            b"[Mon Nov 23 01:02:03 2026] ",
        ]
    ),
    max_size=60,
).map(b"".join)  # fmt: skip
SMALL = tocsin.Limits(
    line_bytes=256, trace_lines=3, trace_bytes=120, trace_total=5, traces=2, folds=2, fold_lines=2,
    gap_bytes=150, fold_bytes=100, fold_seconds=5.0,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(MIXED, st.data(), st.sampled_from([tocsin.Limits(), SMALL]))
def test_cuts_and_snapshots_change_nothing(log, data, limits):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(log)), max_size=8)))
    snapshots = set(data.draw(st.lists(st.integers(0, 8), max_size=3)))
    whole = scan_cut(log, [], rules(), limits=limits)
    assert scan_cut(log, cuts, rules(), snapshots, limits=limits) == whole
    assert scan_cut(log, range(1, len(log)), rules(), limits=limits) == whole


@settings(max_examples=300, deadline=None)
@given(MIXED)
def test_a_state_is_whatever_was_fed_and_however(log):
    one, two = tocsin.Scanner(rules()), tocsin.Scanner(rules())
    closed = look(one.feed(log))
    again = []
    for at in range(len(log)):
        again += two.feed(log[at : at + 1])
    assert look(again) == closed
    assert one.dumps() == two.dumps()
    assert one.console is two.console
