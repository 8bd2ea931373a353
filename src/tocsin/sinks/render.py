"""Alarms as text: the blocks for people, or JSON lines; notes in either."""

from __future__ import annotations

from collections.abc import Callable

from tocsin.sinks.jsonl import dump_line
from tocsin.sinks.printable import printable
from tocsin.sinks.text import Style, TextBlocks
from tocsin.watch.alarms import Alarm

__all__ = ["json_line", "text_blocks"]


WORDS = {"tocsin.revised": "now", "tocsin.repeated": "more", "tocsin.maintenance": "note"}
BY = {"window": "maintenance window", "console": "as the console shows"}


def json_line(alarm: Alarm) -> str:
    return dump_line(alarm.wire) + "\n"


def text_blocks(style: Style) -> Callable[[Alarm], str]:
    def render(alarm: Alarm) -> str:
        if alarm.incident is None:
            if alarm.kind == "tocsin.gap":
                return ""  # told on standard error: it is no incident
            what = WORDS[alarm.kind]
            text = alarm.title
            if alarm.kind == "tocsin.revised":
                text += f" ({alarm.wire['attributes']['tocsin.count']} times)"
            return f"{what}: {printable(text)}  [{printable(alarm.source)}]\n\n"
        written: list[str] = []
        TextBlocks(written.append, style).incident(
            alarm.incident, alarm.place, _asked_for(alarm)
        )
        return "".join(written)

    return render


def _asked_for(alarm: Alarm) -> str:
    by = alarm.wire["attributes"].get("tocsin.requested.by")
    if by is None:
        return ""
    return f"{alarm.requested} ({BY[by]}{'' if alarm.pages else ', nobody is called'})"
