"""One JSON object a line, flushed with each: what shippers and `jq` read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tocsin.incident import Incident
from tocsin.sinks.place import Place
from tocsin.sinks.totals import Totals
from tocsin.wire import to_wire

__all__ = ["JsonLines", "dump_line"]


def dump_line(value: Any) -> str:
    """JSON in printable ASCII: nothing of the log can steer a terminal it is shown on."""
    # json leaves DEL as it is; it can only stand inside a string.
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")


class JsonLines:
    def __init__(
        self, write: Callable[[str], object], version: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._write = write
        self._version = version
        self._clock = clock

    def incident(self, incident: Incident, place: Place) -> None:
        wire = to_wire(
            incident,
            source=place.path or place.source,
            path=place.path,
            lines=place.lines,
            observed=self._clock(),
            version=self._version,
        )
        self._write(dump_line(wire) + "\n")

    def summary(self, totals: Totals) -> None:
        """Nothing: every line of the output is an incident."""
