"""Run the examples that rules carry: what a rule says of itself, held against what it does.

Every log is scanned with the whole ruleset, as it would be in service: a rule that is right alone
and loses to another one's literal is wrong. What is found wrong comes back as text, one failure
a string; nothing is printed and nothing is raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tocsin.incident import Incident
from tocsin.rules.loader import Ruleset
from tocsin.rules.model import Example, Rule
from tocsin.scanner import Scanner, scan

__all__ = ["run_examples"]


def run_examples(ruleset: Ruleset) -> list[str]:
    """What the examples and counterexamples of a ruleset's rules and console rows get wrong."""
    failures: list[str] = []
    for rule in ruleset:
        for number, example in enumerate(rule.examples):
            where = f'{rule.source}: rule "{rule.id}": example[{number}]'
            failures += (f"{where}: {what}" for what in _example(rule, example, ruleset))
        for number, example in enumerate(rule.counterexamples):
            where = f'{rule.source}: rule "{rule.id}": counterexample[{number}]'
            failures += (f"{where}: {what}" for what in _counterexample(rule, example, ruleset))
    for row in ruleset.consoles:
        failures += _console(row, ruleset)
    return failures


def _example(rule: Rule, example: Example, ruleset: Ruleset) -> Iterator[str]:
    incidents = scan(example.log, ruleset)
    if rule.noise:
        if incidents:
            yield f"noise must stay silent, got {_list(incidents)}"
        return
    # An opening that waits for another rule to name it never gives an incident of its own.
    own = [i for i in incidents if i.rule == rule.id or rule.provisional]
    if example.kind is not None:
        own = [i for i in own if i.kind == example.kind] or [
            i for i in incidents if i.kind == example.kind
        ]
    if not own:
        wanted = "of this rule" if example.kind is None else f"of kind {example.kind}"
        yield f"no incident {wanted}; got {_list(incidents)}"
        return
    yield from _stated(example, own)


def _counterexample(rule: Rule, example: Example, ruleset: Ruleset) -> Iterator[str]:
    incidents = scan(example.log, ruleset)
    if not rule.noise:
        own = [i for i in incidents if i.rule == rule.id]
        if own:
            yield f"this rule must stay silent, got {_list(own)}"
    elif not incidents:
        yield "must still give an incident, got none"
        return
    if example.title or example.kind or example.severity or example.fields:
        if not incidents:
            yield "must still give an incident, got none"
        else:
            yield from _stated(example, incidents)


def _stated(example: Example, incidents: list[Incident]) -> Iterator[str]:
    """What the best of `incidents` has otherwise than the example states."""
    yield from min((list(_differences(example, i)) for i in incidents), key=len)


def _differences(example: Example, incident: Incident) -> Iterator[str]:
    wanted: list[tuple[str, Any, Any]] = [
        ("title", example.title, incident.title),
        ("kind", example.kind, incident.kind),
        ("severity", example.severity, incident.severity.name.lower()),
        ("count", example.count, incident.count),
    ]
    wanted += [(f"field {k}", v, incident.fields.get(k)) for k, v in example.fields.items()]
    for name, want, got in wanted:
        if want is not None and got != want:
            yield f"{name}: expected {want!r}, got {got!r}"


def _console(row: dict[str, Any], ruleset: Ruleset) -> Iterator[str]:
    for key, right in (("example", True), ("counterexample", False)):
        for number, example in enumerate(row.get(key, ())):
            scanner = Scanner(ruleset)
            scanner.feed(example["log"].encode("utf-8", "surrogateescape"))
            state = scanner.console.value
            if (state == row["state"]) is not right:
                wanted = f"expected {row['state']}" if right else "expected another state"
                yield f"console {row['literal']!r}: {key}[{number}]: {wanted}, got {state}"


def _list(incidents: list[Incident]) -> str:
    return ", ".join(f"{i.rule} {i.title!r}" for i in incidents) or "none"
