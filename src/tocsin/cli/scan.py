"""tocsin scan: files in, incidents out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from typing import Protocol

import tocsin
from tocsin import Incident, Ruleset
from tocsin.cli.problems import CLEAN, FAILED, FOUND, complain
from tocsin.cli.rulesets import load_for_kinds
from tocsin.cli.terminal import wants_colour, width_of
from tocsin.sinks.jsonl import JsonLines
from tocsin.sinks.kinds import kind_matches
from tocsin.sinks.place import Place
from tocsin.sinks.text import Style, TextBlocks
from tocsin.sinks.totals import Totals
from tocsin.sources.archive import ArchiveError
from tocsin.sources.files import Log, Unreadable, expand, open_log, reason

__all__ = ["run"]


class Sink(Protocol):
    def incident(self, incident: Incident, place: Place) -> None: ...
    def summary(self, totals: Totals) -> None: ...


class Silence:
    """The sink of --quiet: the exit code says it all."""

    def incident(self, incident: Incident, place: Place) -> None:
        pass

    def summary(self, totals: Totals) -> None:
        pass


def run(arguments: argparse.Namespace) -> int:
    ruleset = load_for_kinds(arguments)
    if ruleset is None:
        return FAILED
    scan = Scan(ruleset, _sink(arguments), arguments)
    for name in expand(arguments.files):
        problem = name if isinstance(name, Unreadable) else scan.log(name)
        if problem is not None:
            scan.totals.unreadable += 1
            complain(f"{problem.name}: {problem.reason}")
    scan.sink.summary(scan.totals)
    if scan.totals.unreadable:
        return FAILED
    return FOUND if scan.totals.worst_is(arguments.fail_on) else CLEAN


def _sink(arguments: argparse.Namespace) -> Sink:
    if arguments.quiet:
        return Silence()
    if arguments.format == "jsonl":
        return JsonLines(sys.stdout.write, tocsin.__version__)
    style = Style(
        colour=wants_colour(arguments.color, sys.stdout),
        width=width_of(sys.stdout),
        lines=arguments.lines,
    )
    return TextBlocks(sys.stdout.write, style)


class Scan:
    """One run over any number of logs: each has a scanner of its own, all share the totals."""

    def __init__(self, ruleset: Ruleset, sink: Sink, arguments: argparse.Namespace) -> None:
        self.sink = sink
        self.totals = Totals()
        self._ruleset = ruleset
        self._kinds: list[str] = arguments.kind
        self._min_severity: int = arguments.min_severity
        self._stdin: str = arguments.source

    def log(self, name: str) -> Unreadable | None:
        """Scan one log as far as it can be read; what stopped it early, if anything did."""
        try:
            log = open_log(name, stdin=self._stdin)
        except (OSError, ArchiveError) as error:
            return Unreadable(name, reason(error))
        scanner = tocsin.Scanner(self._ruleset)
        problem = None
        with log:
            chunks = log.chunks()
            while True:
                # Only reading is guarded: an error of the output is not one of this log.
                try:
                    chunk = next(chunks, None)
                except (OSError, ArchiveError) as error:
                    problem = Unreadable(log.name, reason(error))
                    break
                if chunk is None:
                    break
                self._report(scanner.feed(chunk), log)
            self._report(scanner.flush(), log)
        self.totals.log(log.name, scanner.offset, scanner.console, scanner.counts)
        return problem

    def _report(self, incidents: Iterable[Incident], log: Log) -> None:
        for incident in incidents:
            if incident.severity > self._min_severity:
                continue
            if not kind_matches(incident.kind, self._kinds):
                continue
            self.totals.incident(incident)
            self.sink.incident(incident, Place(log.name, log.path, _lines(incident, log)))


def _lines(incident: Incident, log: Log) -> tuple[tuple[int, int], ...] | None:
    """First and last line of each span; None as soon as one of them is not known."""
    lines = []
    for start, end in incident.spans:
        first, last = log.line_at(start), log.line_at(end - 1)
        if first is None or last is None:
            return None
        lines.append((first, last))
    return tuple(lines)
