"""A parser that runs inside syslog-ng: parser { python(class("tocsin.syslogng.Parser")); };

It changes no message and drops none. One in which an incident ends, or that is the first after
one was told for silence, gets name-value pairs:

    .tocsin.kind .tocsin.severity .tocsin.title .tocsin.signature .tocsin.uid .tocsin.count
        of the most severe incident
    .tocsin.incidents   how many there are
    .tocsin.json        all of them, as a JSON array

options("rules" "/etc/tocsin/mine.toml:/etc/tocsin/more", "builtin" "no", "min-severity" "warning",
"idle" "2", "output" "/var/log/tocsin.jsonl"): `output` has every incident as soon as it is known,
also those that no message comes after. There is no saved state: what is open when syslog-ng ends
is told then, what it had not handed over is syslog-ng's to keep.
"""

from __future__ import annotations

import json
import math
import sys
import threading
from typing import Any

from tocsin import __version__
from tocsin.incident import Severity
from tocsin.rules.loader import load_rules
from tocsin.sinks.render import json_line
from tocsin.sinks.stream import FileSink, open_output
from tocsin.sources.shipped import log_bytes
from tocsin.sources.shipper import enriched
from tocsin.watch.alarms import Alarm
from tocsin.watch.loop import Loop
from tocsin.watch.streams import Stream, Streams

__all__ = ["Parser"]

OPTIONS = {"rules", "builtin", "min-severity", "idle", "output"}
STREAMS = 10000
HELD = 1000  # incidents that wait for a message to be told with; more are only in the output
VALUES = ("kind", "severity", "title", "signature", "uid", "count")


class Parser:
    """What syslog-ng makes, and calls from its worker threads: one message at a time here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def init(self, options: dict[str, str] | None = None) -> bool:
        """syslog-ng refuses its configuration when this raises, and says what was raised."""
        given = {_text(key): _text(value) for key, value in (options or {}).items()}
        if unknown := sorted(given.keys() - OPTIONS):
            raise ValueError(
                f"tocsin: no option {', '.join(unknown)}; there are {', '.join(sorted(OPTIONS))}"
            )
        paths = [path for path in given.get("rules", "").split(":") if path]
        builtin = given.get("builtin", "yes")
        if builtin not in ("yes", "no"):
            raise ValueError(f"tocsin: builtin: expected yes or no, got {builtin!r}")
        idle = float(given.get("idle", "2"))
        if not 0 < idle < math.inf:
            raise ValueError(f"tocsin: idle: expected seconds above 0, got {given['idle']!r}")
        self._least = _severity(given.get("min-severity", "debug"))
        self._output: FileSink | None = None
        self._failing = False
        # Set here: a configuration that is refused has its predecessor begin again.
        self._thread: threading.Thread | None = None
        self._closing = False
        if path := given.get("output"):
            self._output = FileSink(open_output(path), json_line, path)
        self._loop = Loop()
        self._streams = Streams(
            self._loop,
            load_rules(*paths, builtin=builtin == "yes"),
            self._tell,
            idle=idle,
            version=__version__,
        )
        self._by_key: dict[tuple[str, str], Stream] = {}
        self._found: dict[str, list[Alarm]] = {}  # by stream
        return True

    def deinit(self) -> None:
        """At the end, and before a changed configuration: nothing that is open is held back."""
        with self._lock:
            self._closing = True
            for stream in list(self._streams):
                stream.flush()
        if self._thread is not None:
            self._loop.wake()
            self._thread.join()
        self._loop.close()
        if self._output is not None:
            self._output.close()

    def parse(self, message: Any) -> bool:
        data = _value(message, "MESSAGE")
        host, file = _text(_value(message, "HOST")), _text(_value(message, "FILE_NAME"))
        with self._lock:
            stream = self._stream(host, file)
            before = self._loop.due
            self._loop.now = self._loop.clock()
            stream.feed(log_bytes(data) + b"\n")
            found = self._found.pop(stream.name, None)
            sooner = self._loop.due < before
            # Of another thread, which syslog-ng may have forked from where this one began.
            if sooner and self._thread is None and not self._closing:
                self._thread = threading.Thread(target=self._wait, name="tocsin", daemon=True)
                self._thread.start()
        if sooner:
            self._loop.wake()
        if found:
            _annotate(message, found)
        return True

    def _stream(self, host: str, file: str) -> Stream:
        stream = self._by_key.get((host, file))
        if stream is None:
            if len(self._by_key) >= STREAMS:
                self._streams.close(self._by_key.pop(next(iter(self._by_key))))
            stream = self._streams.open(
                f"syslog-ng:{host}:{file or '-'}", file or None, host=host or None
            )
            self._by_key[host, file] = stream
        return stream

    def _wait(self) -> None:
        """What a clock has to say: silence, and what is complete though it is not closed."""
        while not self._closing:
            ready = self._loop.wait()
            with self._lock:
                if not self._closing:
                    self._loop.turn(ready)
                    self._streams.dirty.clear()

    def _tell(self, alarm: Alarm) -> None:
        if alarm.severity > self._least:
            return
        if self._output is not None:
            try:
                self._output.send([alarm])
                self._failing = False
            except OSError as error:  # no reason to drop the message that is being parsed
                if not self._failing:
                    print(f"tocsin: output: {error.strerror}", file=sys.stderr)
                self._failing = True
        if not alarm.is_note and sum(map(len, self._found.values())) < HELD:
            self._found.setdefault(alarm.source, []).append(alarm)


def _annotate(message: Any, found: list[Alarm]) -> None:
    told = [enriched(alarm) for alarm in found]
    worst = told[min(range(len(found)), key=lambda i: found[i].severity)]
    for name in VALUES:
        message[f".tocsin.{name}"] = str(worst[name])
    message[".tocsin.incidents"] = str(len(told))
    message[".tocsin.json"] = json.dumps(told)


def _value(message: Any, name: str) -> bytes:
    """A value of a message: bytes up to syslog-ng 3.38, text in 4.x, and either may be missing."""
    try:
        value = message[name]
    except KeyError:
        return b""
    if value is None:
        return b""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "surrogateescape")


def _severity(word: str) -> int:
    try:
        return int(Severity[word.upper()])
    except KeyError:
        names = " ".join(severity.name.lower() for severity in Severity)
        raise ValueError(f"tocsin: min-severity: {word!r} is none of {names}") from None


