"""Which function a report is named after.

The convention of kernel developers: the first function of the trace that is not machinery, where
what counts as machinery depends on the kind of report. The lists are data (builtin/blame.toml);
this module only walks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tocsin.incident import Frame

# Compilers put these behind a function's name; the function is the same.
SUFFIX = re.compile(r"(?:\.(?:isra|constprop|part|cold|llvm|lto_priv|__key)(?:\.\d+)*|\.\d+)+$")
# The same system call has another wrapper on every architecture and in every decade.
SYSCALL = re.compile(r"^__(?:x64|ia32|arm64|s390x?|riscv|se|do|x32)_(?:compat_)?(?=sys_)")
OLD_SYSCALL = re.compile(r"^(?:SyS|ksys|SYSC)_")
CORRUPTED = "corrupted"


def clean(function: str) -> str:
    """The name without what compiler and architecture added to it."""
    name = SUFFIX.sub("", function)
    name = SYSCALL.sub("", name)
    return OLD_SYSCALL.sub("", name)


def _alternation(globs: Sequence[str]) -> re.Pattern[str]:
    parts = [re.escape(glob).replace(r"\*", ".*") for glob in globs]
    return re.compile(rf"(?:{'|'.join(parts) or '(?!)'})\Z")


class Profile:
    """One row of blame.toml, its lists resolved."""

    def __init__(self, row: dict[str, Any], skips: dict[str, list[str]]) -> None:
        self.sources: list[str] = row.get("sources", ["pc", "trace"])
        self.after: list[str] = row.get("after", [])
        self.skip = _alternation(_resolve(row.get("skip", []), skips))
        self.below = _alternation(_resolve(row.get("below", []), skips))
        self.has_below = bool(row.get("below"))
        self.rename: dict[str, str] = row.get("rename", {})
        self._skipped: dict[str, bool] = {}

    def is_skipped(self, function: str) -> bool:
        known = self._skipped.get(function)
        if known is None:
            if len(self._skipped) > 4096:
                self._skipped.clear()
            known = self._skipped[function] = self.skip.match(function) is not None
        return known

    def choose(self, functions: Sequence[str]) -> int | None:
        """Index of the function to blame, innermost first; None when all are machinery."""
        names = [SUFFIX.sub("", name) for name in functions]
        if self.has_below:
            for n in range(1, len(names)):
                if self.below.match(names[n]):
                    inner = n - 1
                    while inner > 0 and self.below.match(names[inner]):
                        inner -= 1
                    if not self.is_skipped(names[inner]) and not self.below.match(names[inner]):
                        return inner
        for n, name in enumerate(names):
            if not self.is_skipped(name):
                return n
        return None

    def name(self, function: str) -> str:
        name = clean(function)
        for glob, new in self.rename.items():
            if _alternation([glob]).match(name):
                return new
        return name


def _resolve(names: Sequence[str], skips: dict[str, list[str]]) -> list[str]:
    out: list[str] = []
    for name in names:
        if name.startswith("@"):
            out += _resolve(skips[name[1:]], skips)
        else:
            out.append(name)
    return out


class Blame:
    """All profiles of a ruleset."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._tables = tables
        self._profiles: dict[str, Profile] = {}

    def profile(self, name: str) -> Profile:
        if name not in self._profiles:
            self._profiles[name] = Profile(self._tables["profile"][name], self._tables["skip"])
        return self._profiles[name]


PC = re.compile(
    r"^\s*(?:RIP: (?!0033:|002b:|0023:)(?:\w+:)?(?:\[<\w+>\]\s+)*(?:\[<\w+>\]\s*)?"
    r"|EIP: (?:is at )?|EIP is at |pc : (?:\[<\w+>\] )?|PC is at |NIP \[\w+\] |epc : (?:\w+ : )?"
    r"|Krnl PSW : \w+ \w+ \()(?P<function>[A-Za-z_<][^\s+)]*)\+0x"
)


def pc_functions(bodies: Sequence[str], first: int, last: int) -> list[str]:
    """Functions the instruction pointer stood in, as the lines `first` to `last` print it."""
    out = []
    for body in bodies[first:last]:
        if "+0x" in body and body.lstrip()[:1] in "REpPNeK":
            match = PC.match(body)
            if match:
                out.append(match["function"])
    return out


def trace_frames(
    frames: Sequence[Frame], shapes: Sequence[str], bodies: Sequence[str], start: int,
    after: Sequence[str],
) -> list[Frame]:  # fmt: skip
    """The frames of the trace that tells of the fault.

    From the last line that holds one of `after`, or else from the first trace heading behind
    `start` (or `start` itself, when the report has no heading), to the next section.
    """
    first = None
    for number in range(len(bodies) - 1, start - 1, -1):
        if any(text in bodies[number] for text in after):
            first = number
            break
    if first is None:
        first = next(
            (n for n in range(start, len(shapes)) if shapes[n] == "trace-head"), start
        )
    chosen: list[Frame] = []
    for frame in frames:
        if frame.line <= first:
            continue
        if chosen and any(
            shapes[n] in ("section", "trace-head") for n in range(chosen[-1].line, frame.line)
        ):
            break
        if frame.function and frame.reliable:
            chosen.append(frame)
    return chosen
