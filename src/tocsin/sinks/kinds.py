"""Kinds of incidents, as people name them: by a prefix or a glob."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

__all__ = ["kind_matches", "unknown_kinds"]

GLOB = frozenset("*?[")


def kind_matches(kind: str, patterns: Sequence[str]) -> bool:
    """A pattern with *, ? or [ is a glob, any other is a prefix; no pattern lets all through."""
    return not patterns or any(
        fnmatchcase(kind, pattern) if GLOB & set(pattern) else kind.startswith(pattern)
        for pattern in patterns
    )


def unknown_kinds(patterns: Iterable[str], kinds: Iterable[str]) -> list[str]:
    """Patterns no kind can ever match: a slip of the pen that would call every log clean."""
    known = list(kinds)
    return [p for p in patterns if not any(kind_matches(kind, (p,)) for kind in known)]
