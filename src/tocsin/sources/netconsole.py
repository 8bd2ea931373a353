"""netconsole datagrams of many machines, in the order in which they were printed.

Plain ones are bare text. Extended ones are records with a sequence number, maybe in fragments
(`ncfrag=offset/total`), and UDP may lose, double or reorder them: each sender's are held for a
short while until what is missing has come, then the rest is taken and the hole is told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from tocsin.sources.kmsg import Record, as_line, parse, unescaped

__all__ = ["WINDOW", "Netconsole", "Reorder", "Taken"]

FRAGMENT = re.compile(rb",ncfrag=(\d{1,9})/(\d{1,9})(?=[,;]|\Z)")
LOOKS_FRAGMENT = re.compile(rb"[\d.][^ ;]*,ncfrag=").match
PATIENCE = 0.1  # seconds for which a hole is waited on
WINDOW = 1024  # records held behind a hole
FRAGMENTS = 64  # records of which only a part has come
LARGEST = 1 << 16
RESTART = 1_000_000  # microseconds: a record so much older than the last is of another boot


class Taken(NamedTuple):
    data: bytes
    lost: int  # records missing before this one


class Reorder:
    """One sender's extended records."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, bytes] = {}
        self._parts: dict[int, tuple[int, dict[int, bytes], Record, float]] = {}
        self._since = 0.0
        self._usec = 0
        self.malformed = 0  # fragments of nothing that can be

    @property
    def holds(self) -> bool:
        return bool(self._held or self._parts)

    def take(self, record: Record, now: float) -> Iterator[Taken]:
        fragment = FRAGMENT.search(record.more)
        if fragment is not None:
            whole = self._assembled(record, int(fragment[1]), int(fragment[2]), now)
            if whole is None:
                return
            record = whole
        number = record.sequence
        if self._next is None:
            # Nothing is known of what came before; the first ones may be out of order too.
            self._next = number
        if number < self._next:
            # Late or double. One from far behind is no such thing: a wrong number was believed.
            if record.usec + RESTART > self._usec and self._next - number <= WINDOW:
                return
            yield from self._all()
            self._next = number
        self._usec = record.usec
        if not self._held:
            self._since = now
        self._held[number] = as_line(record)
        yield from self._in_order()
        if len(self._held) > WINDOW:
            yield from self._skip()

    def due(self, now: float) -> Iterator[Taken]:
        """What a hole has held up for long enough."""
        for number, (*_, since) in list(self._parts.items()):
            if now - since >= PATIENCE:
                del self._parts[number]
        while self._held and now - self._since >= PATIENCE:
            yield from self._skip()

    def _assembled(self, record: Record, offset: int, total: int, now: float) -> Record | None:
        if total > LARGEST or offset + len(record.text) > total or not record.text:
            self.malformed += 1
            return None
        _, pieces, first, _ = self._parts.setdefault(
            record.sequence, (total, {}, record, now)
        )
        pieces[offset] = record.text
        at = 0
        while pieces.get(at):
            at += len(pieces[at])
        if at < total:
            if len(self._parts) > FRAGMENTS:
                del self._parts[next(iter(self._parts))]
            return None
        del self._parts[record.sequence]
        text = b"".join(pieces[key] for key in sorted(pieces))
        # What follows the first line are properties and user data.
        return first._replace(text=unescaped(text.split(b"\n", 1)[0]))

    def _in_order(self) -> Iterator[Taken]:
        assert self._next is not None
        while self._next in self._held:
            yield Taken(self._held.pop(self._next), 0)
            self._next += 1

    def _skip(self) -> Iterator[Taken]:
        """Over the hole, to the first record behind it."""
        assert self._next is not None
        first = min(self._held)
        yield Taken(self._held.pop(first), first - self._next)
        self._next = first + 1
        yield from self._in_order()

    def _all(self) -> Iterator[Taken]:
        while self._held:
            yield from self._skip()


class Netconsole:
    """All senders. `feed(sender, data)` and `gap(sender, records)` take what comes out."""

    def __init__(
        self, feed: Callable[[str, bytes], object], gap: Callable[[str, int], object]
    ) -> None:
        self._feed = feed
        self._gap = gap
        self.malformed = 0
        self._senders: dict[str, Reorder] = {}

    def datagram(self, sender: str, data: bytes, now: float) -> None:
        record = _record(data)
        if record is None:
            # Plain text, unless it says that it is a fragment: half of a record is no line.
            if LOOKS_FRAGMENT(data):
                self.malformed += 1
            else:
                self._feed(sender, data)
            return
        reorder = self._senders.get(sender)
        if reorder is None:
            reorder = self._senders[sender] = Reorder()
        before = reorder.malformed
        self._pass(sender, reorder.take(record, now))
        self.malformed += reorder.malformed - before

    def due(self, now: float) -> bool:
        """Pass on what has waited long enough; whether anything waits on."""
        holds = False
        for sender, reorder in self._senders.items():
            if reorder.holds:
                self._pass(sender, reorder.due(now))
                holds = holds or reorder.holds
        return holds

    def forget(self, sender: str) -> None:
        self._senders.pop(sender, None)

    def _pass(self, sender: str, taken: Iterator[Taken]) -> None:
        for data, lost in taken:
            if lost:
                self._gap(sender, lost)
            self._feed(sender, data)


def _record(data: bytes) -> Record | None:
    """The record in a datagram; None when it is plain text."""
    if not data[:1].isdigit():
        return None
    record = parse(data)
    if record is not None and b"ncfrag=" in record.more:
        # A fragment is a piece of text and properties alike: cut by bytes, not by lines.
        text = data[data.index(b";") + 1 :]
        return record._replace(text=text)
    return record
