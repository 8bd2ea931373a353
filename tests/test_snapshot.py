"""A scanner's state as bytes: small, deterministic, refused when it is not whole."""

import random
import zlib

import pytest

import tocsin
from tests.small import look, rules

LOG = b"""[    1.000001] x
[    2.000001] OOPS here
[    2.000002]  f+0x1/0x2
[    2.000003] DISC one
[    2.000004] DOWN sda
Nov 23 01:02:03 web-1 kernel: [    3.000001][  T17] WARN there
[    2.000005] held
"""


def feed(*chunks, **options):
    scanner = tocsin.Scanner(rules(), **options)
    for chunk in chunks:
        scanner.feed(chunk)
    return scanner


def test_a_fresh_scanner_is_a_few_dozen_bytes():
    assert len(feed().dumps()) < 128


def test_the_same_stream_gives_the_same_state():
    whole = feed(LOG + b"unfinis")
    cut = feed(*(bytes([b]) for b in LOG + b"unfinis"))
    assert whole.dumps() == cut.dumps()
    assert tocsin.Scanner.loads(whole.dumps(), rules()).dumps() == whole.dumps()


def test_dumps_changes_nothing():
    one, two = feed(LOG), feed(LOG)
    two.dumps()
    assert look(one.flush()) == look(two.flush())


def test_a_restored_scanner_goes_on():
    scanner = feed(LOG[:90])
    again = tocsin.Scanner.loads(scanner.dumps(), rules())
    assert (again.offset, again.pending, again.boot) == (90, True, scanner.boot)
    assert look(again.feed(LOG[90:]) + again.flush()) == look(
        scanner.feed(LOG[90:]) + scanner.flush()
    )


def test_counts_and_console_survive():
    scanner = feed(b"PANIC\n" + b"x" * 70_000 + b"\n" + b"OOPS\nWARN\n" * 3)
    again = tocsin.Scanner.loads(scanner.dumps(), rules())
    assert again.counts == scanner.counts
    assert again.counts["overlong_lines"] == 1
    assert again.console is tocsin.ConsoleState.PANICKED


def test_limits_are_part_of_the_state():
    limits = tocsin.Limits(line_bytes=256, trace_lines=3, folds=2)
    log = b"[    1.000001] OOPS\n" + b"++++ x\n" * 9 + b"y" * 250
    scanner = feed(log, limits=limits)
    again = tocsin.Scanner.loads(scanner.dumps(), rules())
    rest = b"y" * 250 + b"\nDOWN a\nDOWN b\nDOWN c\n"
    assert look(again.feed(rest) + again.flush()) == look(scanner.feed(rest) + scanner.flush())


def test_other_limits_than_those_of_the_state_are_refused():
    state = feed(b"y" * 5000).dumps()
    assert tocsin.Scanner.loads(state, rules(), limits=tocsin.Limits()).offset == 5000
    with pytest.raises(ValueError, match="limits"):
        tocsin.Scanner.loads(state, rules(), limits=tocsin.Limits(line_bytes=256))


@pytest.mark.parametrize(
    ("state", "what"),
    [
        (b"", "not a scanner state"),
        (b"tocsin", "not a scanner state"),
        (b"\x00" * 200, "not a scanner state"),
        (b"x" * 5000, "not a scanner state"),
    ],
)
def test_bytes_of_something_else(state, what):
    with pytest.raises(ValueError, match=what):
        tocsin.Scanner.loads(state, rules())


def test_another_ruleset(builtin):
    with pytest.raises(ValueError, match="another ruleset"):
        tocsin.Scanner.loads(tocsin.Scanner(builtin).dumps(), rules())


@pytest.mark.parametrize("state", [bytearray(b"x"), memoryview(b"x"), "x", None, 3])
def test_only_bytes(state):
    with pytest.raises(TypeError):
        tocsin.Scanner.loads(state, rules())


STATES = {
    "fresh": b"",
    "unfinished line": b"some text",
    "reports and folds": LOG,
    "inside an over-long line": b"OOPS\n" + b"z" * 70_000,
}


@pytest.mark.parametrize("name", STATES)
def test_every_truncation_is_refused(name):
    state = feed(STATES[name]).dumps()
    step = max(1, len(state) // 2000)
    for size in range(0, len(state), step):
        with pytest.raises(ValueError):
            tocsin.Scanner.loads(state[:size], rules())
    with pytest.raises(ValueError):
        tocsin.Scanner.loads(state + b"\x00", rules())


@pytest.mark.parametrize("name", STATES)
def test_every_damaged_byte_is_refused(name):
    state = feed(STATES[name]).dumps()
    step = max(1, len(state) // 1000)
    for at in range(0, len(state), step):
        for value in {0, 1, 127, 128, 255, state[at] ^ 1, state[at] ^ 64} - {state[at]}:
            with pytest.raises(ValueError):
                tocsin.Scanner.loads(state[:at] + bytes([value]) + state[at + 1 :], rules())


def test_random_damage_never_makes_a_scanner_that_misbehaves():
    """Damage that a check sum happens to match, or is made to match, is still only a ValueError."""
    rng = random.Random(17)
    state = feed(LOG).dumps()
    head, body = state[:24], state[24:-4]  # name, version and ruleset; the sum stands at the end
    refused = taken = 0
    for _ in range(4000):
        torn = bytearray(body)
        for _ in range(rng.randint(1, 4)):
            torn[rng.randrange(len(torn))] = rng.choice((0, 1, 2, 3, 64, 127, 128, 200, 255))
        whole = head + bytes(torn)
        whole += zlib.crc32(whole).to_bytes(4, "little")
        try:
            scanner = tocsin.Scanner.loads(whole, rules())
        except ValueError:
            refused += 1
            continue
        taken += 1
        assert isinstance(scanner.console, tocsin.ConsoleState)
        for incident in scanner.feed(LOG) + scanner.flush():
            repr(incident)
            incident.to_dict()
        scanner.dumps()
    assert refused > 100
    assert taken > 100
