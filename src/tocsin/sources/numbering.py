"""Line numbers for byte offsets, in bounded memory, or none at all.

An incident knows its bytes; people and editors count lines. Counting is done only where an
incident asks: a file that can be re-read is counted up to the furthest offset asked for, so a
healthy log is never counted. A stream is counted as it passes and can answer for the bytes it
still holds; for older ones it says None rather than guess.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable
from typing import Protocol

__all__ = ["Numbering", "RereadNumbering", "StreamNumbering"]

# One mark for so many bytes. A lookup re-reads half of this on average.
STRIDE = 4096
# When there would be more marks than this, every other one goes and the stride doubles: 1 MiB of
# marks, whatever the size of the log.
MARKS = 1 << 17
# How much of a stream is held to count in. Incidents reach back: storms are folded over minutes.
WINDOW = 8 << 20


class Numbering(Protocol):
    def feed(self, chunk: bytes) -> None:
        """`chunk` comes next in the stream."""

    def line_at(self, offset: int) -> int | None:
        """The line, counted from 1, that the byte at `offset` is in; None when unknown."""


class RereadNumbering:
    """For what can be read again at any offset: `read_at(offset, size) -> bytes`.

    Short answers of `read_at` mean the file shrank; what was there cannot be counted any more.
    """

    def __init__(self, read_at: Callable[[int, int], bytes]) -> None:
        self._read_at = read_at
        self._stride = STRIDE
        # marks[i]: newlines before offset i * stride, for every whole stride counted so far.
        self._marks = array("q", (0,))

    def feed(self, chunk: bytes) -> None:
        pass

    def line_at(self, offset: int) -> int | None:
        if not self._count_to(offset):
            return None
        mark, within = divmod(offset, self._stride)
        head = self._read_at(mark * self._stride, within)
        if len(head) != within:
            return None
        return 1 + self._marks[mark] + head.count(b"\n")

    def _count_to(self, offset: int) -> bool:
        """Have a mark in the stride of `offset`; False when the file no longer reaches there."""
        while (len(self._marks) - 1) < offset // self._stride:
            stride = self._stride
            wanted = offset // stride - (len(self._marks) - 1)
            strides = min(wanted, max(1, (1 << 20) // stride))
            block = self._read_at((len(self._marks) - 1) * stride, strides * stride)
            if len(block) != strides * stride:
                return False
            newlines = self._marks[-1]
            for start in range(0, len(block), stride):
                newlines += block.count(b"\n", start, start + stride)
                self._marks.append(newlines)
            while len(self._marks) > MARKS:
                # Only marks at even places are at a whole number of the doubled stride.
                self._marks = self._marks[::2]
                self._stride *= 2
        return True


class StreamNumbering:
    """For what passes once: exact within the last `window` bytes."""

    def __init__(self, window: int = WINDOW) -> None:
        self._window = window
        self._held: deque[tuple[int, int, bytes]] = deque()  # offset, newlines before it, chunk
        self._offset = 0
        self._newlines = 0

    def feed(self, chunk: bytes) -> None:
        self._held.append((self._offset, self._newlines, chunk))
        self._offset += len(chunk)
        self._newlines += chunk.count(b"\n")
        while self._offset - self._held[0][0] - len(self._held[0][2]) >= self._window:
            self._held.popleft()

    def line_at(self, offset: int) -> int | None:
        if offset >= self._offset:
            return None
        for start, newlines, chunk in reversed(self._held):
            if start <= offset:
                return 1 + newlines + chunk.count(b"\n", 0, offset - start)
        return None
