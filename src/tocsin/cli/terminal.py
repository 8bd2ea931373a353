"""Standard output: buffering, encoding, width, and whether it takes colours."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Mapping
from typing import TextIO

__all__ = ["can_write", "prepare", "reserve", "silence", "wants_colour", "width_of"]


def reserve() -> None:
    """Of the three standard streams, those that are closed become ones of which every use fails.
    Else the next file that is opened, a database maybe, gets the number and what is printed."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if fd else os.O_WRONLY)
    for fd, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "w", encoding="utf-8", closefd=False))  # noqa: SIM115


def can_write(fd: int) -> bool:
    return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


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
