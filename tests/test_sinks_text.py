"""Text for people: complete, folded, and harmless for a terminal."""

import enum
import re
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.sinks.place import Place
from tocsin.sinks.printable import printable
from tocsin.sinks.text import Style, TextBlocks, size_of
from tocsin.sinks.totals import Totals


class Ended(enum.Enum):
    END = "end"
    LIMIT = "limit"


class Console(enum.Enum):
    UNKNOWN = "unknown"
    UP = "up"
    PANICKED = "panicked"


LINES = tuple(b"[   12.5] line %d" % n for n in range(20))
OOM = {
    "rule": "mm.oom-kill",
    "kind": "memory.oom",
    "severity": 2,
    "title": "Out of memory: killed mysqld",
    "signature": "ab12",
    "fields": {"victim": "mysqld", "pid": 412, "cgroup": "/a b"},
    "frames": (),
    "spans": ((100, 400),),
    "start": 100,
    "end": 400,
    "lines": LINES,
    "timestamp": 12.5,
    "clock": "kernel",
    "host": "vm17",
    "caller": "T412",
    "boot": 0,
    "confidence": "certain",
    "ended": Ended.END,
    "truncated": False,
    "dropped_lines": 0,
    "meaning": "The kernel ran out of memory.",
    "advice": ("Look at the table.", "Add memory."),
    "count": 1,
}


def incident(**changes):
    return types.SimpleNamespace(**{**OOM, **changes})


PLACE = Place("vm17.log", None, ((3, 22),))


def block(place=PLACE, style=None, **changes):
    out = []
    TextBlocks(out.append, style).incident(incident(**changes), place)
    return "".join(out)


def row(text, label):
    """What a label introduces, with the rows under it."""
    found = re.search(rf"^  {label} .*\n(?: {{14}}.*\n)*", text, re.M)
    return found and [line[14:] for line in found[0].splitlines()]


def test_a_block_says_everything():
    assert block(style=Style(lines=4)) == """\
crit: Out of memory: killed mysqld  [memory.oom, mm.oom-kill]
  when        12.500000 s after boot
  where       vm17.log:3-22, bytes 100-400, host vm17, caller T412
  fields      victim=mysqld pid=412 cgroup="/a b"
  means       The kernel ran out of memory.
  do          - Look at the table.
              - Add memory.
  log         [   12.5] line 0
              [   12.5] line 1
              [   12.5] line 2
              ... 16 lines ...
              [   12.5] line 19

"""


def test_what_is_not_known_or_not_worth_it_is_left_out():
    text = block(
        timestamp=None, clock=None, host=None, caller=None, fields={}, meaning="", advice=(),
        place=Place("-"),
    )  # fmt: skip
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ["where", "log"]
    assert row(text, "where") == ["-, bytes 100-400"]


@pytest.mark.parametrize(
    ("changes", "label", "want"),
    [
        ({"count": 7}, "count", "7 times"),
        ({"confidence": "likely"}, "confidence", "likely"),
        ({"confidence": "unverified"}, "confidence", "unverified: a program may have printed this"),
        (
            {"truncated": True, "ended": Ended.LIMIT, "dropped_lines": 1},
            "cut short",
            "longer than the limits allow; 1 line left out",
        ),
        ({"boot": 2}, "when", "12.500000 s after boot (boot 3 of this log)"),
        ({"clock": "wall", "timestamp": 1e9}, "when", "2001-09-09 01:46:40 UTC"),
    ],
)
def test_facts(changes, label, want):
    assert row(block(**changes), label) == [want]
    if label not in {"when"}:
        assert row(block(), label) is None


def test_a_time_no_calendar_has_is_left_out():
    assert row(block(clock="wall", timestamp=1e300), "when") is None


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        (0, None),
        (1, ["0", "... 19 lines ..."]),
        (2, ["0", "... 18 lines ...", "19"]),
        (19, [*map(str, range(18)), "... 1 line ...", "19"]),
        (20, [*map(str, range(20))]),
        (99, [*map(str, range(20))]),
        (None, [*map(str, range(20))]),
    ],
)
def test_folding(lines, want):
    got = row(block(style=Style(lines=lines)), "log")
    assert (got and [line.removeprefix("[   12.5] line ") for line in got]) == want


def test_a_long_line_is_shortened_unless_all_was_asked_for():
    long = (b"x" * 5000,)
    assert row(block(lines=long), "log") == ["x" * 400 + " ... 4,600 bytes more"]
    assert row(block(lines=long, style=Style(lines=None)), "log") == ["x" * 5000]


@pytest.mark.parametrize(
    ("ranges", "want"),
    [
        (((3, 3),), "3"),
        (((3, 5), (6, 6)), "3-6"),
        (((3, 5), (5, 6), (9, 9)), "3-6,9"),
        (((1, 1), (3, 3), (5, 5), (7, 7), (9, 12)), "1-12 (in 5 pieces)"),
    ],
)
def test_ranges_of_lines(ranges, want):
    assert row(block(place=Place("a", None, ranges)), "where")[0].startswith(f"a:{want}, ")


EVIL = b"\x1b]0;owned\x07\x1b[2J\x00\x7f\xc2\x9b31m\x9b\xff\xe2\x80\xae\xe2\x81\xa6\r\ttab"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x00\x7f\x9b31m\x9b\xff\u202e\u2066\x0d" + "\ttab"


def test_log_bytes_are_escaped():
    assert printable(EVIL) == SHOWN
    assert printable("kärnan \udcff") == r"kärnan \xff"
    assert printable("\U000e0001") == r"\U000e0001"


@given(st.one_of(st.binary(), st.text()))
def test_nothing_unprintable_comes_through(value):
    shown = printable(value)
    assert all(character.isprintable() or character == "\t" for character in shown)
    plain = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if all(c.isprintable() and c != "�" for c in plain):
        assert shown == plain


def test_every_part_of_a_block_is_escaped():
    text = EVIL.decode("latin-1")
    changes = dict.fromkeys(("title", "host", "caller", "meaning", "confidence"), text)
    changes |= {"fields": {"victim": text}, "advice": (text,), "lines": (EVIL,) * 9}
    shown = block(place=Place(text), **changes)
    assert all(c.isprintable() or c in "\t\n" for c in shown)
    totals = Totals()
    totals.log(text, 1, Console.UP, {})
    totals.log(text, 1, Console.PANICKED, {})
    out = []
    TextBlocks(out.append).summary(totals)
    assert all(c.isprintable() or c in "\t\n" for c in "".join(out))


def test_colours_are_only_added():
    plain, coloured = block(), block(style=Style(colour=True))
    assert "\x1b" not in plain
    assert "\x1b[1;31mcrit\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == plain


def test_prose_is_wrapped_at_the_width():
    text = block(style=Style(width=40), meaning="word " * 30, advice=("do it " * 20,))
    rows = row(text, "means") + row(text, "do")
    assert len(rows) > 8
    assert max(map(len, rows)) <= 40 - 14


def test_line_ends_of_a_rule_file_are_no_line_ends():
    text = block(meaning="One\n  two.", advice=("Three\nfour.",))
    assert row(text, "means") == ["One two."]
    assert row(text, "do") == ["- Three four."]


def test_fields_are_packed_but_not_broken():
    fields = {f"name{n}": "two words" for n in range(9)} | {"long": "x" * 90}
    rows = row(block(style=Style(width=60), fields=fields), "fields")
    assert rows == [
        *[f'name{n}="two words" name{n + 1}="two words"' for n in range(0, 8, 2)],
        'name8="two words"',
        "long=" + "x" * 90,
    ]


def summary(totals):
    out = []
    TextBlocks(out.append).summary(totals)
    return "".join(out)


def test_summary_of_nothing():
    totals = Totals()
    totals.log("a", 12, Console.UNKNOWN, {})
    assert summary(totals) == "1 file; 12 bytes; no incidents\n"


def test_summary_of_much():
    totals = Totals()
    totals.log("a", 1000, Console.UP, {})
    totals.log("b", 2_000_000, Console.PANICKED, {"overlong_lines": 2, "evicted": 0})
    totals.unreadable = 1
    for severity in (3, 2, 3):
        totals.incident(incident(severity=severity))
    totals.incident(incident(truncated=True, ended=Ended.LIMIT, dropped_lines=5))
    assert summary(totals) == (
        "2 files; 1.9 MiB; 4 incidents (2 crit, 2 err); 1 not read to the end;"
        " console up (a), panicked (b); 1 cut short: longer than the limits allow;"
        " 5 lines of them left out; 2 over-long lines read in pieces\n"
    )


def test_summary_counts_many_consoles():
    totals = Totals()
    for n in range(9):
        totals.log(str(n), 1, Console.PANICKED if n % 3 else Console.UP, {})
    assert "; console 6 panicked, 3 up\n" in summary(totals)


def test_worst():
    totals = Totals()
    assert not totals.worst_is(7)
    totals.incident(incident(severity=3))
    assert totals.worst_is(3)
    assert totals.worst_is(4)
    assert not totals.worst_is(2)
    assert not totals.worst_is(-1)


@pytest.mark.parametrize(
    ("size", "want"),
    [(0, "0 bytes"), (1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"),
     (5 << 20, "5.0 MiB"), (3 << 40, "3.0 TiB"), (4096 << 40, "4096.0 TiB")],
)  # fmt: skip
def test_sizes(size, want):
    assert size_of(size) == want
