"""tocsin maintenance: the file of windows that tocsin watch --maintenance reads."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from typing import TYPE_CHECKING

from tocsin.cli.options import duration
from tocsin.cli.problems import CLEAN, FAILED, complain

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.watch.maintenance import Window

__all__ = ["add", "run"]

EPILOG = """\
tocsin maintenance FILE                                  what is planned and what is in force
tocsin maintenance FILE --for 2h --reason "CHG-7: boot"  two hours from now on
tocsin maintenance FILE --end                            what is in force ends now

FILE is TOML, and may be written by hand:

  [[window]]
  from = 2026-11-23T22:00:00+01:00
  until = 2026-11-24T02:00:00+01:00
  reason = "CHG-7: new kernels"
  source = "/var/consoles/db*"         # a glob or a list of them; else all
  host = "db*"                         # the same, of the host that the lines or the sender tell
  kind = ["boot", "kernel.panic"]      # as --kind; else all
  page = false                         # true: --exec and --notify are told all the same

An incident that tocsin watch sees between from and until is told as asked for, with the reason, and
is kept from --exec and --notify. A console that is left panicked, halted or in an emergency shell
when the window ends is told to them then.

Exit status: 0, or 2 when FILE is not as it should be.
"""
# A window's head, and the line in it that says when it ends.
HEAD = re.compile(r"\s*\[\[\s*window\s*\]\]")
UNTIL = re.compile(r"(\s*until\s*=\s*)[^#\n]*?(\s*(?:#.*)?\n?)$")


def add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    *parents: argparse.ArgumentParser,
) -> None:
    parser = commands.add_parser(
        "maintenance",
        help="say when trouble is expected",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=parents,
    )
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--reason", metavar="TEXT", help="why; people will ask")
    parser.add_argument(
        "--for", dest="length", type=duration, metavar="TIME", help="how long: 90s, 10m, 2h, 1d"
    )
    parser.add_argument(
        "--from", dest="begin", type=_moment, metavar="TIME",
        help="2026-11-23T22:00:00+01:00; without a zone, the local one (default: now)",
    )  # fmt: skip
    parser.add_argument("--until", type=_moment, metavar="TIME", help="instead of --for")
    parser.add_argument(
        "--source", action="append", default=[], metavar="GLOB", help="only these streams"
    )
    parser.add_argument(
        "--host", action="append", default=[], metavar="GLOB", help="only these hosts"
    )
    parser.add_argument(
        "--kind", action="append", default=[], metavar="KIND", help="only these kinds"
    )
    parser.add_argument("--page", action="store_true", help="tell --exec and --notify all the same")
    parser.add_argument("--end", action="store_true", help="end what is in force")
    parser.set_defaults(run=run, parser=parser)


def run(arguments: argparse.Namespace) -> int:
    from datetime import datetime

    from tocsin.cli.choose import kinds_of
    from tocsin.cli.rulesets import load
    from tocsin.watch.maintenance import BadWindows, parse

    given = [value is not None for value in (arguments.reason, arguments.length, arguments.until)]
    wants = any(given)
    if wants and arguments.end:
        complain("--end begins no window")
        return FAILED
    if wants and not (given[0] and given[1] != given[2]):
        complain("a window needs a --reason, and either --for or --until")
        return FAILED
    ruleset = load(arguments)
    if ruleset is None:
        return FAILED
    kinds = kinds_of(ruleset)
    path = arguments.file
    try:
        text = _read(path)
        windows = parse(text, kinds)
        now = datetime.now().astimezone()
        if wants:
            text = _with(text, arguments, now)
        elif arguments.end:
            text, expected = _ended(text, windows, now)
        if wants or arguments.end:
            windows = parse(text, kinds)
            if arguments.end and windows != expected:
                raise BadWindows("not written as this command can change it; end it by hand")
            _write(path, text)
    except (BadWindows, OSError, OverflowError, ValueError) as error:
        complain(f"{path}: {getattr(error, 'strerror', None) or error}")
        return FAILED
    _show(windows)
    return CLEAN


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def _write(path: str, text: str) -> None:
    """Whole or not at all: a tocsin may read it at any moment."""
    import contextlib
    import shutil

    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "x", encoding="utf-8", newline="") as file:
            file.write(text)
        with contextlib.suppress(FileNotFoundError):
            shutil.copymode(path, beside)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def _with(text: str, arguments: argparse.Namespace, now: datetime) -> str:
    from datetime import datetime

    begin = arguments.begin or now
    end = arguments.until or datetime.fromtimestamp(
        begin.timestamp() + arguments.length, begin.tzinfo
    )
    rows = [
        "[[window]]",
        f"from = {begin.isoformat()}",
        f"until = {end.isoformat()}",
        f"reason = {_quoted(arguments.reason)}",
    ]
    for key in ("source", "host", "kind"):
        if globs := getattr(arguments, key):
            rows.append(f"{key} = [{', '.join(map(_quoted, globs))}]")
    if arguments.page:
        rows.append("page = true")
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return f"{text}{gap}" + "\n".join(rows) + "\n"


def _ended(text: str, windows: tuple[Window, ...], now: datetime) -> tuple[str, tuple[Window, ...]]:
    """The text in which those in force end now, and what its windows must be then."""
    moment = now.timestamp()
    ends = [one.begin < moment < one.end for one in windows]
    lines = text.splitlines(keepends=True)
    number = -1
    for at, line in enumerate(lines):
        number += bool(HEAD.match(line))
        if 0 <= number < len(ends) and ends[number] and (until := UNTIL.match(line)):
            lines[at] = f"{until[1]}{now.isoformat()}{until[2]}"
    expected = tuple(
        one._replace(end=moment) if over else one for one, over in zip(windows, ends, strict=True)
    )
    return "".join(lines), expected


def _quoted(text: str) -> str:
    """A basic string of TOML: that of JSON, but for one byte."""
    import json

    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _show(windows: tuple[Window, ...]) -> None:
    from tocsin.sinks.printable import printable

    now = time.time()
    for one in windows:
        state = "over" if one.end <= now else "planned" if one.begin > now else "in force"
        row = f"{state:9} {_local(one.begin)} - {_local(one.end)}  {one.reason}"
        globs = (("source", one.sources), ("host", one.hosts), ("kind", one.kinds))
        chosen = [f"{name} {' '.join(values)}" for name, values in globs if values]
        if one.pages:
            chosen.append("paged")
        sys.stdout.write(printable(row + (f"  ({'; '.join(chosen)})" if chosen else "")) + "\n")


def _local(moment: float) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(moment).astimezone().isoformat(" ", "seconds")


def _moment(text: str) -> datetime:
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2026-11-23T22:00:00+01:00"
        ) from None
