"""tocsin check: one line and an exit code, for monitors."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from tocsin.cli.options import duration, severity

if TYPE_CHECKING:
    from tocsin.watch.verdict import Console, Seen, Verdict

__all__ = ["add", "run"]

EPILOG = """\
Exit status, as Nagios and Icinga want it: 0 OK, 1 warning, 2 critical, 3 unknown; a line of text
and performance data. With --npd, for node-problem-detector: 0 well, 1 not well, 2 unknown; a short
line. A state directory that no tocsin is writing is unknown: nobody is watching.
"""
NPD_WIDTH = 80
NPD_OK, NPD_PROBLEM, NPD_UNKNOWN = 0, 1, 2


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    *parents: argparse.ArgumentParser,
) -> None:
    check = commands.add_parser(
        "check",
        help="tell a monitor whether all is well",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=parents,
    )
    check.add_argument("files", nargs="*", metavar="FILE", help="logs to scan")
    check.add_argument("--state", metavar="DIR", help="what a tocsin watch --state DIR has seen")
    check.add_argument(
        "--since",
        type=duration,
        default=3600.0,
        metavar="TIME",
        help="incidents seen in the last 90s, 10m, 1h, 2d (default: 1h); of a FILE, those whose"
        " lines tell a time",
    )
    check.add_argument("--warning", type=severity, default=4, metavar="SEVERITY")
    check.add_argument("--critical", type=severity, default=2, metavar="SEVERITY")
    check.add_argument(
        "--silent", type=duration, metavar="TIME", help="a console silent for so long is critical"
    )
    check.add_argument(
        "--up", action="store_true", help="a console that shows no login prompt is critical"
    )
    check.add_argument(
        "--source", default="*", metavar="GLOB", help="only these streams of the state"
    )
    check.add_argument(
        "--maintenance",
        metavar="FILE",
        help="consoles that one of these windows is about now are not judged"
        " (tocsin maintenance --help)",
    )
    check.add_argument("--npd", action="store_true", help="by node-problem-detector's convention")
    # A monitor takes the exit status of argparse, 2, for a console in trouble.
    check.error = lambda message: _misused(check, message)  # type: ignore[method-assign]
    check.set_defaults(run=run, parser=check)


def _misused(check: argparse.ArgumentParser, message: str) -> NoReturn:
    from tocsin.watch.verdict import Level, Verdict

    check.print_usage(sys.stderr)
    verdict = Verdict(Level.UNKNOWN, f"wrong arguments: {message}", {})
    raise SystemExit(_npd(verdict) if "--npd" in sys.argv else _nagios(verdict))


def run(arguments: argparse.Namespace) -> int:
    import sqlite3

    from tocsin.watch.verdict import Level, Verdict, Wants, judge

    try:
        incidents, watched = _facts(arguments)
        consoles = _judged(watched, arguments)
        wants = Wants(arguments.warning, arguments.critical, arguments.silent, arguments.up)
        verdict = judge(incidents, consoles, wants)
        if not watched and arguments.state:
            verdict = Verdict(Level.UNKNOWN, "no console is watched", {})
        elif arguments.maintenance:
            verdict.counts["consoles_in_maintenance"] = len(watched) - len(consoles)
    except (OSError, sqlite3.Error, Unknown) as error:
        text = getattr(error, "strerror", None) or str(error)
        where = getattr(error, "filename", None) or arguments.state or ""
        verdict = Verdict(Level.UNKNOWN, f"{where}: {text}" if where else text, {})
    except Exception as error:  # a traceback's exit status, 1, is a warning to a monitor
        verdict = Verdict(Level.UNKNOWN, f"{type(error).__name__}: {error}", {})
    return _npd(verdict) if arguments.npd else _nagios(verdict)


class Unknown(Exception):
    """Why nothing can be said."""


def _facts(arguments: argparse.Namespace) -> tuple[list[Seen], list[Console]]:
    from tocsin.watch import verdict

    if not arguments.state and not arguments.files:
        raise Unknown("nothing to check: name --state or a FILE")
    now = time.time()
    incidents: list[Seen] = []
    consoles: list[Console] = []
    if arguments.state:
        # First: what a tocsin has left, only who may write there can read.
        if not _is_watched(arguments.state):
            raise Unknown("no tocsin is running on it")
        incidents, consoles = verdict.load(
            arguments.state, now - arguments.since, now, arguments.source
        )
    for path in arguments.files:
        _scan(path, now, arguments, incidents, consoles)
    return incidents, consoles


def _judged(consoles: list[Console], arguments: argparse.Namespace) -> list[Console]:
    """Those that no maintenance is about."""
    if arguments.maintenance is None:
        return consoles
    from tocsin.cli.choose import kinds_of
    from tocsin.cli.rulesets import load
    from tocsin.watch.maintenance import BadWindows, Maintenance

    ruleset = load(arguments)
    if ruleset is None:
        raise Unknown("the rules cannot be used")
    path, said = arguments.maintenance, list[str]()
    try:
        windows = Maintenance(path, kinds_of(ruleset), said.append).in_force()
    except BadWindows as error:
        raise Unknown(f"{path}: {error}") from error
    now = time.time()
    return [
        console
        for console in consoles
        if not any(window.covers(now, console.source, None, None) for window in windows)
    ]


def _scan(
    path: str,
    now: float,
    arguments: argparse.Namespace,
    incidents: list[Seen],
    consoles: list[Console],
) -> None:
    import tocsin
    from tocsin.cli.rulesets import load
    from tocsin.sources.archive import ArchiveError
    from tocsin.sources.files import open_log
    from tocsin.watch.verdict import Console, Seen

    ruleset = load(arguments)
    if ruleset is None:
        raise Unknown("the rules cannot be used")
    scanner = tocsin.Scanner(ruleset)
    found = []
    try:
        with open_log(path) as log:
            for chunk in log.chunks():
                found += scanner.feed(chunk)
    except (ArchiveError, OSError) as error:
        raise Unknown(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    silent = None if path == "-" else max(0.0, now - os.stat(path).st_mtime)
    for incident in found + scanner.flush():
        told = incident.timestamp if incident.clock == "wall" else None
        if told is None or told >= now - arguments.since:
            incidents.append(Seen(int(incident.severity), incident.kind, incident.title, path))
    consoles.append(Console(path, scanner.console.value, silent))


def _is_watched(directory: str) -> bool:
    """A running tocsin holds the lock."""
    import fcntl

    with open(os.path.join(directory, "lock"), "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _nagios(verdict: Verdict) -> int:
    from tocsin.sinks.printable import printable

    # A bar begins the performance data.
    text = printable(verdict.text).replace("|", "/")
    data = " ".join(
        f"{name}={value}{'s' if name == 'longest_silence' else ''};;;0"
        for name, value in verdict.counts.items()
    )
    sys.stdout.write(f"TOCSIN {verdict.level.name} - {text}{f' | {data}' if data else ''}\n")
    return int(verdict.level)


def _npd(verdict: Verdict) -> int:
    from tocsin.sinks.printable import printable
    from tocsin.watch.verdict import Level

    text = printable(verdict.text)
    if len(text) > NPD_WIDTH:
        text = text[: NPD_WIDTH - 3] + "..."
    sys.stdout.write(text + "\n")
    if verdict.level is Level.UNKNOWN:
        return NPD_UNKNOWN
    return NPD_OK if verdict.level is Level.OK else NPD_PROBLEM
