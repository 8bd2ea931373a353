"""tocsin rules: list them, check a file of them, run their examples."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tocsin
from tocsin.cli.problems import CLEAN, FAILED, FOUND, complain
from tocsin.cli.rulesets import load
from tocsin.sinks.jsonl import dump_line
from tocsin.sinks.printable import printable
from tocsin.sinks.text import plural
from tocsin.sources.files import reason

if TYPE_CHECKING:
    from tocsin.rules.model import Rule

__all__ = ["check", "show", "test"]


def show(arguments: argparse.Namespace) -> int:
    ruleset = load(arguments, arguments.paths)
    if ruleset is None:
        return FAILED
    rows = sorted(ruleset, key=lambda rule: (rule.noise, rule.id))
    if arguments.format == "jsonl":
        for rule in rows:
            sys.stdout.write(dump_line(_wire(rule)) + "\n")
        return CLEAN
    table = [("ID", "KIND", "SEVERITY", "TITLE"), *map(_cells, rows)]
    widths = [max(map(len, column)) for column in list(zip(*table, strict=True))[:-1]]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        sys.stdout.write("  ".join([*cells, row[-1]]).rstrip() + "\n")
    return CLEAN


def check(arguments: argparse.Namespace) -> int:
    """Each file beside the built-in rules, since its rules may name those."""
    failed = False
    for path in arguments.paths:
        try:
            tocsin.load_rules(*arguments.rules, path, builtin=not arguments.no_builtin)
        except tocsin.RuleError as error:
            failed = True
            print(printable_lines(str(error)), file=sys.stderr)
        except OSError as error:
            failed = True
            complain(f"{path}: {reason(error)}")
        else:
            if not arguments.quiet:
                print(f"{printable(path)}: no errors")
    return FAILED if failed else CLEAN


def test(arguments: argparse.Namespace) -> int:
    from tocsin.examples import run_examples

    ruleset = load(arguments, arguments.paths)
    if ruleset is None:
        return FAILED
    failures = run_examples(ruleset)
    for failure in failures:
        print(printable_lines(failure))
    if not arguments.quiet:
        print(_verdict(list(ruleset), failures))
    return FOUND if failures else CLEAN


def _verdict(rules: Sequence[Rule], failures: Sequence[str]) -> str:
    examples = sum(len(rule.examples) for rule in rules)
    counterexamples = sum(len(rule.counterexamples) for rule in rules)
    done = ", ".join(
        (
            plural(len(rules), "rule"),
            plural(examples, "example"),
            plural(counterexamples, "counterexample"),
        )
    )
    return f"{done}: {plural(len(failures), 'failure') if failures else 'all as expected'}"


def printable_lines(text: str) -> str:
    return "\n".join(map(printable, text.splitlines()))


def _cells(rule: Rule) -> tuple[str, str, str, str]:
    if rule.noise:
        return rule.id, "-", "noise", f"({printable(rule.reason or '')})"
    return rule.id, rule.kind, rule.severity, printable(rule.title)


def _wire(rule: Rule) -> dict[str, Any]:
    wire: dict[str, Any] = {"id": rule.id, "source": str(rule.source), "noise": bool(rule.noise)}
    if rule.noise:
        return {**wire, "reason": rule.reason}
    return {
        **wire,
        "kind": rule.kind,
        "severity": rule.severity,
        "title": rule.title,
        "meaning": rule.meaning,
        "advice": list(rule.advice),
    }
