"""tocsin adapter: inside a log shipper, on its standard streams and by its protocol."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tocsin.cli import watch
from tocsin.cli.options import seconds
from tocsin.cli.problems import CLEAN, FAILED

if TYPE_CHECKING:
    from tocsin.sources.shipper import Answer
    from tocsin.watch.watcher import Watcher

__all__ = ["add"]

RSYSLOG = """\
For omprog with confirmMessages="on": prints OK, then OK for each line it has kept. Incidents go to
--output and the other sinks. With --mmexternal it answers each line with a JSON object that has the
incidents which ended in it, as $!tocsin. See examples/rsyslog.
"""
SYSLOG_NG = """\
For a program() destination: JSON lines on standard input, incidents to --output and the other
sinks. syslog-ng asks for no answer, so lines that are on their way when tocsin is killed are lost;
how many is told, by their numbers. See examples/syslog-ng, also for a parser inside syslog-ng.
"""
LINES = """\
JSON objects (or plain lines) on standard input, one a line; incidents as JSON lines on standard
output and nothing else. For the exec inputs and outputs of Fluent Bit, Vector, the OpenTelemetry
Collector and others. See examples/.
"""


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    *parents: argparse.ArgumentParser,
) -> None:
    adapter = commands.add_parser("adapter", help="run inside a log shipper")
    shippers = adapter.add_subparsers(title="shippers", metavar="SHIPPER", required=True)
    rsyslog = shippers.add_parser(
        "rsyslog", help="omprog or mmexternal of rsyslog", epilog=RSYSLOG, parents=parents
    )
    rsyslog.add_argument(
        "--mmexternal", action="store_true", help="answer with what to add to each message"
    )
    rsyslog.set_defaults(run=run_rsyslog)
    syslog_ng = shippers.add_parser(
        "syslog-ng", help="program() of syslog-ng", epilog=SYSLOG_NG, parents=parents
    )
    syslog_ng.set_defaults(run=run_syslog_ng)
    lines = shippers.add_parser(
        "lines", help="a filter: JSON lines in, incidents out", epilog=LINES, parents=parents
    )
    lines.add_argument(
        "--no-stderr",
        action="store_true",
        help="say nothing on standard error, for shippers that take it for log lines",
    )
    lines.set_defaults(run=run_lines)
    for parser in (rsyslog, syslog_ng, lines):
        parser.add_argument(
            "--state", metavar="DIR", help="keep open reports and untold alarms here"
        )
        parser.add_argument(
            "--idle",
            type=seconds,
            default=2.0,
            metavar="SECONDS",
            help="silence after which a report counts as cut off and is told (default: 2)",
        )
        watch.add_filters(parser)
        watch.add_sinks(parser)


def run_rsyslog(arguments: argparse.Namespace) -> int:
    from tocsin.sources.shipper import Confirm, Enrich

    if arguments.mmexternal:
        _mute()  # rsyslog takes standard error for a part of the answer
        enrich = Enrich()
        return _run(arguments, "rsyslog", enrich, lambda watcher: watcher.listen(enrich.found))
    return _run(arguments, "rsyslog", Confirm(), lambda watcher: None)


def run_syslog_ng(arguments: argparse.Namespace) -> int:
    from tocsin.sources.shipper import Silent

    return _run(arguments, "syslog-ng", Silent(), lambda watcher: None)


def run_lines(arguments: argparse.Namespace) -> int:
    from tocsin.sinks.render import json_line
    from tocsin.sinks.stream import FileSink
    from tocsin.sources.shipper import Silent

    if arguments.no_stderr:
        _mute()
    return _run(
        arguments,
        "lines",
        Silent(),
        lambda watcher: watcher.add_sink("stdout", FileSink(1, json_line)),
    )


def _run(
    arguments: argparse.Namespace,
    name: str,
    answer: Answer,
    prepare: Callable[[Watcher], object],
) -> int:
    return watch.guarded(lambda: _adapt(arguments, name, answer, prepare))


def _adapt(
    arguments: argparse.Namespace,
    name: str,
    answer: Answer,
    prepare: Callable[[Watcher], object],
) -> int:
    from tocsin.sources.shipper import JOURNALLED, Shipper

    arguments.format = "jsonl"
    watcher = watch.build(arguments)
    if watcher is None:
        return FAILED
    prepare(watcher)
    keep = watcher.store.journal.append if watcher.store else None
    shipper = Shipper(name, answer, keep, watcher.source_ended)
    shipper.prepare(watcher.streams)
    watcher.replay[JOURNALLED] = shipper.replay
    watcher.add_source(shipper)
    watcher.start()
    watcher.run()
    return CLEAN


def _mute() -> None:
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    os.close(devnull)
