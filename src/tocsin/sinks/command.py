"""A command run for each alarm, with its JSON on standard input."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from tocsin.sinks.jsonl import dump_line
from tocsin.watch.alarms import Alarm

__all__ = ["Command"]

TIMEOUT = 60.0
SAID = 200  # characters of its standard error that are told


class Command:
    """Delivered when the command exits with 0; anything else is tried again."""

    most = 1
    pages = True
    ends_run = False

    def __init__(self, command: str, timeout: float = TIMEOUT) -> None:
        self._command = command
        self._timeout = timeout

    def send(self, alarms: Sequence[Alarm]) -> None:
        for alarm in alarms:
            done = subprocess.run(
                ["/bin/sh", "-c", self._command],
                input=dump_line(alarm.wire).encode() + b"\n",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=self._timeout,
                check=False,
                start_new_session=True,  # ^C is for tocsin; what it started may finish
                env={**os.environ, **_environment(alarm)},
            )
            if done.returncode:
                said = done.stderr.decode("utf-8", "backslashreplace").strip()[-SAID:]
                raise RuntimeError(f"exit status {done.returncode}{': ' if said else ''}{said}")

    def close(self) -> None:
        pass


def _environment(alarm: Alarm) -> dict[str, str]:
    """What simple commands need without reading JSON."""
    return {
        "TOCSIN_ID": alarm.uid,
        "TOCSIN_KIND": alarm.kind,
        "TOCSIN_SEVERITY": alarm.wire["severity_text"],
        "TOCSIN_TITLE": alarm.title.replace("\0", ""),
        "TOCSIN_SOURCE": alarm.source.replace("\0", ""),
        "TOCSIN_REQUESTED": alarm.requested.replace("\0", ""),
    }
