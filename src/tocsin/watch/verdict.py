"""What a monitor wants to know in one word: is it well?

Facts (incidents of late, what consoles last showed, how long they have been silent) against
limits. Knows nothing of where the facts come from or of any monitor's conventions.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from tocsin.watch.alarms import UNWELL, Alarm
from tocsin.watch.store import DATABASE, VERSION

__all__ = ["Console", "Level", "Seen", "Verdict", "Wants", "judge", "load"]

# Streams that hold a position and no console.
BOOKKEEPING = ("#cursor", "#last")

# Where `Alarm.saved` has who asked for it.
REQUESTED = f'$[{Alarm._fields.index("wire")}].attributes."tocsin.requested.by"'


class Level(IntEnum):
    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Seen(NamedTuple):
    """One incident."""

    severity: int
    kind: str
    title: str
    source: str
    requested: bool = False  # by a maintenance window: counted, and not held against anybody


class Console(NamedTuple):
    source: str
    state: str
    silent: float | None  # seconds; None: nobody can know


class Wants(NamedTuple):
    """Severities (smaller is worse) from which on it is bad; what consoles must be."""

    warning: int = 4
    critical: int = 2
    silent: float | None = None
    up: bool = False


class Verdict(NamedTuple):
    level: Level
    text: str
    counts: dict[str, int | float]


def judge(incidents: Iterable[Seen], consoles: Iterable[Console], wants: Wants) -> Verdict:
    seen = list(incidents)
    found = [one for one in seen if not one.requested]
    level = Level.OK
    parts = []
    critical = [one for one in found if one.severity <= wants.critical]
    warning = [one for one in found if wants.critical < one.severity <= wants.warning]
    if critical or warning:
        level = Level.CRITICAL if critical else Level.WARNING
        told = critical or warning
        worst = min(told, key=lambda one: one.severity)
        same = sum(one.title == worst.title for one in told)
        parts.append(f"{f'{same} x ' if same > 1 else ''}{worst.title} in {worst.source}")
        if len(told) > same:
            parts.append(f"{len(told) - same} more")
    longest = 0.0
    count: Counter[str] = Counter()
    for console in consoles:
        count[console.state] += 1
        longest = max(longest, console.silent or 0.0)
        if console.state in UNWELL:
            level = max(level, Level.CRITICAL)
            parts.append(f"{console.source} is {console.state}")
        elif wants.up and console.state != "up":
            level = max(level, Level.CRITICAL)
            parts.append(f"{console.source} shows no login prompt ({console.state})")
        if wants.silent is not None and (console.silent or 0.0) > wants.silent:
            level = max(level, Level.CRITICAL)
            parts.append(f"{console.source} is silent for {console.silent:.0f} s")
    if not parts:
        total = sum(count.values())
        parts.append(f"no incidents in {total} console{'' if total == 1 else 's'}")
    counts: dict[str, int | float] = {
        "incidents": len(found),
        "critical": len(critical),
        "warning": len(warning),
        "requested": len(seen) - len(found),
        "consoles": sum(count.values()),
        "consoles_up": count["up"],
        "longest_silence": round(longest, 1),
    }
    return Verdict(level, "; ".join(parts), counts)


def load(
    directory: str, since: float, now: float, source: str = "*"
) -> tuple[list[Seen], list[Console]]:
    """From a state directory, which a running tocsin may be writing. Raises OSError or
    sqlite3.Error."""
    path = os.path.join(directory, DATABASE)
    os.stat(path)  # SQLite's own message names no file
    db = sqlite3.connect(f"file:{_quoted(path)}?mode=ro", uri=True)
    try:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise OSError(None, f"state of version {version}; this tocsin reads {VERSION}")
        seen = [
            Seen(severity, kind, title, name, by == "window")
            for severity, kind, title, name, by in db.execute(
                f"SELECT severity, kind, title, source, json_extract(body, '{REQUESTED}')"
                " FROM alarms WHERE observed >= ? AND kind NOT LIKE 'tocsin.%' ORDER BY id",
                (since,),
            )
        ]
        consoles = [
            Console(name, console, max(0.0, now - (heard or began)))
            for name, console, heard, began in db.execute(
                "SELECT name, console, heard, began FROM streams"
            )
            if not name.endswith(BOOKKEEPING)
        ]
    finally:
        db.close()
    return (
        [one for one in seen if fnmatchcase(one.source, source)],
        [one for one in consoles if fnmatchcase(one.source, source)],
    )


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
