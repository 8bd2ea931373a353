"""Incidents of an asyncio stream: `async for incident in incidents(reader)`.

A scanner has no clock. Here one is at hand, so a report that is cut off (a panic whose last line
never comes) is told after some seconds of silence, as `tocsin watch` does it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

from tocsin.incident import Incident
from tocsin.scanner import Scanner

__all__ = ["IncidentStream", "incidents"]

CHUNK = 1 << 16
# Who comes back late finds time to read what has come meanwhile before silence is concluded.
GRACE = 0.01
# What a read brings that brings no bytes.
END, SILENCE = object(), object()


def incidents(
    source: asyncio.StreamReader | AsyncIterator[Any],
    scanner: Scanner | None = None,
    *,
    idle: float | None = 2.0,
) -> IncidentStream:
    """The incidents of `source` as they close: a StreamReader or any async iterator of bytes.

    `scanner` is one to go on with (it has the rules, the limits, the console's state). After `idle`
    seconds without a byte, what is open counts as cut off and is told; None: never. At the end of
    the source everything open is told; when the source raises, that too, and then the error.
    """
    return IncidentStream(source, Scanner() if scanner is None else scanner, idle)


class IncidentStream:
    """An async iterator of Incident.

    A wait for the next one may be cancelled, and tried again: nothing is lost by it. Who leaves
    before the end and goes on with the source closes this, or uses `async with`.
    """

    def __init__(
        self,
        source: asyncio.StreamReader | AsyncIterator[Any],
        scanner: Scanner,
        idle: float | None,
    ) -> None:
        if isinstance(source, asyncio.StreamReader):
            self._reader: asyncio.StreamReader | None = source
        elif hasattr(source, "__aiter__"):
            self._reader = None
            self._chunks = source.__aiter__()
        else:
            raise TypeError(
                f"expected a StreamReader or an async iterator of bytes, got {type(source)!r}"
            )
        if idle is not None and not idle > 0:
            raise ValueError(f"idle: expected seconds above 0, or None; got {idle!r}")
        self.scanner = scanner
        self._idle = idle
        self._found: deque[Incident] = deque()
        self._error: BaseException | None = None
        self._ended = False
        self._fed: float | None = None  # when the last bytes came
        self._task: asyncio.Task[Any] | None = None

    def __aiter__(self) -> IncidentStream:
        return self

    async def __anext__(self) -> Incident:
        while not self._found:
            if self._ended:
                if self._error is not None:
                    error, self._error = self._error, None
                    raise error
                raise StopAsyncIteration
            await self._step()
        return self._found.popleft()

    async def _step(self) -> None:
        loop = asyncio.get_running_loop()
        if self._fed is None:
            self._fed = loop.time()
        deadline = None
        if self._idle is not None and self.scanner.pending:
            deadline = max(self._fed + self._idle, loop.time() + GRACE)
        try:
            chunk = await self._read(deadline)
        except Exception as error:
            self._end(error)
            return
        if chunk is SILENCE:
            self._found += self.scanner.flush()
        elif chunk is END:
            self._end(None)
        elif len(chunk):
            self._fed = loop.time()
            self._found += self.scanner.feed(chunk)

    async def _read(self, deadline: float | None) -> Any:
        """The next chunk, END, or SILENCE up to the deadline.

        Cancelled, it has taken nothing: StreamReader.read takes its bytes without a wait behind
        it. Of other sources nobody knows, so their step is a task of its own, which goes on.
        """
        if self._reader is not None:
            limit = asyncio.timeout_at(deadline)
            try:
                async with limit:
                    return await self._reader.read(CHUNK) or END
            except TimeoutError:
                if limit.expired():
                    return SILENCE
                raise
        if self._task is None:
            self._task = asyncio.ensure_future(self._next())
        patience = None
        if deadline is not None:
            patience = deadline - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait((self._task,), timeout=patience)
        if not done:
            return SILENCE
        task, self._task = self._task, None
        return task.result()

    async def _next(self) -> Any:
        try:
            return await self._chunks.__anext__()
        except StopAsyncIteration:  # which cannot leave a task
            return END

    def _end(self, error: BaseException | None) -> None:
        self._ended = True
        self._error = error
        self._found += self.scanner.flush()

    async def aclose(self) -> None:
        """Stop reading. The scanner keeps what is open, and can go on with it."""
        self._ended = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            # What it had taken from the source already is the scanner's.
            if not task.cancelled() and task.exception() is None and task.result() is not END:
                self._found += self.scanner.feed(task.result())

    async def __aenter__(self) -> IncidentStream:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()
