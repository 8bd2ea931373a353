"""A rule as Python sees it: a checked TOML row with its regular expressions compiled on demand."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

KINDS = frozenset(
    (
        "memory.oom", "memory.alloc", "memory.corruption", "kernel.panic", "kernel.oops",
        "kernel.warning", "kernel.lockup", "kernel.hung-task", "kernel.rcu-stall", "kernel.error",
        "sanitizer.kasan", "sanitizer.kmsan", "sanitizer.kcsan", "sanitizer.kfence",
        "sanitizer.ubsan", "sanitizer.leak", "sanitizer.lockdep", "storage.ata", "storage.scsi",
        "storage.nvme", "storage.block", "storage.raid", "filesystem", "hardware.mce",
        "hardware.memory", "hardware.pcie", "hardware.thermal", "hardware.firmware",
        "hardware.device", "network", "boot", "userspace", "userspace.traceback", "security",
        "virt.clock",
    )
)  # fmt: skip
SEVERITIES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")

# Fields that the classifier fills in for any report with a trace; a title may use them without
# a group of its own.
STANDARD_FIELDS = frozenset(
    (
        "function", "module", "comm", "pid", "cpu", "kernel", "taint", "hardware", "address",
        "panicked",
    )
)  # fmt: skip
INT_NAMES = frozenset(
    (
        "pid", "cpu", "count", "sector", "order", "score", "uid", "seconds", "line", "tgid", "ppid",
        "qid", "lba",
    )
)  # fmt: skip
# What a variant may say otherwise than its rule.
VARIED = (
    "kind", "severity", "title", "signature", "meaning", "advice", "blame", "requested",
)  # fmt: skip
INT_SUFFIXES = ("_kb", "_bytes", "_seconds", "_pages", "_ms", "_count", "_pid")


_Made = TypeVar("_Made")


def is_int_field(name: str) -> bool:
    return name in INT_NAMES or name.endswith(INT_SUFFIXES)


class Regex:
    """A regular expression that is compiled when first used: loading rules must be cheap."""

    __slots__ = ("_compiled", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._compiled: re.Pattern[str] | None = None

    def search(self, text: str) -> re.Match[str] | None:
        if self._compiled is None:
            self._compiled = re.compile(self.pattern)
        return self._compiled.search(text)


class Extract:
    """Fields from the lines that hold a literal."""

    __slots__ = ("all", "literals", "match")

    def __init__(self, row: dict[str, Any]) -> None:
        self.literals: tuple[str, ...] = tuple(texts(row["literal"]))
        self.match = Regex(row["match"])
        self.all: bool = row.get("all", False)


class Variant:
    """A narrower reading of a rule's reports."""

    __slots__ = ("before", "literals", "match", "values", "within")

    def __init__(self, row: dict[str, Any]) -> None:
        self.literals: tuple[str, ...] = tuple(texts(row["literal"]))
        self.within: int | None = row.get("within")
        # Console states that a boot's banner must have broken into.
        self.before: tuple[str, ...] = tuple(row.get("before", ()))
        self.match = Regex(row["match"]) if "match" in row else None
        self.values = {key: row[key] for key in VARIED if key in row}
        if "meaning" in self.values:
            self.values["meaning"] = _joined(self.values["meaning"])
        if "advice" in self.values:
            self.values["advice"] = tuple(map(_joined, self.values["advice"]))


class Example:
    """A log with what a rule must, or must not, make of it."""

    __slots__ = ("count", "fields", "kind", "log", "severity", "title", "why")

    def __init__(self, row: dict[str, Any]) -> None:
        self.log: bytes = row["log"].encode("utf-8", "surrogateescape")
        self.title: str | None = row.get("title")
        self.kind: str | None = row.get("kind")
        self.severity: str | None = row.get("severity")
        self.fields: dict[str, str | int] = row.get("fields", {})
        self.count: int | None = row.get("count")
        self.why: str | None = row.get("why")


class Rule:
    """One checked row. ``source`` is the file it came from."""

    __slots__ = (
        "_cache",
        "_whole",
        "absorbs",
        "advice",
        "blame",
        "id",
        "kind",
        "lane",
        "meaning",
        "noise",
        "origin",
        "provisional",
        "rank",
        "reason",
        "requested",
        "requires",
        "row",
        "severity",
        "signature",
        "source",
        "titles",
    )

    def __init__(
        self, row: dict[str, Any], source: str, whole: Callable[[str], dict[str, Any]] | None = None
    ) -> None:
        self.row = row
        # Fetches the row with its examples, when `row` came without them.
        self._whole = whole
        self.source = source
        self.id: str = row["id"]
        self.noise: bool = row.get("noise", False)
        self.reason: str | None = row.get("reason")
        self.kind: str = row.get("kind", "noise")
        self.severity: str = row.get("severity", "debug")
        self.titles: tuple[str, ...] = tuple(texts(row.get("title", ())))
        self.signature: tuple[str, ...] = tuple(row.get("signature", ()))
        self.meaning: str = _joined(row.get("meaning", ""))
        self.advice: tuple[str, ...] = tuple(map(_joined, row.get("advice", ())))
        self.origin: str = row.get("origin", "any" if self.noise else "kernel")
        self.rank: int = row.get("rank", 0)
        self.lane: str = row.get("lane", "trace")
        self.absorbs: tuple[str, ...] = tuple(row.get("absorbs", ()))
        self.blame: str | None = row.get("blame")
        self.requested: str | None = row.get("requested")
        self.requires: tuple[str, ...] = tuple(row.get("requires", ()))
        self.provisional: bool = row.get("provisional", False)
        self._cache: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Rule {self.id} ({self.kind})>"

    @property
    def title(self) -> str:
        return self.titles[0] if self.titles else ""

    @property
    def report(self) -> bool:
        """Several lines; else one line is one incident."""
        return "continue" in self.row or "end" in self.row

    @property
    def literals(self) -> tuple[bytes, ...]:
        """The literals that begin it."""
        return tuple(text.encode("utf-8") for text in texts(self.row["start"]["literal"]))

    @property
    def start_match(self) -> Regex | None:
        return self._once("start_match", lambda: _regex(self.row["start"]))

    @property
    def end_match(self) -> Regex | None:
        return self._once("end_match", lambda: _regex(self.row.get("end", {})))

    @property
    def end_literals(self) -> tuple[str, ...]:
        return tuple(texts(self.row.get("end", {}).get("literal", ())))

    @property
    def extracts(self) -> tuple[Extract, ...]:
        return self._once("extracts", lambda: tuple(map(Extract, self.row.get("extract", ()))))

    @property
    def variants(self) -> tuple[Variant, ...]:
        return self._once("variants", lambda: tuple(map(Variant, self.row.get("variant", ()))))

    @property
    def examples(self) -> tuple[Example, ...]:
        return self._once("examples", lambda: tuple(map(Example, self._rows("example"))))

    @property
    def counterexamples(self) -> tuple[Example, ...]:
        return self._once(
            "counterexamples", lambda: tuple(map(Example, self._rows("counterexample")))
        )

    def _rows(self, key: str) -> list[dict[str, Any]]:
        if self._whole is not None:
            self.row = self._whole(self.id)
            self._whole = None
        rows: list[dict[str, Any]] = self.row.get(key, [])
        return rows

    def _once(self, name: str, make: Callable[[], _Made]) -> _Made:
        if name not in self._cache:
            self._cache[name] = make()
        made: _Made = self._cache[name]
        return made


def _joined(text: str) -> str:
    """TOML text may be wrapped over lines; what is shown is one."""
    return " ".join(text.split())


def texts(value: str | list[str] | tuple[str, ...]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _regex(part: dict[str, Any]) -> Regex | None:
    return Regex(part["match"]) if "match" in part else None
