"""Incidents for people: one block each, a line of totals at the end.

Everything that came out of a log passes `printable`; only this module's own words may colour.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from tocsin.incident import Incident
from tocsin.sinks.place import Place
from tocsin.sinks.printable import printable
from tocsin.sinks.totals import Totals

__all__ = ["Style", "TextBlocks", "listed", "plural", "size_of"]

WORDS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
# What it means that a truncated incident ended so.
CUTS = {
    "limit": "longer than the limits allow",
    "evicted": "too many reports were open at once",
    "flush": "the log ends in the middle of it",
    "boot": "the machine started again in the middle of it",
    "next": "another report began in the middle of it",
    "gap": "other lines followed in the middle of it",
    "time": "the log's clock went on in the middle of it",
}
LABEL = 14  # the column where what a label introduces begins
LONG_LINE = 400  # characters shown of a line of the log, unless all was asked for
CONSOLES = 4  # so many console states are told by file, more only counted
RANGES = 4  # so many ranges of lines are told singly


class Style(NamedTuple):
    colour: bool = False
    width: int = 100
    lines: int | None = 6  # of the log for each incident; None is all of them

    def paint(self, codes: str, text: str) -> str:
        return f"\x1b[{codes}m{text}\x1b[0m" if self.colour and text else text


class TextBlocks:
    def __init__(self, write: Callable[[str], object], style: Style | None = None) -> None:
        self._write = write
        self._style = style or Style()

    def incident(self, incident: Incident, place: Place, asked_for: str = "") -> None:
        paint = self._style.paint
        severity = int(incident.severity)
        word = paint(_colour(severity), WORDS[severity])
        title = paint("1", printable(incident.title))
        rows = [f"{word}: {title}  {paint('2', f'[{incident.kind}, {incident.rule}]')}"]
        for label, text in self._facts(incident, place):
            rows += self._labelled(label, [text])
        if asked_for:
            rows += self._labelled("asked for", [printable(asked_for)])
        fields = [f"{name}={_value(value)}" for name, value in incident.fields.items()]
        rows += self._labelled("fields", _packed(fields, self._style.width - LABEL))
        if incident.meaning:
            rows += self._prose("means", incident.meaning)
        for number, advice in enumerate(incident.advice):
            rows += self._prose("" if number else "do", advice, bullet="- ")
        rows += self._labelled("log", self._folded(incident.lines))
        self._write("\n".join(rows) + "\n\n")

    def summary(self, totals: Totals) -> None:
        count = totals.incidents
        parts = [plural(totals.files, "file"), size_of(totals.bytes)]
        found = plural(count, "incident") if count else "no incidents"
        if count:
            found += " (" + listed(
                self._style.paint(_colour(number), f"{totals.severities[number]} {WORDS[number]}")
                for number in sorted(totals.severities)
            ) + ")"
        parts.append(found)
        if totals.unreadable:
            parts.append(self._style.paint("31", f"{totals.unreadable} not read to the end"))
        if totals.consoles:
            parts.append("console " + _consoles(totals))
        for ended, cut in sorted(totals.cuts.items()):
            parts.append(f"{cut:,} cut short: {_cut(ended)}")
        if totals.dropped_lines:
            parts.append(f"{plural(totals.dropped_lines, 'line')} of them left out")
        if overlong := totals.limits["overlong_lines"]:
            parts.append(f"{plural(overlong, 'over-long line')} read in pieces")
        self._write("; ".join(parts) + "\n")

    def _facts(self, incident: Incident, place: Place) -> Iterator[tuple[str, str]]:
        if when := _when(incident):
            yield "when", when
        yield "where", _where(incident, place)
        if incident.count > 1:
            yield "count", f"{incident.count} times"
        if incident.confidence == "unverified":
            yield "confidence", "unverified: a program may have printed this"
        elif incident.confidence != "certain":
            yield "confidence", printable(incident.confidence)
        if incident.truncated:
            yield "cut short", _cut(incident.ended.value, incident.dropped_lines)

    def _prose(self, label: str, text: str, bullet: str = "") -> list[str]:
        width = max(self._style.width - LABEL - len(bullet), 20)
        text = printable(" ".join(text.split()))
        rows = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
        under = " " * len(bullet)
        return self._labelled(label, ((under if n else bullet) + row for n, row in enumerate(rows)))

    def _labelled(self, label: str, rows: Iterable[str]) -> list[str]:
        head = "  " + self._style.paint("36", label) + " " * (LABEL - 2 - len(label))
        under = " " * LABEL
        return [((under if n else head) + row).rstrip() for n, row in enumerate(rows)]

    def _folded(self, lines: tuple[bytes, ...]) -> Iterator[str]:
        """The first lines, how many are left out, and the last one."""
        limit = self._style.lines
        if limit is None:
            yield from map(printable, lines)
            return
        if limit == 0:
            return
        head, tail = lines, lines[:0]
        if len(lines) > limit:
            tail = lines[-1:] if limit > 1 else tail
            head = lines[: limit - len(tail)]
        yield from map(_short, head)
        if hidden := len(lines) - len(head) - len(tail):
            yield self._style.paint("2", f"... {plural(hidden, 'line')} ...")
        yield from map(_short, tail)


def plural(count: int, word: str) -> str:
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def size_of(size: int) -> str:
    if size < 1024:
        return plural(size, "byte")
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024 or unit == "TiB":
            break
    return f"{value:.1f} {unit}"


def _colour(severity: int) -> str:
    if severity <= 3:
        return "1;31"
    return "33" if severity == 4 else "36"


def _cut(ended: str, dropped_lines: int = 0) -> str:
    text = CUTS.get(ended, ended)
    return f"{text}; {plural(dropped_lines, 'line')} left out" if dropped_lines else text


def _short(line: bytes) -> str:
    if len(line) <= LONG_LINE:
        return printable(line)
    return f"{printable(line[:LONG_LINE])} ... {plural(len(line) - LONG_LINE, 'byte')} more"


def _packed(words: Iterable[str], width: int) -> list[str]:
    """Words side by side, as many as fit a row; one that is too long has a row of its own."""
    rows: list[str] = []
    for word in words:
        if rows and len(rows[-1]) + 1 + len(word) <= width:
            rows[-1] += " " + word
        else:
            rows.append(word)
    return rows


def _value(value: int | str) -> str:
    if isinstance(value, int):
        return str(value)
    text = printable(value)
    return text if text and not set(text) & set(' "=') else '"' + text.replace('"', '\\"') + '"'


def _when(incident: Incident) -> str:
    if incident.timestamp is None:
        return ""
    if incident.clock == "kernel":
        boot = f" (boot {incident.boot + 1} of this log)" if incident.boot else ""
        return f"{incident.timestamp:.6f} s after boot{boot}"
    try:
        moment = datetime.fromtimestamp(incident.timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return ""  # the log claims a time no calendar has
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _where(incident: Incident, place: Place) -> str:
    text = printable(place.source)
    if place.lines:
        text += ":" + _ranges(place.lines)
    text += f", bytes {incident.start}-{incident.end}"
    if incident.host is not None:
        text += f", host {printable(incident.host)}"
    if incident.caller is not None:
        text += f", caller {printable(incident.caller)}"
    return text


def _ranges(ranges: tuple[tuple[int, int], ...]) -> str:
    merged: list[list[int]] = []
    for first, last in ranges:
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(last, merged[-1][1])
        else:
            merged.append([first, last])
    if len(merged) > RANGES:
        return f"{merged[0][0]}-{merged[-1][1]} (in {len(merged)} pieces)"
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in merged)


def _consoles(totals: Totals) -> str:
    if totals.files == 1:
        return totals.consoles[0][1]
    if len(totals.consoles) <= CONSOLES:
        return listed(f"{state} ({printable(source)})" for source, state in totals.consoles)
    states = [state for _, state in totals.consoles]
    return listed(f"{states.count(state)} {state}" for state in sorted(set(states)))
