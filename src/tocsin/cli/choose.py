"""Which incidents a user asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.rules.model import Rule

__all__ = ["kinds_of", "parse_fail_on", "parse_severity"]

NEVER = -1  # worse than the worst: nothing is at or above it


def parse_severity(word: str) -> int:
    from argparse import ArgumentTypeError

    from tocsin import Severity

    aliases = {"error": "err", "warn": "warning", "critical": "crit", "emergency": "emerg"}
    name = aliases.get(word.lower(), word.lower()).upper()
    try:
        return int(Severity[name])
    except KeyError:
        words = ", ".join(member.name.lower() for member in Severity)
        raise ArgumentTypeError(f"{word!r} is no severity; one of {words}") from None


def parse_fail_on(word: str) -> int:
    return NEVER if word == "never" else parse_severity(word)


def kinds_of(ruleset: Iterable[Rule]) -> set[str]:
    """Every kind an incident of these rules can have."""
    kinds = set()
    for rule in ruleset:
        if not rule.noise:
            kinds.add(rule.kind)
            kinds.update(v.values["kind"] for v in rule.variants if "kind" in v.values)
    return kinds
