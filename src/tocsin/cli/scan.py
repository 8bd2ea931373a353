"""tocsin scan: files in, incidents out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any, Protocol

import tocsin
from tocsin.cli.choose import kind_matches, kinds_of, unknown_kinds
from tocsin.cli.problems import CLEAN, FAILED, FOUND, complain, nearest
from tocsin.cli.rulesets import load
from tocsin.cli.terminal import wants_colour, width_of
from tocsin.sinks.jsonl import JsonLines
from tocsin.sinks.place import Place
from tocsin.sinks.text import Style, TextBlocks
from tocsin.sinks.totals import Totals
from tocsin.sources.archive import ArchiveError
from tocsin.sources.files import Log, Unreadable, expand, open_log, reason

__all__ = ["run"]


class Sink(Protocol):
    def incident(self, incident: Any, place: Place) -> None: ...


def run(arguments: argparse.Namespace) -> int:
    ruleset = load(arguments)
    if ruleset is None:
        return FAILED
    if arguments.kind:
        kinds = kinds_of(ruleset)
        if unknown := unknown_kinds(arguments.kind, kinds):
            for pattern in unknown:
                complain(f"no rule has a kind like {pattern!r}{nearest(pattern, kinds)}")
            return FAILED
    totals = Totals()
    text, sink = _sinks(arguments)
    failed = False
    for name in expand(arguments.files):
        problem = name if isinstance(name, Unreadable) else None
        if not isinstance(name, Unreadable):
            problem = _scan(name, ruleset, arguments, totals, sink)
        if problem is not None:
            failed = True
            totals.unreadable += 1
            complain(f"{problem.name}: {problem.reason}")
    if text is not None:
        text.summary(totals)
    if failed:
        return FAILED
    return FOUND if totals.worst_is(arguments.fail_on) else CLEAN


def _sinks(arguments: argparse.Namespace) -> tuple[TextBlocks | None, Sink | None]:
    """The sink that also tells totals, and the one that tells incidents."""
    if arguments.quiet:
        return None, None
    write: Callable[[str], object] = sys.stdout.write
    if arguments.format == "jsonl":
        return None, JsonLines(write, tocsin.__version__)
    style = Style(
        colour=wants_colour(arguments.color, sys.stdout),
        width=width_of(sys.stdout),
        lines=arguments.lines,
    )
    text = TextBlocks(write, style)
    return text, text


def _scan(
    name: str, ruleset: Any, arguments: argparse.Namespace, totals: Totals, sink: Sink | None
) -> Unreadable | None:
    """Scan one log as far as it can be read; what stopped it early, if anything did."""
    try:
        log = open_log(name)
    except (OSError, ArchiveError) as error:
        return Unreadable(name, reason(error))
    scanner = tocsin.Scanner(ruleset)
    problem = None
    with log:
        chunks = log.chunks()
        while True:
            # Only reading is guarded: an error of the output is none of this log.
            try:
                chunk = next(chunks, None)
            except (OSError, ArchiveError) as error:
                problem = Unreadable(log.name, reason(error))
                break
            if chunk is None:
                break
            _report(scanner.feed(chunk), log, arguments, totals, sink)
        _report(scanner.flush(), log, arguments, totals, sink)
    totals.log(log.name, scanner.offset, scanner.console)
    return problem


def _report(
    incidents: list[Any],
    log: Log,
    arguments: argparse.Namespace,
    totals: Totals,
    sink: Sink | None,
) -> None:
    for incident in incidents:
        if incident.severity > arguments.min_severity:
            continue
        if not kind_matches(incident.kind, arguments.kind):
            continue
        totals.incident(incident)
        if sink is not None:
            sink.incident(incident, Place(log.name, log.path, _lines(incident, log)))


def _lines(incident: Any, log: Log) -> tuple[tuple[int, int], ...] | None:
    """First and last line of each span; None as soon as one of them is not known."""
    lines = []
    for start, end in incident.spans:
        first, last = log.line_at(start), log.line_at(end - 1)
        if first is None or last is None:
            return None
        lines.append((first, last))
    return tuple(lines)
