"""Lines that a log shipper hands over, as JSON or as they are: whose line it is, and its bytes.

Shippers put bytes that are no UTF-8 raw into their JSON. Decoding with surrogates keeps them, and
gives the log's own bytes back.
"""

from __future__ import annotations

import json
from typing import NamedTuple

__all__ = ["Shipped", "read"]

# The names that shippers use, ours first: rsyslog's template in examples/, Fluent Bit, Vector,
# the OpenTelemetry Collector, syslog-ng, journald.
MESSAGE = ("msg", "log", "message", "body", "MESSAGE")
FILE = ("file", "filename", "log.file.path", "FILE_NAME")
HOST = ("host", "hostname", "host.name", "HOST", "_HOSTNAME")

DECODE = json.JSONDecoder(strict=False).raw_decode


class Shipped(NamedTuple):
    line: bytes  # with its line end
    file: str | None
    host: str | None
    key: str | None  # the shipper's own name for this message
    malformed: bool = False


def read(data: bytes) -> Shipped:
    """One line of standard input. What is no JSON object is taken as a line of a log."""
    line = data.rstrip(b"\r\n")
    if line[:1] != b"{":
        return Shipped(line + b"\n", None, None, None, malformed=True)
    try:
        record, _ = DECODE(line.decode("utf-8", "surrogateescape"))
    except ValueError:
        return Shipped(line + b"\n", None, None, None, malformed=True)
    text = _of(record, MESSAGE)
    if text is None:
        return Shipped(b"\n", None, None, None, malformed=True)
    key = record.get("uuid")
    return Shipped(
        _bytes(text) + b"\n",
        _of(record, FILE),
        _of(record, HOST),
        key if isinstance(key, str) and key else None,
    )


def _of(record: dict[str, object], names: tuple[str, ...]) -> str | None:
    for name in names:
        value = record.get(name)
        if isinstance(value, str) and value:
            return value
    for outer in ("resource", "attributes"):
        nested = record.get(outer)
        if isinstance(nested, dict):
            found = _of(nested, names)
            if found is not None:
                return found
    # An empty message is a message.
    return next(("" for name in names if record.get(name) == ""), None)


def _bytes(text: str) -> bytes:
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, by an escape
        data = text.encode("utf-8", "replace")
    # rsyslog's MSG begins with the space that stood behind the syslog tag; in front of a time
    # stamp of the kernel it is that and nothing of the kernel's.
    return data[1:] if data.startswith(b" [") else data
