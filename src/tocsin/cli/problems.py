"""What went wrong, one line each, on standard error."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Iterable

from tocsin.sinks.printable import printable

__all__ = ["CLEAN", "FAILED", "FOUND", "complain", "nearest"]

# Exit codes of every command.
CLEAN, FOUND, FAILED = 0, 1, 2


# A pipe that can be written to takes so many bytes without making the writer wait.
PIPE = select.PIPE_BUF
WAIT = 1.0  # seconds for who reads standard error, unless it was waited for in vain
_patience = [WAIT]


def complain(message: str) -> None:
    """Never an exception and never long: nobody's deafness may end or stop the watching."""
    data = f"tocsin: {printable(message)}\n".encode("utf-8", "backslashreplace")
    if len(data) > PIPE:
        data = data[: PIPE - 4].decode("utf-8", "ignore").encode() + b"...\n"
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
        there = sys.stderr.fileno()
        poll = select.poll()
        poll.register(there, select.POLLOUT)
        can = bool(poll.poll(_patience[0] * 1000))
        _patience[0] = WAIT if can else 0.0
        if can:
            os.write(there, data)


def nearest(word: str, known: Iterable[str]) -> str:
    """"; did you mean ...?" for a name nobody knows, or nothing when nothing is near."""
    import difflib  # for a slip of the pen only: every start of the program would pay for it

    close = difflib.get_close_matches(word, sorted(set(known)), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""
