"""What went wrong, one line each, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tocsin.sinks.printable import printable

__all__ = ["CLEAN", "FAILED", "FOUND", "complain", "nearest"]

# Exit codes of every command.
CLEAN, FOUND, FAILED = 0, 1, 2


def complain(message: str) -> None:
    print(f"tocsin: {printable(message)}", file=sys.stderr, flush=True)


def nearest(word: str, known: Iterable[str]) -> str:
    """"; did you mean ...?" for a name nobody knows, or nothing when nothing is near."""
    import difflib  # for a slip of the pen only: every start of the program would pay for it

    close = difflib.get_close_matches(word, sorted(set(known)), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""
