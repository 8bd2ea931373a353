"""tocsin explain: what a rule or a kind means, what to do, and what it looks for."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tocsin.cli.choose import kinds_of
from tocsin.cli.problems import CLEAN, FAILED, complain, nearest
from tocsin.cli.rulesets import load
from tocsin.cli.terminal import wants_colour, width_of
from tocsin.sinks.printable import printable
from tocsin.sinks.text import Style, plural

if TYPE_CHECKING:
    from tocsin.rules.model import Rule

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


def _by_id(rule: Rule) -> str:
    return str(rule.id)


def _has_kind(rule: Rule, name: str) -> bool:
    """The kind itself, or the family it is in: "storage" has all of storage.*."""
    return any(kind == name or kind.startswith(name + ".") for kind in kinds_of([rule]))


def _block(rule: Rule, style: Style) -> Iterator[str]:
    if rule.noise:
        yield style.paint("1", rule.id) + "  (noise: these lines are left out)"
        yield from _told("Why", [rule.reason or ""], style)
    else:
        yield style.paint("1", rule.id) + f"  {rule.kind}, {rule.severity}"
        yield from _told("Title", rule.titles, style)
        yield from _told("Meaning", [rule.meaning], style)
        yield from _told("What to do", rule.advice, style)
    yield from _told("Looks for", [f'"{printable(text)}"' for text in rule.literals], style)
    for example in rule.examples[:1]:
        yield "  " + style.paint("36", "Example:")
        lines = example.log.splitlines()
        yield from ("    " + printable(line) for line in lines[:EXAMPLE_LINES])
        if len(lines) > EXAMPLE_LINES:
            yield f"    ... {plural(len(lines) - EXAMPLE_LINES, 'more line')} ..."


def _told(label: str, texts: Sequence[str], style: Style) -> Iterator[str]:
    """One text behind its label, several as a list below it."""
    head = "  " + style.paint("36", label + ":")
    if len(texts) == 1:
        rows = _wrapped(texts[0], style.width - 4, len(label))
        yield f"{head} {rows[0]}"
        yield from ("    " + row for row in rows[1:])
    elif texts:
        yield head
        for text in texts:
            first, *rest = _wrapped(text, style.width - 6, 0)
            yield "    - " + first
            yield from ("      " + row for row in rest)


def _wrapped(text: str, width: int, taken: int) -> list[str]:
    """Rows of prose; `taken` columns of the first are somebody else's."""
    rows = textwrap.wrap(
        printable(" ".join(text.split())),
        max(width, 20),
        initial_indent=" " * taken,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [row.lstrip() for row in rows] or [""]
