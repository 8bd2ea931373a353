"""Standard output: buffering, encoding, width, and whether it takes colours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

__all__ = ["prepare", "silence", "wants_colour", "width_of"]


def prepare(stream: TextIO) -> None:
    """Whole lines at once, and no character of a log may be an encoding error."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")


def wants_colour(choice: str, stream: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """--color first, then NO_COLOR, then FORCE_COLOR (when not empty), then the terminal."""
    if choice != "auto":
        return choice == "always"
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return environment["FORCE_COLOR"] != "0"
    return stream.isatty() and environment.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int:
    """Columns to wrap prose at: the terminal's, but no wider than reads well."""
    import shutil  # brings all the packers with it: too much for --version

    return min(shutil.get_terminal_size().columns, 100) if stream.isatty() else 100


def silence(stream: TextIO) -> None:
    """Whoever read the other end has gone: what is still buffered must not raise at exit."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, stream.fileno())
    os.close(devnull)
