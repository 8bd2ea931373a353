"""tocsin watch: living consoles in, alarms out, until it is told to stop."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from typing import TYPE_CHECKING

from tocsin.cli.problems import CLEAN, FAILED, complain

if TYPE_CHECKING:
    from tocsin.watch.alarms import Alarm
    from tocsin.watch.watcher import Source, Watcher

__all__ = ["add", "run"]

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

Exit status: 0 when stopped or at the end of every source, 2 when it cannot start.
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
        type=float,
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
    watch.set_defaults(run=run)


def add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--min-severity",
        type=_severity,
        default=7,
        metavar="SEVERITY",
        help="leave out what is less severe: emerg alert crit err warning notice info debug",
    )
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="KIND",
        help="only kinds that begin so or match this glob; may be repeated",
    )


def add_sinks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output", metavar="FILE", help="append JSON lines to this file, as well"
    )
    parser.add_argument(
        "--keep",
        type=int,
        default=KEEP,
        metavar="N",
        help=f"alarms kept for a sink that does not take them (default: {KEEP})",
    )


def run(arguments: argparse.Namespace) -> int:
    watcher = build(arguments)
    if watcher is None:
        return FAILED
    from tocsin.sinks.stream import FileSink

    watcher.add_sink("stdout", FileSink(1, _renderer(arguments)))
    if not add_sources(watcher, arguments):
        return FAILED
    watcher.start()
    watcher.run()
    return CLEAN


def build(arguments: argparse.Namespace) -> Watcher | None:
    """A watcher with the sinks that the arguments name; None after complaining."""
    import tocsin
    from tocsin.cli.choose import kind_matches, kinds_of, unknown_kinds
    from tocsin.cli.problems import nearest
    from tocsin.cli.rulesets import load
    from tocsin.watch.store import BadState
    from tocsin.watch.watcher import Watcher

    ruleset = load(arguments)
    if ruleset is None:
        return None
    kinds = kinds_of(ruleset)
    if unknown := unknown_kinds(arguments.kind, kinds):
        for pattern in unknown:
            complain(f"no rule has a kind like {pattern!r}{nearest(pattern, kinds)}")
        return None

    def wants(alarm: Alarm) -> bool:
        if alarm.kind == "tocsin.gap":
            return True
        kind = alarm.wire["attributes"].get("tocsin.kind", alarm.kind)
        return alarm.severity <= arguments.min_severity and kind_matches(kind, arguments.kind)

    def on_gap(alarm: Alarm) -> None:
        if getattr(arguments, "format", "text") == "text":
            complain(f"{alarm.source}: {alarm.title}")

    try:
        watcher = Watcher(
            ruleset,
            tocsin.__version__,
            idle=arguments.idle,
            keep=arguments.keep,
            state=arguments.state,
            complain=complain,
            wants=wants,
            on_gap=on_gap,
        )
    except BadState as error:
        complain(str(error))
        return None
    return watcher if _add_named_sinks(watcher, arguments) else None


def _add_named_sinks(watcher: Watcher, arguments: argparse.Namespace) -> bool:
    from tocsin.sinks.render import json_line
    from tocsin.sinks.stream import FileSink

    if arguments.output:
        try:
            fd = os.open(
                arguments.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
        except OSError as error:
            complain(f"{arguments.output}: {error.strerror}")
            return False
        watcher.add_sink("output", FileSink(fd, json_line, arguments.output))
    return True


def add_sources(watcher: Watcher, arguments: argparse.Namespace) -> bool:
    from tocsin.sources.listen import BadAddress
    from tocsin.sources.tree import Files

    from_end = arguments.begin == "end"
    files = []
    for name in arguments.sources:
        try:
            source = _source(name, watcher, from_end)
        except BadAddress as error:
            complain(f"{name}: {error}")
            return False
        except OSError as error:
            complain(f"{name}: {error.strerror or error}")
            return False
        if source is None:
            files.append(name)
        else:
            watcher.add_source(source)
    if files:
        watcher.add_source(Files(files, complain, from_end=from_end, notify=not arguments.poll))
    return True


def _source(name: str, watcher: Watcher, from_end: bool) -> Source | None:
    """None for what is a file, or may become one."""
    from tocsin.sources import descriptor, listen
    from tocsin.sources.journald import Journal
    from tocsin.sources.kmsg import Kmsg

    ended = watcher.source_ended
    word, _, rest = name.partition(":")
    if name == "-":
        return descriptor.StandardInput("(standard input)", ended)
    if word == "unix" and rest:
        return descriptor.UnixSocket(rest, complain)
    if name == "/dev/kmsg" or (word == "kmsg" and rest):
        path = rest or name
        return Kmsg(path, complain, from_end=from_end and path == name, ended=ended)
    if name == "journald":
        return Journal(None, complain, from_end=from_end, ended=ended)
    if name.endswith(".journal"):
        return Journal(name, complain, from_end=False, ended=ended)
    if word == "netconsole":
        return listen.NetconsoleUdp(listen.parse_address(rest))
    if word == "syslog-udp":
        return listen.SyslogUdp(listen.parse_address(rest))
    if word == "syslog-tcp":
        return listen.SyslogTcp(listen.parse_address(rest))
    return descriptor.Device(name, complain) if _is_device(name) else None


def _is_device(name: str) -> bool:
    try:
        mode = os.stat(name).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _renderer(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    from tocsin.sinks.render import json_line, text_blocks

    if arguments.format == "jsonl":
        return json_line
    from tocsin.cli.terminal import wants_colour, width_of
    from tocsin.sinks.text import Style

    colour = wants_colour(arguments.color, sys.stdout)
    return text_blocks(Style(colour=colour, width=width_of(sys.stdout)))


def _severity(word: str) -> int:
    from tocsin.cli.choose import parse_severity

    return parse_severity(word)
