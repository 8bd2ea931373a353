"""The public face: one stream's scanner, and whole logs and files in one call."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from tocsin._core import state as snapshots
from tocsin._core.pipeline import Pipeline
from tocsin._core.trace import Trace
from tocsin.classify.blame import Blame
from tocsin.classify.reading import read
from tocsin.incident import ConsoleState, Incident
from tocsin.limits import Limits
from tocsin.rules.loader import Ruleset, load_rules

DEFAULT_LIMITS = Limits()
STATES = tuple(ConsoleState)
CHUNK = 1 << 20


@functools.cache
def builtin_rules() -> Ruleset:
    """The built-in ruleset, loaded once a process: it is immutable."""
    return load_rules()


def shared_blame(rules: Ruleset) -> Blame:
    """The blame profiles of a ruleset, compiled once for all its scanners."""
    blame = rules.shared.get("blame")
    if blame is None:
        blame = rules.shared.setdefault("blame", Blame(rules.blame))
    return blame  # type: ignore[no-any-return]


def refuse(chunk: Any) -> list[Trace]:
    raise ValueError("this scanner is closed")


class Scanner:
    """Reads one stream of console bytes and reports incidents as they close.

    One scanner a stream, one thread at a time. However the bytes are cut into chunks, the same
    incidents come out, in the same order.
    """

    __slots__ = ("__weakref__", "_blame", "_closed", "_pipeline", "_rules", "_take")

    def __init__(self, rules: Ruleset | None = None, *, limits: Limits = DEFAULT_LIMITS) -> None:
        if rules is None:
            rules = builtin_rules()
        elif not isinstance(rules, Ruleset):
            raise TypeError(f"rules: expected a Ruleset from load_rules(), got {type(rules)!r}")
        if not isinstance(limits, Limits):
            raise TypeError(f"limits: expected Limits, got {type(limits)!r}")
        self._rules = rules
        self._blame = shared_blame(rules)
        self._pipeline = Pipeline(rules.program, limits)
        self._take: Callable[[Any], list[Trace]] = self._pipeline.feed
        self._closed = False

    def _incidents(self, traces: list[Trace]) -> list[Incident]:
        out = []
        for trace in traces:
            incident = read(trace, self._rules, self._blame)
            if incident is not None:
                out.append(incident)
        return out

    def feed(self, chunk: Any) -> list[Incident]:
        """Take the next bytes (any buffer of bytes); the incidents that ended in them.

        Raises TypeError for str, ValueError after close().
        """
        traces = self._take(chunk)
        return self._incidents(traces) if traces else []

    def flush(self) -> list[Incident]:
        """End what is open, as at the end of a log. More may be fed afterwards."""
        if self._closed:
            raise ValueError("this scanner is closed")
        return self._incidents(self._pipeline.flush())

    def close(self) -> list[Incident]:
        """Flush, and take no more."""
        if self._closed:
            return []
        out = self.flush()
        self._close()
        return out

    def _close(self) -> None:
        self._closed = True
        self._take = refuse

    def __enter__(self) -> Scanner:
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    @property
    def console(self) -> ConsoleState:
        """What the console last showed, an unfinished line (a login prompt) included."""
        return STATES[self._pipeline.state]

    @property
    def offset(self) -> int:
        """Bytes fed so far."""
        return int(self._pipeline.offset)

    @property
    def pending(self) -> bool:
        """Whether flush() might report something: an open incident or an unfinished line."""
        return bool(self._pipeline.pending)

    @property
    def boot(self) -> int:
        """Boots seen so far, less one: the number that incidents of now carry."""
        return int(self._pipeline.boot)

    @property
    def counts(self) -> dict[str, int]:
        """What limits cut so far: ``overlong_lines`` and ``evicted`` incidents."""
        return dict(self._pipeline.counts)

    def dumps(self) -> bytes:
        """The scanner's state between two chunks: small, versioned, deterministic."""
        return bytes(snapshots.dumps(self._pipeline))

    @classmethod
    def loads(
        cls, state: bytes, rules: Ruleset | None = None, *, limits: Limits | None = None
    ) -> Scanner:
        """A scanner that goes on where `state` was taken, under the limits it had.

        Raises ValueError when the state is damaged, of another version, of another ruleset, or
        (if `limits` are given) of other limits.
        """
        if not isinstance(state, bytes):
            raise TypeError(f"state: expected bytes, got {type(state).__name__}")
        saved = Limits(*snapshots.saved_limits(state))
        if limits is not None and limits != saved:
            raise ValueError(f"the state was saved under other limits: {saved}")
        scanner = cls(rules, limits=saved)
        snapshots.loads(scanner._pipeline, state)
        return scanner


def scan(data: Any, rules: Ruleset | None = None) -> list[Incident]:
    """The incidents of one complete log held in memory."""
    scanner = Scanner(rules)
    return scanner.feed(data) + scanner.flush()


def scan_file(
    file: str | os.PathLike[str] | BinaryIO, rules: Ruleset | None = None
) -> Iterator[Incident]:
    """The incidents of a file, one by one, in constant memory.

    `file` is a path or a binary file object (read from where it stands, not closed). Raises
    OSError when it cannot be read, TypeError for a file opened as text.
    """
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb", buffering=0) as opened:
            yield from _scan_open(opened, rules)
    elif isinstance(file, io.TextIOBase) or not hasattr(file, "read"):
        raise TypeError(f"expected a path or a binary file, got {type(file).__name__}")
    else:
        yield from _scan_open(file, rules)


def _scan_open(file: Any, rules: Ruleset | None) -> Iterator[Incident]:
    scanner = Scanner(rules)
    while chunk := file.read(CHUNK):
        yield from scanner.feed(chunk)
    yield from scanner.flush()
