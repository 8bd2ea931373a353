"""Standard input that a log shipper writes: one record a line, answered or not.

With an answer, a line counts as taken when it is kept: in the journal of the state directory,
which survives this process. The shipper sends its last line again when the answer did not reach
it; the first line after a start that is the last one kept is that, and is not read twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import stat
from collections.abc import Callable
from typing import Protocol

from tocsin.sources.shipped import LONGEST, Shipped, read
from tocsin.watch.alarms import Alarm
from tocsin.watch.loop import Loop
from tocsin.watch.streams import Stream, Streams

__all__ = ["JOURNALLED", "Answer", "Confirm", "Enrich", "Shipper", "Silent", "enriched"]

CHUNK = 1 << 16  # what a pipe holds; room for more is mapped and given back with each read
STREAMS = 10000
TOGETHER = 0.01  # seconds of lines before others have their turn
DRAINING = 5.0  # seconds for what is in the pipe when told to stop
JOURNALLED = "\x01shipper"  # in the journal: no name of a stream begins so


class Answer(Protocol):
    """What the shipper is told about each line."""

    asks: bool  # whether it waits for an answer, so sends a line at a time

    def ready(self) -> None: ...
    def taken(self) -> None: ...
    def refused(self, reason: str) -> None: ...


class Silent:
    """Nothing: standard output is the alarms'."""

    asks = False

    def ready(self) -> None: ...

    def taken(self) -> None: ...

    def refused(self, reason: str) -> None: ...


class Confirm:
    """rsyslog's omprog with confirmMessages: OK to begin with, then OK for each line."""

    asks = True

    def ready(self) -> None:
        os.write(1, b"OK\n")

    def taken(self) -> None:
        os.write(1, b"OK\n")

    def refused(self, reason: str) -> None:
        # Any other line: keep it, and send it again later.
        os.write(1, b"tocsin: " + reason.encode("ascii", "backslashreplace") + b"\n")


class Enrich:
    """rsyslog's mmexternal: a JSON object for each line, with what to add to the message."""

    asks = True

    def __init__(self) -> None:
        self._found: list[Alarm] = []

    def found(self, alarm: Alarm) -> None:
        self._found.append(alarm)

    def ready(self) -> None: ...

    def taken(self) -> None:
        found, self._found = self._found, []
        reply: dict[str, object] = {}
        incidents = [alarm for alarm in found if not alarm.is_note]
        if incidents:
            reply = {"$!": {"tocsin": [enriched(alarm) for alarm in incidents]}}
        _write(json.dumps(reply).encode("ascii") + b"\n")

    def refused(self, reason: str) -> None:
        self.taken()


def enriched(alarm: Alarm) -> dict[str, object]:
    """What is added to a message in which an incident ended."""
    wire = alarm.wire
    return {
        "uid": alarm.uid,
        "kind": alarm.kind,
        "severity": wire["severity_text"],
        "title": alarm.title,
        "signature": alarm.signature,
        "count": wire["attributes"]["tocsin.count"],
    }


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


class Shipper:
    def __init__(
        self,
        name: str,
        answer: Answer,
        keep: Callable[[str, bytes], object] | None,
        ended: Callable[[], object],
    ) -> None:
        self.name = name
        self.lines = 0
        self._answer = answer
        self._keep = keep
        self._ended = ended
        self._rest = b""
        self._is_long = False  # within a line that is too long to be kept together
        self._at_end = False
        self._complained = False
        self._poll = select.poll()
        # After another run: the next number says what was lost between. Also in the journal, which
        # is replayed behind the state that a run began with.
        self._resumed = True
        self._last: bytes | None = None  # the last line kept
        self._known: str | None = None  # what the last line of an earlier run is known by
        # The shipper's own number of the last line; none where nothing was on its way at the end.
        self._number: int | None = None
        self._first = True
        self._by_key: dict[tuple[str | None, str | None], Stream] = {}
        # Read, and not yet fed: a feed for each line would cost more than the line.
        self._ahead: dict[Stream, list[bytes]] = {}

    def prepare(self, streams: Streams) -> None:
        """Before the journal is replayed into `replay`."""
        self._streams = streams
        self._main = streams.open(f"{self.name}#last", replays=True)
        self._main.where = self._place
        if isinstance(self._main.position, int):
            self._number = self._main.position
        else:
            self._known = self._main.position

    def replay(self, data: bytes) -> None:
        for line in data.split(b"\n"):
            self._last = line
            self._take(read(line))
        self._main.moved()
        self._feed()

    def _place(self) -> str | int | None:
        return self._key_of_last() if self._answer.asks else self._number

    def _key_of_last(self) -> str | None:
        return self._known if self._last is None else _key(self._last)

    def start(self, loop: Loop, streams: Streams) -> None:
        self._resumed = True
        self._loop = loop
        self._file = stat.S_ISREG(os.fstat(0).st_mode)
        if self._file:
            loop.soon(self._read)
        else:
            loop.on_readable(0, self._read)
            self._poll.register(0, select.POLLIN)
            if self._answer.asks:
                os.set_blocking(0, False)
        self._answer.ready()

    def drain(self) -> None:
        """Told to stop: what a shipper that gets no answers has written already is lost if it is
        not read. Who gets answers sends it again."""
        if self._answer.asks or self._file:
            return
        until = self._loop.clock() + DRAINING
        while not self._at_end and self._poll.poll(0) and self._loop.clock() < until:
            self._read_once()
        self._feed()
        self._number = None
        self._main.moved()

    def _read(self) -> None:
        self._read_once()
        if self._answer.asks and not self._file:
            # Who waits for an answer sends the next line at once: a round of the loop for each
            # would cost more than the line.
            until = self._loop.now + TOGETHER
            while not self._at_end and self._loop.clock() < until:
                # It is often there already; looking in vain costs only time that is waited.
                if not self._read_once() and not self._poll.poll(1):
                    break
        self._feed()
        if self._file and not self._at_end:
            self._loop.soon(self._read)

    def _read_once(self) -> bool:
        """Whether there was anything; without waiting for it where that can be asked for."""
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._end()
            return True
        *lines, self._rest = (self._rest + data if self._rest else data).split(b"\n")
        if self._is_long and lines:
            self._end_long(lines.pop(0))
        if self._answer.asks:
            for line in lines:
                self._line(line)
        elif lines:
            self._lines(lines)
        if len(self._rest) > LONGEST:
            # Not confirmed before its end, and counted once: it is one line of the shipper's.
            self._take(Shipped(self._rest, None, None, None, malformed=not self._is_long))
            self._rest = b""
            self._is_long = True
        return True

    def _end_long(self, rest: bytes) -> None:
        self._is_long = False
        self._take(Shipped(rest + b"\n", None, None, None))
        self._feed()
        self._answer.taken()

    def _end(self) -> None:
        self._at_end = True
        if self._is_long:
            self._end_long(self._rest)
            self._rest = b""
        if self._rest:
            rest, self._rest = self._rest, b""
            if self._answer.asks:
                self._line(rest)
            else:
                self._lines([rest])
        self._feed()
        if not self._file:
            self._loop.forget(0)
        self._ended()

    def _line(self, line: bytes) -> None:
        """A line that is answered."""
        if self._keep is None:
            self._take(read(line))
            self._feed()  # the answer may have what ended in it
            self._answer.taken()
            return
        if self._first:
            self._first = False
            if _key(line) == self._key_of_last():
                self._answer.taken()
                return
        try:
            self._keep(JOURNALLED, line)
        except OSError as error:
            self._answer.refused(error.strerror or "cannot keep it")
            return
        # Kept, so answered: the shipper makes the next line ready while this one is read.
        self._answer.taken()
        self._last = line
        self._main.moved()
        self._take(read(line))

    def _lines(self, lines: list[bytes]) -> None:
        """Lines that nobody asks after."""
        if self._keep is not None:
            try:
                self._keep(JOURNALLED, b"\n".join(lines))
            except OSError as error:
                # There is no shipper to give them back to: read, though a crash may lose them.
                if not self._complained:
                    self._streams.complain(f"{self.name}: cannot keep lines: {error.strerror}")
                self._complained = True
            self._last = lines[-1]
            self._main.moved()
        for line in lines:
            self._take(read(line))

    def _take(self, shipped: Shipped) -> None:
        self.lines += 1
        line, file, host, _, malformed, number = shipped
        if malformed:
            self._streams.malformed[self.name] += 1
        if number is not None:
            if self._resumed:
                self._resumed = False
                if self._number is not None and number > self._number + 1:
                    self._missed(number - self._number - 1)
            self._number = number
        stream = self._by_key.get((file, host))
        if stream is None:
            stream = self._open(file, host)
        ahead = self._ahead.get(stream)
        if ahead is None:
            self._ahead[stream] = [line]
        else:
            ahead.append(line)

    def _feed(self) -> None:
        if self._ahead:
            for stream, lines in self._ahead.items():
                stream.feed(b"".join(lines))
            self._ahead.clear()

    def _open(self, file: str | None, host: str | None) -> Stream:
        if len(self._by_key) >= STREAMS:
            self._feed()
            self._streams.close(self._by_key.pop(next(iter(self._by_key))))
        # Its own bytes are kept by this source, with what they are known by.
        stream = self._streams.open(
            f"{self.name}:{host or ''}:{file or '-'}", file, replays=True, host=host
        )
        stream.origin = f"{stream.name}@{stream.began:.6f}"
        self._by_key[file, host] = stream
        return stream

    def _missed(self, count: int) -> None:
        """Numbers between the last line of a tocsin that was killed and the first that came to
        this one: lines lost in its pipe, and messages that were for others. Nobody knows whose."""
        self._feed()
        for stream in self._streams:
            stream.flush()
        self._streams.missed(self.name, "at most so many lines, on their way in a kill", count)


def _key(line: bytes) -> str:
    return read(line).key or hashlib.sha256(line).hexdigest()
