"""Every limit one below, at and above: what is kept, what is cut, and that the cut is said."""

import dataclasses

import pytest

import tocsin
from tests.small import RULES, load, look, rules
from tocsin import EndReason, Limits


def run(log, **limits):
    scanner = tocsin.Scanner(rules(), limits=Limits(**limits))
    return scanner.feed(log) + scanner.flush(), scanner.counts


def report(lines, stamp=1.0, end=b""):
    """A report of so many lines: its start, then frames."""
    rows = [b"OOPS", *(b" f%d+0x1/0x2" % n for n in range(1, lines))]
    return b"".join(b"[%12.6f] %s\n" % (stamp + n / 1e5, row) for n, row in enumerate(rows)) + end


def test_the_fields_of_limits_are_all_tested_here():
    tested = {name.split("_", 2)[2] for name in globals() if name.startswith("test_limit_")}
    assert tested == {field.name for field in dataclasses.fields(Limits)}


@pytest.mark.parametrize(
    "values",
    [
        {"line_bytes": 255}, {"line_bytes": 0}, {"trace_lines": 0}, {"traces": -1},
        {"folds": True}, {"folds": 2.5}, {"gap_bytes": "1"}, {"fold_seconds": 0},
        {"fold_seconds": float("nan")}, {"fold_seconds": float("inf")}, {"trace_bytes": 2**31},
        {"line_bytes": None},
    ],
)  # fmt: skip
def test_limits_out_of_reason_are_refused(values):
    with pytest.raises(ValueError, match=f"Limits.{next(iter(values))}: expected"):
        Limits(**values)


def test_limits_are_values():
    assert Limits(traces=3) == Limits(traces=3) != Limits(traces=4)
    assert hash(Limits()) == hash(Limits())
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().traces = 1
    with pytest.raises(TypeError):
        tocsin.Scanner(rules(), limits={"traces": 3})


# line_bytes has its own tests in test_core_lines.py; here only that a cut line is said to be one.
@pytest.mark.parametrize("size", [255, 256, 257])
def test_limit_line_bytes(size):
    (incident,), counts = run(b"ABBA" + b"-" * (size - 4) + b"\n", line_bytes=256)
    assert incident.truncated is (size > 256)
    assert counts["overlong_lines"] == (size > 256)


@pytest.mark.parametrize("lines", [7, 8, 9, 30])
def test_limit_trace_lines(lines):
    (incident,), _ = run(report(lines), trace_lines=8)
    assert len(incident.lines) == min(lines, 8)
    assert incident.dropped_lines == max(0, lines - 8)
    assert incident.truncated is (lines > 8)


def test_the_end_line_of_a_full_trace_is_kept():
    log = report(30, end=b"[    1.100000] END.\n")
    (incident,), _ = run(log, trace_lines=8)
    assert incident.ended is EndReason.END
    assert incident.lines[-1].endswith(b"END.")
    assert (len(incident.lines), incident.dropped_lines) == (9, 22)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_limit_trace_bytes(more):
    log = report(6)
    size = len(log) - 6  # line ends are not kept
    (incident,), _ = run(log, trace_bytes=size - more)
    assert len(incident.lines) == (5 if more > 0 else 6)
    assert incident.dropped_lines == (more > 0)
    assert incident.truncated is (more > 0)


def test_the_first_line_is_kept_however_long_it_is():
    (incident,), _ = run(report(2), trace_bytes=1)
    assert (len(incident.lines), incident.dropped_lines) == (1, len(report(2).splitlines()) - 1)
    assert incident.lines[0] == report(2).splitlines()[0]
    (incident,), _ = run(b"DOWN a\nDOWN a\n", trace_bytes=1)
    assert (len(incident.lines), incident.count) == (1, 2)


def test_a_line_held_and_lost_is_counted():
    """Between two sure lines stands one that finds no room any more."""
    held = b"[    1.000001] some line that only the next one confirms\n"
    log = report(2) + held + b"[    1.000002]  g+0x1/0x2\n"
    (incident,), _ = run(log, trace_bytes=80)
    assert len(incident.lines) + incident.dropped_lines == 4
    assert incident.truncated


@pytest.mark.parametrize("lines", [7, 8, 9, 10])
def test_limit_trace_total(lines):
    incidents, _ = run(report(lines), trace_total=8)
    first = incidents[0]
    assert (first.ended is EndReason.LIMIT) is (lines > 8)
    assert first.truncated is (lines > 8)
    assert len(first.lines) + first.dropped_lines == min(lines, 9)


def test_a_report_that_goes_on_by_starts_it_takes_in_ends_as_well():
    log = report(2) + b"".join(b"[    1.%06d] FATAL\n" % n for n in range(100))
    incidents, _ = run(log, trace_total=20)
    assert incidents[0].ended is EndReason.LIMIT
    assert incidents[0].truncated
    assert len(incidents[0].lines) <= 21


def hosts(count, line=b"OOPS"):
    return b"".join(b"Nov 23 01:02:03 h%d kernel: %s\n" % (n, line) for n in range(count))


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_limit_traces(count):
    incidents, counts = run(hosts(count), traces=4)
    assert len(incidents) == count
    evicted = [i for i in incidents if i.ended is EndReason.EVICTED]
    assert len(evicted) == counts["evicted"] == max(0, count - 4)
    assert [i.host for i in evicted] == [f"h{n}" for n in range(len(evicted))]


@pytest.mark.parametrize("count", [3, 4, 5, 9])
def test_limit_folds(count):
    log = b"".join(b"DOWN d%dx\n" % n for n in range(count))
    incidents, counts = run(log, folds=4)
    assert len(incidents) == count
    assert sum(i.ended is EndReason.EVICTED for i in incidents) == max(0, count - 4)
    assert counts["evicted"] == max(0, count - 4)


def test_the_mildest_makes_room():
    # A word is a notice here, what is down an error: a flood of words leaves its story whole.
    words = b"".join(b"%c ABAB\n" % letter * 2 for letter in range(97, 123))
    log = b"DOWN sda\n" + words + b"DOWN sda\n"
    mild = RULES.replace("id = 't.word'\nkind = 'x.trouble'\nseverity = 'err'",
                         "id = 't.word'\nkind = 'x.trouble'\nseverity = 'notice'")  # fmt: skip
    assert mild != RULES
    scanner = tocsin.Scanner(load(mild), limits=Limits(folds=4))
    incidents = scanner.feed(log) + scanner.flush()
    down = [i for i in incidents if i.rule == "t.line"]
    assert [(i.count, i.ended) for i in down] == [(2, EndReason.LINE)]
    assert len(incidents) == 27
    assert scanner.counts["evicted"] == 23


@pytest.mark.parametrize("count", [2, 3, 4, 50])
def test_limit_fold_lines(count):
    (incident,), _ = run(b"DOWN sda\n" * count, fold_lines=3)
    assert incident.count == count
    assert len(incident.lines) == min(count, 3)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_limit_gap_bytes(more):
    log = report(2)
    foreign = b"y" * (1000 + more - 2) + b"\n"  # behind the report's line end
    incidents, _ = run(log + foreign + b"[    1.500000]  g+0x1/0x2\n", gap_bytes=1000)
    assert len(incidents) == 1
    assert (incidents[0].ended is EndReason.GAP) is (more > 0)
    assert len(incidents[0].lines) == (2 if more > 0 else 3)


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_limit_fold_bytes(more):
    foreign = b"y" * (1000 + more - 2) + b"\n"
    incidents, _ = run(b"DOWN sda\n" + foreign + b"DOWN sda\n", fold_bytes=1000)
    assert [i.count for i in incidents] == ([1, 1] if more > 0 else [2])


@pytest.mark.parametrize("more", [-0.5, 0, 0.5])
def test_limit_fold_seconds(more):
    log = b"[   10.000000] DOWN sda\n[%12.6f] DOWN sda\n" % (30 + more)
    incidents, _ = run(log, fold_seconds=20.0)
    assert [i.count for i in incidents] == ([1, 1] if more > 0 else [2])


@pytest.mark.parametrize("foreign", [4, 5, 6, 7])
def test_the_rule_s_own_lines(foreign):
    """A report ends when more foreign lines of its context followed than its rule says."""
    log = report(2) + b"".join(b"[    1.2%05d] text\n" % n for n in range(foreign))
    (incident,), _ = run(log + b"[    1.500000]  g+0x1/0x2\n")
    joined = foreign <= 5
    assert len(incident.lines) == (3 + foreign if joined else 2)
    assert (incident.ended is EndReason.GAP) is not joined


@pytest.mark.parametrize("seconds", [9.9, 10.0, 10.1])
def test_the_rule_s_own_seconds(seconds):
    log = b"[    1.000000] OOPS\n[%12.6f]  g+0x1/0x2\n" % (1 + seconds)
    (incident,), _ = run(log)
    assert len(incident.lines) == (1 if seconds > 10 else 2)
    assert (incident.ended is EndReason.TIME) is (seconds > 10)


def test_a_clock_that_goes_back_ends_nothing():
    log = b"[   50.000000] OOPS\n[   49.999990]  f+0x1/0x2\n[    3.000000]  g+0x1/0x2\n"
    (incident,), _ = run(log)
    assert len(incident.lines) == 3


@pytest.mark.parametrize(
    "values",
    [{"line_bytes": 256, "trace_lines": 2, "trace_bytes": 40, "traces": 1, "folds": 1,
      "fold_lines": 1, "trace_total": 3, "gap_bytes": 100, "fold_bytes": 60, "fold_seconds": 1.0}],
)  # fmt: skip
def test_smallest_limits_do_not_depend_on_cuts(values):
    lines = b"DOWN a\nDOWN b\nDOWN a\n" + b"z" * 600 + b"\n"
    log = (report(5) + hosts(3) + lines + report(2, 9)) * 3
    limits = Limits(**values)

    def fed(step):
        scanner = tocsin.Scanner(rules(), limits=limits)
        out = []
        for at in range(0, len(log), step):
            out += scanner.feed(log[at : at + step])
            if step > 1:
                scanner = tocsin.Scanner.loads(scanner.dumps(), rules())
        return look(out + scanner.flush()), scanner.counts

    whole = fed(len(log))
    assert len(whole[0]) > 20
    for step in (1, 2, 3, 7, 100, 255, 256, 257):
        assert fed(step) == whole


def test_a_flush_ends_everything_and_the_scanner_goes_on():
    scanner = tocsin.Scanner(rules())
    assert scanner.feed(report(3) + b"DOWN sda\nunfinished OO") == []
    assert scanner.pending
    first = scanner.flush()
    assert {i.ended for i in first} == {EndReason.FLUSH, EndReason.LINE}
    assert not scanner.pending
    size = scanner.offset
    assert scanner.feed(b"PS\n" + report(2)) == []
    (second,) = scanner.flush()
    assert second.start == size + 3
