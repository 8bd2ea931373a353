"""tocsin watch: living consoles in, alarms out, until it is told to stop."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tocsin.cli.options import add_filters, count, seconds, seconds_or_none
from tocsin.cli.problems import CLEAN, FAILED, complain

if TYPE_CHECKING:
    from tocsin import Ruleset
    from tocsin.watch.alarms import Alarm
    from tocsin.watch.maintenance import Maintenance
    from tocsin.watch.watcher import Watcher

__all__ = ["add", "add_filters", "add_sinks", "build", "guarded", "run"]

EPILOG = """\
SOURCE is one of
  FILE, DIRECTORY, 'GLOB'   followed through rotation and truncation; also what appears later
  -                         standard input, until it ends
  DEVICE                    a serial device, a pty, a named pipe
  unix:PATH                 a socket that sends console bytes (qemu -serial unix:PATH,server)
  /dev/kmsg                 the kernel's own records; kmsg:FILE is a file of them
  journald, FILE.journal    the journal, through journalctl
  netconsole:HOST:PORT      listen for netconsole, plain or extended
  syslog-udp:HOST:PORT      listen for syslog
  syslog-tcp:HOST:PORT

Exit status: 0 when stopped or at the end of every source, 2 when it cannot start or a source could
not be read.
"""
KEEP = 10000


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    *parents: argparse.ArgumentParser,
) -> None:
    watch = commands.add_parser(
        "watch",
        help="watch living consoles and tell what goes wrong",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=parents,
    )
    watch.add_argument("sources", nargs="+", metavar="SOURCE")
    watch.add_argument("--format", choices=("text", "jsonl"), default="text")
    watch.add_argument(
        "--state",
        metavar="DIR",
        help="keep positions, open reports and untold alarms here, over restarts and crashes",
    )
    watch.add_argument(
        "--idle",
        type=seconds,
        default=2.0,
        metavar="SECONDS",
        help="silence after which a report counts as cut off and is told (default: 2)",
    )
    watch.add_argument(
        "--from",
        dest="begin",
        choices=("start", "end"),
        default="end",
        help="where to begin in files that are there already and have no state (default: end)",
    )
    watch.add_argument("--poll", action="store_true", help="look at files by turns, no inotify")
    add_filters(watch)
    add_sinks(watch)
    watch.set_defaults(run=run, parser=watch)


def add_sinks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FILE", help="append JSON lines to this file, as well")
    parser.add_argument(
        "--exec",
        metavar="COMMAND",
        help="run this by /bin/sh for each incident, its JSON on standard input",
    )
    parser.add_argument(
        "--notify",
        action="append",
        default=[],
        metavar="URL",
        help="tell people, by a URL of Apprise; may be repeated (extra: notify)",
    )
    parser.add_argument(
        "--otlp",
        metavar="URL",
        help="an OpenTelemetry collector, http://HOST:4318/v1/logs (extra: otel)",
    )
    parser.add_argument(
        "--syslog",
        metavar="ADDRESS",
        help="a datagram socket's path (/dev/log), udp:HOST:PORT or tcp:HOST:PORT",
    )
    parser.add_argument(
        "--prometheus-file", metavar="FILE", help="counts, for node_exporter's textfile collector"
    )
    parser.add_argument(
        "--metrics", metavar="HOST:PORT", help="counts at /metrics (extra: prometheus)"
    )
    parser.add_argument(
        "--maintenance",
        metavar="FILE",
        help="windows in which trouble is expected: told as asked for, without --exec and --notify"
        " (tocsin maintenance --help)",
    )
    parser.add_argument(
        "--repeat-after",
        type=seconds_or_none,
        default=60.0,
        metavar="SECONDS",
        help="--exec and --notify: repeats of the same fault are told together (default: 60)",
    )
    parser.add_argument(
        "--rate",
        type=count,
        default=30,
        metavar="N",
        help="--exec and --notify: at most so many a minute (default: 30)",
    )
    parser.add_argument(
        "--keep",
        type=count,
        default=KEEP,
        metavar="N",
        help=f"alarms kept for a sink that does not take them (default: {KEEP})",
    )


def run(arguments: argparse.Namespace) -> int:
    return guarded(lambda: _watch(arguments))


def guarded(watch: Callable[[], int]) -> int:
    """What it returns, unless the state turns out to be damaged."""
    from tocsin.watch.store import BadState

    try:
        return watch()
    except BadState as error:
        complain(str(error))
        return FAILED


def _watch(arguments: argparse.Namespace) -> int:
    watcher = build(arguments)
    if watcher is None:
        return FAILED
    from tocsin.cli.sources import add_sources
    from tocsin.cli.terminal import can_write
    from tocsin.sinks.stream import FileSink

    if can_write(1):
        watcher.add_sink("stdout", FileSink(1, _renderer(arguments)))
    elif not any(getattr(arguments, name) for name, *_ in SINKS):
        complain("standard output is closed, and no option says where else to tell incidents")
        return FAILED
    if not add_sources(watcher, arguments):
        return FAILED
    watcher.start()
    watcher.run()
    return FAILED if watcher.failed else CLEAN


def build(arguments: argparse.Namespace) -> Watcher | None:
    """A watcher with the sinks that the arguments name; None after complaining. Raises
    store.BadState."""
    import tocsin
    from tocsin.cli.rulesets import load_for_kinds
    from tocsin.sinks.kinds import kind_matches
    from tocsin.watch.maintenance import BadWindows
    from tocsin.watch.watcher import Watcher

    ruleset = load_for_kinds(arguments)
    if ruleset is None:
        return None

    def wants(alarm: Alarm) -> bool:
        if alarm.kind in ("tocsin.gap", "tocsin.maintenance"):
            return True
        kind = alarm.wire["attributes"].get("tocsin.kind", alarm.kind)
        return alarm.severity <= arguments.min_severity and kind_matches(kind, arguments.kind)

    def on_gap(alarm: Alarm) -> None:
        if getattr(arguments, "format", "text") == "text":
            complain(f"{alarm.source}: {alarm.title}")

    try:
        windows = _windows(arguments, ruleset)
        watcher = Watcher(
            ruleset,
            tocsin.__version__,
            idle=arguments.idle,
            keep=arguments.keep,
            state=arguments.state,
            complain=complain,
            wants=wants,
            on_gap=on_gap,
            maintenance=windows,
        )
    except BadWindows as error:
        complain(str(error))
        return None
    return watcher if _add_named_sinks(watcher, arguments) else None


def _windows(arguments: argparse.Namespace, ruleset: Ruleset) -> Maintenance | None:
    """Raises BadWindows, with the file's name."""
    from tocsin.cli.choose import kinds_of
    from tocsin.watch.maintenance import BadWindows, Maintenance

    path = arguments.maintenance
    if path is None:
        return None
    try:
        return Maintenance(path, kinds_of(ruleset), complain)
    except (BadWindows, OSError) as error:
        raise BadWindows(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _add_named_sinks(watcher: Watcher, arguments: argparse.Namespace) -> bool:
    for name, extra, make in SINKS:
        value = getattr(arguments, name)
        if not value:
            continue
        option = "--" + name.replace("_", "-")
        try:
            make(watcher, value, arguments)
        except ImportError as error:
            hint = f'; pip install "tocsin[{extra}]"' if extra else ""
            complain(f"{option}: {error.name or error} is not installed{hint}")
            return False
        except (OSError, ValueError) as error:
            where = f" {value}" if isinstance(error, OSError) else ""
            complain(f"{option}{where}: {getattr(error, 'strerror', None) or error}")
            return False
    return True


def _output(watcher: Watcher, path: str, arguments: argparse.Namespace) -> None:
    from tocsin.sinks.render import json_line
    from tocsin.sinks.stream import FileSink

    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    watcher.add_sink("output", FileSink(fd, json_line, path))


def _exec(watcher: Watcher, command: str, arguments: argparse.Namespace) -> None:
    from tocsin.sinks.command import Command
    from tocsin.watch.storm import Storm

    watcher.add_sink("exec", Command(command), Storm(arguments.repeat_after, arguments.rate))


def _notify(watcher: Watcher, urls: list[str], arguments: argparse.Namespace) -> None:
    from tocsin.sinks.notify import Notify
    from tocsin.watch.storm import Storm

    watcher.add_sink("notify", Notify(urls), Storm(arguments.repeat_after, arguments.rate))


def _otlp(watcher: Watcher, url: str, arguments: argparse.Namespace) -> None:
    import tocsin
    from tocsin.sinks.otlp import Otlp

    watcher.add_sink("otlp", Otlp(url, tocsin.__version__))


def _syslog(watcher: Watcher, address: str, arguments: argparse.Namespace) -> None:
    from tocsin.sinks.syslog import Syslog
    from tocsin.sources.listen import parse_address

    protocol, _, where = address.partition(":")
    if protocol in ("udp", "tcp"):
        sink = Syslog(parse_address(where), protocol)
    else:
        sink = Syslog(address)
    watcher.add_sink("syslog", sink)


def _prometheus_file(watcher: Watcher, path: str, arguments: argparse.Namespace) -> None:
    from tocsin.sinks.prometheus import Family, write_file

    failing = [False]  # said once, and not every few seconds

    def write(families: list[Family]) -> None:
        try:
            write_file(path, families)
        except OSError as error:
            if not failing[0]:
                complain(f"{path}: {error.strerror}; trying again")
            failing[0] = True
        else:
            failing[0] = False

    write_file(path, [])  # a path that is none is an error of the command line
    watcher.measure(write, 5.0)


def _metrics(watcher: Watcher, address: str, arguments: argparse.Namespace) -> None:
    from tocsin.sinks.prometheus import Family, serve
    from tocsin.sources.listen import parse_address

    # The server's threads read what the loop last left here: scanners are the loop's alone.
    latest: list[list[Family]] = [[]]
    watcher.measure(lambda families: latest.__setitem__(0, families), 1.0)
    serve(*parse_address(address), lambda: latest[0])


# Option, extra that it needs, what adds it.
SINKS: tuple[tuple[str, str, Callable[[Watcher, Any, argparse.Namespace], None]], ...] = (
    ("output", "", _output),
    ("exec", "", _exec),
    ("notify", "notify", _notify),
    ("otlp", "otel", _otlp),
    ("syslog", "", _syslog),
    ("prometheus_file", "", _prometheus_file),
    ("metrics", "prometheus", _metrics),
)


def _renderer(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    from tocsin.sinks.render import json_line, text_blocks

    if arguments.format == "jsonl":
        return json_line
    from tocsin.cli.terminal import wants_colour, width_of
    from tocsin.sinks.text import Style

    colour = wants_colour(arguments.color, sys.stdout)
    return text_blocks(Style(colour=colour, width=width_of(sys.stdout)))
