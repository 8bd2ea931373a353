"""tocsin explain: what a rule or a kind means, what to do, and what it looks for."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

from tocsin.cli.choose import kinds_of
from tocsin.cli.problems import CLEAN, FAILED, complain, nearest
from tocsin.cli.rulesets import load
from tocsin.cli.terminal import wants_colour, width_of
from tocsin.sinks.printable import printable
from tocsin.sinks.text import Style

__all__ = ["run"]

EXAMPLE_LINES = 12  # of a log: enough to recognise it by


def run(arguments: argparse.Namespace) -> int:
    ruleset = load(arguments)
    if ruleset is None:
        return FAILED
    style = Style(wants_colour(arguments.color, sys.stdout), width_of(sys.stdout))
    name = arguments.name
    rules = [rule for rule in ruleset if rule.id == name]
    if not rules:
        rules = sorted((r for r in ruleset if not r.noise and _has_kind(r, name)), key=_by_id)
    if not rules:
        known = {rule.id for rule in ruleset} | kinds_of(ruleset)
        complain(f"no rule and no kind is called {name!r}{nearest(name, known)}")
        return FAILED
    sys.stdout.write("\n\n".join("\n".join(_block(rule, style)) for rule in rules) + "\n")
    return CLEAN


def _by_id(rule: Any) -> str:
    return str(rule.id)


def _has_kind(rule: Any, name: str) -> bool:
    """The kind itself, or the family it is in: "storage" has all of storage.*."""
    return any(kind == name or kind.startswith(name + ".") for kind in kinds_of([rule]))


def _block(rule: Any, style: Style) -> Iterator[str]:
    if rule.noise:
        yield style.paint("1", rule.id) + "  (noise: these lines are left out)"
        yield from _prose("Why", rule.reason or "", style)
    else:
        yield style.paint("1", rule.id) + f"  {rule.kind}, {rule.severity}"
        for title in rule.titles:
            yield from _prose("Title", title, style)
        yield from _prose("Meaning", rule.meaning, style)
        for advice in rule.advice:
            yield from _prose("What to do", advice, style)
    literals = ", ".join(f'"{printable(literal)}"' for literal in rule.literals)
    yield from _prose("Looks for", literals, style)
    for example in rule.examples[:1]:
        yield "  " + style.paint("36", "Example")
        lines = bytes(example.log).splitlines()
        yield from ("    " + printable(line) for line in lines[:EXAMPLE_LINES])
        if len(lines) > EXAMPLE_LINES:
            yield f"    ... {len(lines) - EXAMPLE_LINES} more ..."


def _prose(label: str, text: str, style: Style) -> Iterator[str]:
    if not text:
        return
    head = f"{label}: "
    rows = textwrap.wrap(
        head + printable(" ".join(text.split())),
        style.width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    rows[0] = rows[0].replace(label, style.paint("36", label), 1)
    yield from rows
