"""Where an incident was seen: what the incident itself cannot know."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Place"]


class Place(NamedTuple):
    source: str  # as people call it: the name given on the command line
    path: str | None = None  # absolute; None when it is not a file
    # First and last line, counted from 1 and both included, for every span of the incident.
    # None when they are not known.
    lines: tuple[tuple[int, int], ...] | None = None
