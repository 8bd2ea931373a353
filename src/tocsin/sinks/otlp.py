"""Alarms to an OpenTelemetry collector, OTLP over HTTP, through the OpenTelemetry SDK.

The exporter is called directly, without the SDK's own queue: that one drops what it cannot hold,
and says nothing of what was delivered. What the collector answered is looked at here, too: the
exporter takes a redirection for a success and does not read what of a request was dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from tocsin.watch.alarms import Alarm
from tocsin.watch.courier import Refused

__all__ = ["Otlp"]

MOST = 64
TIMEOUT = 10  # seconds
INTEGERS = 1 << 63
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Answers that are about what was sent. Others are about the way there or who may send: somebody
# can mend that.
BAD = (400, 413, 422)


class Otlp:
    pages = False
    ends_run = False

    def __init__(self, endpoint: str, version: str) -> None:
        """`endpoint`: as the SDK wants it, http://HOST:4318/v1/logs. Raises ImportError."""
        import requests
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk import _logs
        from opentelemetry.sdk._logs import export
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        class Session(requests.Session):  # type: ignore[misc]
            """Remembers what became of the last request, and lets only a success be one."""

            answer: requests.Response | None = None
            trouble: Exception | None = None

            def request(self, *arguments: Any, **options: Any) -> Any:
                self.answer = self.trouble = None
                options["allow_redirects"] = False  # to a page for people, with nothing sent
                try:
                    self.answer = super().request(*arguments, **options)
                except Exception as error:
                    self.trouble = error
                # Retries are the courier's: the exporter's would hold its thread for seconds, and
                # it makes them of what it knows to be a connection's error or an answer's.
                if self.answer is None or not 200 <= self.answer.status_code < 300:
                    raise RuntimeError("failed")
                return self.answer

        # It tells of each failure on standard error, in its own form; the courier does.
        logger = logging.getLogger("opentelemetry.exporter")
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        self._session = Session()
        self._exporter = OTLPLogExporter(endpoint=endpoint, timeout=TIMEOUT, session=self._session)
        self._logs = _logs
        self._success = (
            getattr(export, "LogRecordExportResult", None) or export.LogExportResult
        ).SUCCESS
        self._scope = InstrumentationScope("tocsin", version)
        self.most = MOST
        self._one_by_one = 0  # how many are still to go alone

    def send(self, alarms: Sequence[Alarm]) -> None:
        session = self._session
        session.answer = session.trouble = None
        words = "it could not be put into OTLP"
        done = False
        try:
            done = self._exporter.export([self._record(one) for one in alarms]) == self._success
        except Exception as error:  # the session's, or of what made the record
            words += f" ({error})"
        if session.trouble is not None:
            raise RuntimeError(_reason(session.trouble))
        answer = session.answer
        if answer is None or answer.status_code in BAD:
            self._refused(alarms, words if answer is None else _words(answer))
        if not done:
            raise RuntimeError(_words(answer))
        self._gone(len(alarms))
        _look_for_dropped(answer, len(alarms))

    def close(self) -> None:
        self._exporter.shutdown()

    def _refused(self, alarms: Sequence[Alarm], words: str) -> NoReturn:
        """One that cannot be taken, or their sum, must not cost the others: each goes alone."""
        if len(alarms) > 1:
            self._one_by_one, self.most = len(alarms), 1
            raise RuntimeError(f"{words}; one by one")
        self._gone(1)
        raise Refused(f"{alarms[0].title}: {words}")

    def _gone(self, count: int) -> None:
        self._one_by_one = max(0, self._one_by_one - count)
        self.most = 1 if self._one_by_one else MOST

    def _record(self, alarm: Alarm) -> Any:
        from opentelemetry._logs import LogRecord, SeverityNumber
        from opentelemetry.sdk.resources import Resource

        wire = alarm.wire
        observed = wire["observed_timestamp"]
        record = LogRecord(
            # When it happened, where the log says; else when it was seen.
            timestamp=_nanoseconds(wire.get("timestamp", observed)),
            observed_timestamp=_nanoseconds(observed),
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
    """Attributes are flat: a list of spans becomes a list of words. Integers have 64 bits with a
    sign; one of a log may have more, and the SDK would leave it out."""
    if isinstance(value, list):
        return [one if isinstance(one, str) else "-".join(map(str, one)) for one in value]
    if isinstance(value, int) and not -INTEGERS <= value < INTEGERS:
        return str(value)
    return value


def _nanoseconds(moment: str) -> int:
    since = datetime.fromisoformat(moment) - EPOCH
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


def _words(answer: Any) -> str:
    said = " ".join(answer.text.split())[:200]
    said = "".join(letter if letter.isprintable() else "?" for letter in said)
    return f"the collector answered {answer.status_code}" + (f" ({said})" if said else "")


def _reason(trouble: Exception) -> str:
    """What the system said, out of the libraries' exceptions around it."""
    import requests

    if isinstance(trouble, requests.Timeout):
        return f"no answer in {TIMEOUT} seconds"
    why: BaseException | None = trouble
    words = str(trouble)
    while why is not None:
        words = getattr(why, "strerror", None) or words
        why = why.__cause__ or why.__context__
    return f"no answer: {words}"


def _look_for_dropped(answer: Any, sent: int) -> None:
    """A collector may take a request and drop some of it. Which, it does not say, and it does not
    want to see them again."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    response = ExportLogsServiceResponse()
    try:
        response.ParseFromString(answer.content)
    except DecodeError:
        return  # JSON, or a proxy's page: it said yes
    dropped = min(response.partial_success.rejected_log_records, sent)
    if dropped > 0:
        why = " ".join(response.partial_success.error_message.split())[:200] or "no reason given"
        raise Refused(f"the collector dropped {dropped} of {sent} ({why})", dropped)
