"""The plain values that tocsin hands out: incidents and what they are made of."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol


class Severity(enum.IntEnum):
    """How bad an incident is: RFC 5424 numbers, smaller is worse."""

    EMERG = 0  # the machine is dead or dying
    ALERT = 1  # the integrity of kernel or memory is in doubt
    CRIT = 2  # data or a service is lost now
    ERR = 3  # an operation failed
    WARNING = 4  # degraded, or an early sign
    NOTICE = 5  # worth a count
    INFO = 6
    DEBUG = 7


class ConsoleState(enum.Enum):
    """What the console last showed the machine to be doing."""

    UNKNOWN = "unknown"
    BOOTLOADER = "bootloader"
    BOOTING = "booting"
    UP = "up"
    EMERGENCY = "emergency"
    PANICKED = "panicked"
    HALTED = "halted"


class EndReason(enum.Enum):
    """Why an incident ended where it did."""

    END = "end"  # its end line was seen
    NEXT = "next"  # another report began
    GAP = "gap"  # other lines followed
    TIME = "time"  # the log's clock went on
    LIMIT = "limit"  # a limit cut it
    FLUSH = "flush"  # the stream was flushed
    LINE = "line"  # one line is all there is to it
    BOOT = "boot"  # the machine started again
    EVICTED = "evicted"  # too many were open at once


class Frame(NamedTuple):
    """One line of a stack trace."""

    function: str | None  # None: an address without a symbol
    offset: int | None  # bytes into the function
    size: int | None  # bytes of the function
    module: str | None
    source: str | None  # "mm/slub.c:123" in symbolised traces
    reliable: bool  # False: "?", a leftover on the stack
    inlined: bool
    line: int  # index into Incident.lines


class Reading(Protocol):
    """What computes the parts of an incident that not every caller asks for."""

    def title(self) -> str: ...
    def signature(self) -> str: ...
    def fields(self) -> dict[str, str | int]: ...
    def frames(self) -> tuple[Frame, ...]: ...
    def spans(self) -> tuple[tuple[int, int], ...]: ...
    def lines(self) -> tuple[bytes, ...]: ...
    def meaning(self) -> str: ...
    def advice(self) -> tuple[str, ...]: ...


EAGER = (
    "rule", "kind", "severity", "timestamp", "clock", "host", "caller", "boot", "level",
    "confidence", "ended", "truncated", "dropped_lines", "count",
)  # fmt: skip
LAZY = ("title", "signature", "fields", "frames", "spans", "lines", "meaning", "advice")


class Incident:
    """One thing that went wrong, with the lines that tell of it.

    Frozen; owns its bytes. ``title``, ``signature``, ``fields``, ``frames``, ``lines``,
    ``meaning`` and ``advice`` are worked out when first asked for and kept. Offsets and spans are
    bytes of the stream, half-open; ``timestamp`` is seconds by ``clock``.
    """

    __slots__ = (*EAGER, *LAZY, "__weakref__", "_reading")

    rule: str
    kind: str
    severity: Severity
    title: str
    signature: str
    fields: Mapping[str, str | int]
    frames: tuple[Frame, ...]
    spans: tuple[tuple[int, int], ...]
    lines: tuple[bytes, ...]
    timestamp: float | None
    clock: str | None
    host: str | None
    caller: str | None
    boot: int | None
    level: int | None
    confidence: str
    ended: EndReason
    truncated: bool
    dropped_lines: int
    count: int
    meaning: str
    advice: tuple[str, ...]

    def __init__(self, reading: Reading | None = None, **values: Any) -> None:
        put = object.__setattr__
        put(self, "_reading", reading)
        for name, value in values.items():
            put(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in LAZY:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = getattr(self._reading, name)()
        if name == "fields":
            value = MappingProxyType(value)
        object.__setattr__(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to {name!r}: an Incident is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"cannot delete {name!r}: an Incident is frozen")

    @property
    def start(self) -> int:
        """Offset of its first byte in the stream."""
        return self.spans[0][0]

    @property
    def end(self) -> int:
        """Offset behind its last byte in the stream."""
        return self.spans[-1][1]

    def _values(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in (*EAGER, *LAZY)}
        values["fields"] = dict(values["fields"])
        return values

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Incident):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((self.rule, self.spans))

    def __repr__(self) -> str:
        return (
            f"<Incident {self.kind} {self.severity.name} {self.title!r} "
            f"bytes {self.start}..{self.end}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self._values(),)

    def to_dict(self) -> dict[str, Any]:
        """The wire form: the OpenTelemetry log data model, one flat JSON-able dict.

        Raw bytes are decoded by UTF-8 with ``backslashreplace``.
        """
        from tocsin.wire import to_wire

        return to_wire(self)


def _rebuild(values: dict[str, Any]) -> Incident:
    values["fields"] = MappingProxyType(values["fields"])
    return Incident(None, **values)
