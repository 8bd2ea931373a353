"""Small calls, builds and the whole scanner: `pytest bench/` (needs pytest-benchmark).

What takes nanoseconds is measured in a loop inside one process, beside an empty method, because
the call itself is most of it.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import tocsin
from bench import haystacks
from bench.engines import LINE, AhoCorasickRs, Daachorse, Empty, Hyperscan, Unavailable
from tocsin._core.automaton import Automaton
from tocsin._core.variant import usable_variants

pytest.importorskip("pytest_benchmark")

WHERE = haystacks.source()
WORDS = haystacks.patterns(400, WHERE)


def test_empty_method(benchmark):
    assert benchmark(Empty().is_match, LINE) is False


@pytest.mark.parametrize("variant", usable_variants())
def test_is_match_on_an_innocent_line(benchmark, variant):
    assert benchmark(Automaton(WORDS, variant=variant).is_match, LINE) is False


@pytest.mark.parametrize("kind", [Hyperscan, AhoCorasickRs, Daachorse])
def test_peer_on_an_innocent_line(benchmark, kind):
    try:
        ask = kind(WORDS).ask
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert not benchmark(ask, LINE)


def test_scan_lines(benchmark):
    assert len(benchmark(Automaton(WORDS).scan_lines, [LINE] * 1000)) == 0


@pytest.mark.parametrize("variant", [usable_variants()[0], "dfa"])
@pytest.mark.parametrize("count", [50, 400, 1000, 5000])
def test_build(benchmark, count, variant):
    words = haystacks.patterns(count, WHERE)
    automaton = benchmark.pedantic(Automaton, (words,), {"variant": variant}, rounds=5)
    assert len(automaton) == count


def test_feed_an_innocent_line(benchmark):
    scanner = tocsin.Scanner()
    for _ in range(1000):
        scanner.feed(LINE + b"\n")
    assert benchmark(scanner.feed, LINE + b"\n") == []


def test_scan_quiet(benchmark):
    words = list(tocsin.load_rules().program.literals)
    data = haystacks.haystack("innocent", 8 << 20, words, WHERE)
    assert benchmark.pedantic(tocsin.scan, (data,), rounds=3) == []
