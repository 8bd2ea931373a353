"""Every bound on what a scanner may hold, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields

# Places in an incident's text are 32 bits wide, and a reserve of a quarter comes on top.
MOST = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds a scanner's memory and the length of its incidents.

    An incident that a limit cut says so: ``truncated``, ``dropped_lines``, ``ended``.
    """

    line_bytes: int = 65536  # a longer line is judged in pieces of this many bytes
    # Bytes kept of one incident's lines; a quarter more for key lines, and always the first line.
    trace_bytes: int = 131072
    trace_lines: int = 4096  # lines kept of one incident
    trace_total: int = 50000  # lines after which an incident is ended
    traces: int = 64  # reports open at once in one stream
    folds: int = 64  # one-line incidents whose repeats are waited for
    fold_lines: int = 16  # lines kept of repeats; the rest is counted
    gap_bytes: int = 262144  # a report ends when so many bytes brought no line of it
    fold_bytes: int = 65536  # the same for repeats of a one-line incident
    fold_seconds: float = 60.0  # a later repeat, by the log's clock, is a new incident

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kind = (int, float) if field.name.endswith("_seconds") else int
            least = 256 if field.name == "line_bytes" else 1
            if isinstance(value, bool) or not isinstance(value, kind) or not least <= value <= MOST:
                raise ValueError(
                    f"Limits.{field.name}: expected {least} to {MOST}, got {value!r}"
                )
