"""Plans made ahead: the same automaton, sooner."""

import pytest

from tocsin import Automaton
from tocsin._core.prefilter import plan_ahead
from tocsin._core.variant import usable_variants

PATTERNS = [b"panic %d: lost %04d" % (n, n * 7919 % 10000) for n in range(700)]
HAYSTACK = b"".join(b"line %d %s and some more text\n" % (n, p) for n, p in enumerate(PATTERNS))
PLANS = [plan_ahead(PATTERNS, kind, buckets) for kind in (1, 2) for buckets in (8, 16)]


@pytest.mark.parametrize("variant", usable_variants())
def test_a_planned_automaton_is_the_same_automaton(variant):
    for plan in PLANS:
        planned = Automaton(PATTERNS, variant=variant, plans=[plan])
        fresh = Automaton(PATTERNS, variant=variant)
        assert planned.windows == fresh.windows
        assert list(planned.find_all(HAYSTACK)) == list(fresh.find_all(HAYSTACK))
    assert fresh.count(HAYSTACK) >= len(PATTERNS)


def test_a_plan_is_for_its_patterns_only():
    with pytest.raises(ValueError, match="other patterns"):
        Automaton(PATTERNS[1:], plans=PLANS[:1])
    with pytest.raises(ValueError, match="other patterns"):
        Automaton(PATTERNS, plans=[PLANS[0][:-1]])


def test_a_damaged_plan_is_refused():
    with pytest.raises(ValueError, match="outside its pattern"):
        Automaton(PATTERNS, plans=[PLANS[0][:-1] + b"\xff"])


def test_only_tables_that_exist_are_planned():
    with pytest.raises(ValueError, match="kind 3"):
        plan_ahead(PATTERNS, 3, 16)
