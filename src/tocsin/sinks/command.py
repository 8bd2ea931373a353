"""A command run for each alarm, with its JSON on standard input."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence

from tocsin.sinks.jsonl import dump_line
from tocsin.watch.alarms import Alarm

__all__ = ["Command"]

TIMEOUT = 60.0
SAID = 200  # characters of its standard error that are told
CHUNK = 1 << 16
PAUSE, LONGEST_PAUSE = 0.002, 0.05  # between two looks whether it has ended


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
            code, said = _run(self._command, alarm, self._timeout)
            if code is None:
                raise RuntimeError(f"no end after {self._timeout:g} seconds; killed")
            if code:
                raise RuntimeError(f"{_ending(code)}{': ' if said else ''}{said}")

    def close(self) -> None:
        pass


def _run(command: str, alarm: Alarm, timeout: float) -> tuple[int | None, str]:
    """Its exit status (None: killed, it took too long) and the end of its standard error.

    What it leaves running in the background may keep standard error open for ever, so its end is
    waited for and not the end of that. Standard input is a file: it may read it or not.
    """
    given = os.memfd_create("alarm", os.MFD_CLOEXEC)
    try:
        os.write(given, dump_line(alarm.wire).encode() + b"\n")
        os.lseek(given, 0, os.SEEK_SET)
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=given,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,  # ^C is for tocsin; what it started may finish
            env={**os.environ, **_environment(alarm)},
        )
    finally:
        os.close(given)
    assert process.stderr is not None
    with process.stderr as errors:
        os.set_blocking(errors.fileno(), False)
        until = time.monotonic() + timeout
        poll = select.poll()
        poll.register(errors, select.POLLIN)
        pause, said, is_open = PAUSE, b"", True
        while process.poll() is None:
            if time.monotonic() > until:
                # All that it started, too, or each new try leaves one more behind.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return None, ""
            if not is_open:
                time.sleep(pause)
            elif poll.poll(pause * 1000):
                data = errors.read(CHUNK)
                is_open = data != b""
                said = (said + (data or b""))[-4 * SAID :]
            pause = min(pause * 2, LONGEST_PAUSE)
        said = (said + (errors.read(CHUNK) or b""))[-4 * SAID :]
    words = " ".join(said.decode("utf-8", "backslashreplace").split())
    return process.returncode, words[-SAID:].strip()


def _ending(code: int) -> str:
    return f"exit status {code}" if code > 0 else f"killed by signal {-code}"


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
