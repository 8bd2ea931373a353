"""The rules a command works with, from its --rules and --no-builtin."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import tocsin
from tocsin import Ruleset
from tocsin.cli.choose import kinds_of
from tocsin.cli.problems import complain, nearest
from tocsin.sinks.kinds import unknown_kinds
from tocsin.sources.files import reason

__all__ = ["load", "load_for_kinds"]


def load(arguments: argparse.Namespace, extra: Sequence[str] = ()) -> Ruleset | None:
    """A Ruleset; None after complaining about what is wrong with the files."""
    paths = [*arguments.rules, *extra]
    if arguments.no_builtin and not paths:
        complain("--no-builtin leaves no rules; name some with --rules")
        return None
    try:
        return tocsin.load_rules(*paths, builtin=not arguments.no_builtin)
    except tocsin.RuleError as error:
        for line in str(error).splitlines():
            complain(line)
    except OSError as error:
        complain(f"{error.filename or 'rules'}: {reason(error)}")
    return None


def load_for_kinds(arguments: argparse.Namespace) -> Ruleset | None:
    """The same for a command with --kind, each of which must be able to match something."""
    ruleset = load(arguments)
    if ruleset is None:
        return None
    kinds = kinds_of(ruleset)
    unknown = unknown_kinds(arguments.kind, kinds)
    for pattern in unknown:
        complain(f"no rule has a kind like {pattern!r}{nearest(pattern, kinds)}")
    return None if unknown else ruleset
