"""Plans made ahead: the same automaton, sooner."""

import pytest

from tocsin import Automaton
from tocsin._core.plans import plan_ahead
from tocsin._core.variant import looks_for, usable_variants

PATTERNS = [b"panic %d: lost %04d" % (n, n * 7919 % 10000) for n in range(700)]
HAYSTACK = b"".join(b"line %d %s and some more text\n" % (n, p) for n, p in enumerate(PATTERNS))
LOOKS = looks_for(len(PATTERNS))
PLANS = [plan_ahead(PATTERNS, look) for look in LOOKS]


@pytest.mark.parametrize("variant", usable_variants())
def test_a_planned_automaton_is_the_same_automaton(variant):
    fresh = Automaton(PATTERNS, variant=variant)
    expected = list(fresh.find_all(HAYSTACK))
    assert len(expected) >= len(PATTERNS)
    for plan in PLANS:
        planned = Automaton(PATTERNS, variant=variant, plans=[plan])
        assert list(planned.find_all(HAYSTACK)) == expected


def test_a_plan_is_used_where_it_fits():
    windows = plan_ahead(PATTERNS, LOOKS[0])[-len(PATTERNS) :]
    automata = [Automaton(PATTERNS, variant=name, plans=PLANS[:1]) for name in usable_variants()]
    assert tuple(windows) in [automaton.windows for automaton in automata]


def test_a_plan_is_for_its_patterns_only():
    with pytest.raises(ValueError, match="other patterns"):
        Automaton(PATTERNS[1:], plans=PLANS[:1])
    with pytest.raises(ValueError, match="other patterns"):
        Automaton(PATTERNS, plans=[PLANS[0][:-1]])


def test_a_damaged_plan_is_refused():
    with pytest.raises(ValueError, match="outside its pattern"):
        Automaton(PATTERNS, plans=[PLANS[0][:-1] + b"\xff"])


def test_only_for_a_look_that_exists():
    with pytest.raises(ValueError, match=r"in this way: \(3, 16, 3\)"):
        plan_ahead(PATTERNS, (3, 16, 3))
