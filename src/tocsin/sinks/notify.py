"""Alarms to people, through Apprise: mail, chat, webhooks and a hundred more, by URL."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.sinks.printable import printable
from tocsin.watch.alarms import Alarm

__all__ = ["Notify"]

LINES = 12  # of the log, in the message


class Notify:
    most = 1
    pages = True
    ends_run = False

    def __init__(self, urls: Sequence[str]) -> None:
        """Raises ImportError without Apprise, ValueError for a URL that it does not know."""
        import apprise

        self._apprise = apprise.Apprise()
        for url in urls:
            if not self._apprise.add(url):
                raise ValueError("a notification URL that Apprise does not know")
        self._types = {
            "failure": apprise.NotifyType.FAILURE,
            "warning": apprise.NotifyType.WARNING,
            "info": apprise.NotifyType.INFO,
        }

    def send(self, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms:
            word = alarm.wire["severity_text"]
            if alarm.requested and not alarm.is_note:
                word += ", asked for"
            level = "info" if alarm.severity > 4 else "warning"
            level = "failure" if alarm.severity <= 3 else level
            told = self._apprise.notify(
                title=printable(f"{word}: {alarm.title} [{alarm.source}]"),
                body=_body(alarm),
                notify_type=self._types[level],
            )
            if not told:
                raise RuntimeError("the notification was not taken")

    def close(self) -> None:
        pass


def _body(alarm: Alarm) -> str:
    incident = alarm.incident
    if incident is None:
        return printable(alarm.title)
    parts = [printable(f"Asked for: {alarm.requested}")] if alarm.requested else []
    parts += [printable(incident.meaning), *(f"- {printable(one)}" for one in incident.advice), ""]
    parts += map(printable, incident.lines[:LINES])
    if len(incident.lines) > LINES:
        parts.append(f"... {len(incident.lines) - LINES} more lines")
    return "\n".join(parts)
