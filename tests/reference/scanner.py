"""A scanner too simple to be wrong: which lines say what, and nothing of how they are grouped.

Plain Python over whole logs: lines by `split`, prefixes by regular expressions, literals by
`find`. It knows printk stamps, callers, levels and RFC 3164 headers; no other header, no escapes.
Rules are the small ones of tests/small.py, read as data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

STAMP = re.compile(rb"\[ *(\d{1,18}\.\d{3,9})\]")
GLUED = re.compile(rb"\[ *\d{1,18}\.\d{6}\]")
CALLER = re.compile(rb"\[ *([TC]\d{1,18})\]")
LEVEL = re.compile(rb"<(\d{1,2})>")
MONTHS = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
SYSLOG = re.compile(
    MONTHS + rb" +(?:[1-9]|0[1-9]|[12]\d|3[01]) \d\d:\d\d:\d\d +([^\s:]+) +(?:([^\s:]{1,64}): ?)?"
)
HOSTED = re.compile(rb"([^\s:]+) kernel: ")
KERNEL, USER, UNKNOWN = "kernel", "user", "unknown"


class Message(NamedTuple):
    offset: int  # in the log
    line: bytes
    body: int  # where the message itself starts in the line
    origin: str
    time: float | None
    host: bytes | None
    caller: bytes | None
    level: int | None


def parse(line: bytes) -> tuple[Message, bool]:
    """A line's message, and whether a syslog header stood before it."""
    at = 0
    origin, time, host, caller, level, syslog = UNKNOWN, None, None, None, None, False
    while True:
        rest = line[at:]
        if time is None and (match := STAMP.match(rest)):
            time = float(match[1])
            origin = KERNEL if origin == UNKNOWN else origin
            at += match.end()
            if match := CALLER.match(line[at:]):
                caller = match[1]
                at += match.end()
            at += line[at : at + 1] == b" "
            if host is None and (match := HOSTED.match(line[at:])):
                host = match[1]
                at += match.end()
        elif level is None and (match := LEVEL.match(rest)):
            level = int(match[1]) & 7
            at += match.end()
        elif not syslog and time is None and (match := SYSLOG.match(rest)):
            syslog = True
            host = match[1]
            origin = KERNEL if match[2] == b"kernel" else USER
            at += match.end()
        elif time is None and origin == UNKNOWN and rest.startswith(b"kernel: "):
            origin = KERNEL
            at += 8
        else:
            return Message(0, line, at, origin, time, host, caller, level), syslog


def messages(log: bytes) -> Iterator[Message]:
    offset = 0
    for raw in log.split(b"\n"):
        line, start = raw.rstrip(b"\r"), offset
        offset += len(raw) + 1
        while True:
            message, syslog = parse(line)
            glued = None if syslog else GLUED.search(line, message.body)
            cut = glued.start() if glued else len(line)
            yield message._replace(offset=start, line=line[:cut])
            if not glued:
                break
            line, start = line[cut:], start + cut


# literal, anchor, all of these too, none of these, who may say so
STARTS = {
    "t.follow": (b"FATAL", "any", (), (), (KERNEL, UNKNOWN)),
    "t.line": (b"DOWN", "any", (), (), (KERNEL, UNKNOWN)),
    "t.word": (b"ABAB", "word", (), (), (KERNEL, UNKNOWN)),
    "t.body": (b"ABBA", "body", (), (), (KERNEL, UNKNOWN)),
    "t.tail": (b"BABA", "end", (), (), (KERNEL, UNKNOWN)),
    "t.pair": (b"AABB", "any", (b"BBB",), (b"AAAA",), (KERNEL, UNKNOWN)),
    "t.bracket": (b"dev [", "word", (), (), (KERNEL, USER, UNKNOWN)),
}
NOISE = b"KNOCK"


def places(line: bytes, literal: bytes) -> Iterator[int]:
    at = line.find(literal)
    while at >= 0:
        yield at
        at = line.find(literal, at + 1)


def holds(message: Message, at: int, literal: bytes, anchor: str) -> bool:
    line, body = message.line, message.body
    if at < body:
        return False
    before = line[body:at]
    if anchor == "body":
        return not before.strip(b" \t")
    if anchor == "word":
        return not re.search(rb"\w\Z", before, re.ASCII)
    if anchor == "end":
        return not line[at + len(literal) :].strip(b" \t\r")
    return True


def starts(message: Message) -> list[str]:
    """Rules whose start stands in the message; nothing when it is noise."""
    if any(at >= message.body for at in places(message.line, NOISE)):
        return []
    return [
        rule
        for rule, (literal, anchor, also, without, who) in STARTS.items()
        if message.origin in who
        and any(holds(message, at, literal, anchor) for at in places(message.line, literal))
        and all(text in message.line for text in also)
        and not any(text in message.line for text in without)
    ]
