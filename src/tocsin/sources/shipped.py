"""Lines that a log shipper hands over, as JSON or as they are: whose line it is, and its bytes.

Shippers put bytes that are no UTF-8 raw into their JSON. Decoding with surrogates keeps them, and
gives the log's own bytes back.
"""

from __future__ import annotations

import binascii
import json
import re
from typing import NamedTuple

__all__ = ["LONGEST", "Shipped", "log_bytes", "read"]

LONGEST = 1 << 20  # bytes of a line; a longer one is taken as it is, in pieces
NAME = 4096  # characters of a file's or a host's name: as long as a path may be
# The names that shippers use, ours first: rsyslog's template in examples/, Fluent Bit, Vector,
# the OpenTelemetry Collector, syslog-ng, journald.
MESSAGE = ("msg", "log", "message", "body", "MESSAGE")
FILE = ("file", "filename", "log.file.path", "FILE_NAME")
HOST = ("host", "hostname", "host.name", "HOST", "_HOSTNAME")

NUMBER = re.compile(r"[0-9]{1,18}\Z", re.ASCII).match
DECODE = json.JSONDecoder(strict=False).raw_decode


class Shipped(NamedTuple):
    line: bytes  # with its line end
    file: str | None
    host: str | None
    key: str | None  # the shipper's own name for this message
    malformed: bool = False
    number: int | None = None  # of this message among all that the shipper sent


def read(data: bytes) -> Shipped:
    """One line of standard input. What is no JSON object is taken as a line of a log."""
    line = data.rstrip(b"\r\n")
    if line[:1] != b"{" or len(line) > LONGEST:
        return Shipped(line + b"\n", None, None, None, malformed=True)
    try:
        record, _ = DECODE(line.decode("utf-8", "surrogateescape"))
        return _shipped(record)
    except (ValueError, RecursionError):  # nested deeper than any shipper nests
        return Shipped(line + b"\n", None, None, None, malformed=True)


def _shipped(record: dict[str, object]) -> Shipped:
    data = _message(record)
    if data is None:
        return Shipped(b"\n", None, None, None, malformed=True)
    key, number = record.get("uuid"), record.get("seq")
    if isinstance(number, str):
        number = int(number) if NUMBER(number) else None
    return Shipped(
        log_bytes(data) + b"\n",
        _name(_of(record, FILE)),
        _name(_of(record, HOST)),
        key if isinstance(key, str) and key else None,
        number=number if type(number) is int else None,
    )


def _message(record: dict[str, object]) -> bytes | None:
    """Byte for byte where the shipper can do that (syslog-ng writes bytes that are no UTF-8 as
    `\\xNN`, like the text of that look), else as the text of the JSON."""
    exact = record.get("msg64")
    if isinstance(exact, str):
        return binascii.a2b_base64(exact, strict_mode=True)
    text = _of(record, MESSAGE)
    return None if text is None else _bytes(text)


def _of(record: dict[str, object], names: tuple[str, ...]) -> str | None:
    value = record.get(names[0])
    if isinstance(value, str) and value:  # as our own configurations have it: nearly always
        return value
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


def _name(text: str | None) -> str | None:
    """A name that a file system, a database and an environment variable can hold."""
    if text is None or (text.isascii() and len(text) <= NAME and "\0" not in text):
        return text
    # A lone half of a surrogate pair, by an escape of JSON, is no byte of anybody's name.
    clean = _bytes(text[:NAME].replace("\0", "?"))
    return clean.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half of a surrogate pair, by an escape
        return text.encode("utf-8", "replace")


def log_bytes(data: bytes) -> bytes:
    """The bytes of a line as they stood in the log, from what a syslog daemon calls a message."""
    # rsyslog's MSG begins with the space that stood behind the syslog tag; in front of a time
    # stamp of the kernel it is that and nothing of the kernel's.
    return data[1:] if data.startswith(b" [") else data
