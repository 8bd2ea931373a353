"""Alarms to an OpenTelemetry collector, OTLP over HTTP, through the OpenTelemetry SDK.

The exporter is called directly, without the SDK's own queue: that one drops what it cannot hold,
and says nothing of what was delivered.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tocsin.watch.alarms import Alarm

__all__ = ["Otlp"]


class Otlp:
    most = 64
    pages = False
    ends_run = False

    def __init__(self, endpoint: str, version: str) -> None:
        """`endpoint`: as the SDK wants it, http://HOST:4318/v1/logs. Raises ImportError."""
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk import _logs
        from opentelemetry.sdk._logs import export
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        # Retries are the courier's: the exporter's would hold a thread for a minute.
        self._exporter = OTLPLogExporter(endpoint=endpoint, timeout=10)
        self._logs = _logs
        self._success = (
            getattr(export, "LogRecordExportResult", None) or export.LogExportResult
        ).SUCCESS
        self._scope = InstrumentationScope("tocsin", version)

    def send(self, alarms: Sequence[Alarm]) -> None:
        if self._exporter.export([self._record(alarm) for alarm in alarms]) != self._success:
            raise RuntimeError("the collector did not take it")

    def close(self) -> None:
        self._exporter.shutdown()

    def _record(self, alarm: Alarm) -> Any:
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.sdk.resources import Resource

        wire = alarm.wire
        # When it happened, where the log says; else when it was seen.
        happened = alarm.observed
        if alarm.incident is not None and alarm.incident.clock == "wall":
            happened = alarm.incident.timestamp or happened
        record = LogRecord(
            timestamp=int(happened * 1e9),
            observed_timestamp=int(alarm.observed * 1e9) or time.time_ns(),
            severity_text=wire["severity_text"],
            severity_number=SeverityNumber(wire["severity_number"]),
            body=wire["body"],
            attributes={key: _plain(value) for key, value in wire["attributes"].items()},
            event_name=wire["event_name"],
        )
        return self._logs.ReadableLogRecord(
            record, Resource(wire.get("resource", {})), self._scope
        )


def _plain(value: Any) -> Any:
    """Attributes are flat: a list of spans becomes a list of words."""
    if isinstance(value, list):
        return [one if isinstance(one, str) else "-".join(map(str, one)) for one in value]
    return value
