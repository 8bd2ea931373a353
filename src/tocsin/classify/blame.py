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
        self.prefer = _alternation(row.get("prefer", []))
        self.avoid = _alternation(row.get("avoid", []))
        self.headless: bool = row.get("headless", False)
        self.sections: bool = row.get("sections", False)
        self.rename = [(_alternation([glob]), new) for glob, new in row.get("rename", {}).items()]
        self._skipped: dict[str, bool] = {}

    def is_skipped(self, function: str) -> bool:
        known = self._skipped.get(function)
        if known is None:
            if len(self._skipped) > 4096:
                self._skipped.clear()
            known = self._skipped[function] = self.skip.match(function) is not None
        return known

    def avoids(self, section: Sequence[Frame]) -> bool:
        """A trace of somebody who only watches (the RCU grace-period thread)."""
        return any(self.avoid.match(SUFFIX.sub("", frame.function or "")) for frame in section)

    def choose(self, functions: Sequence[str]) -> int | None:
        """Index of the function to blame, innermost first; None when all are machinery."""
        names = [SUFFIX.sub("", name) for name in functions]
        for n, name in enumerate(names):
            if self.prefer.match(name):
                return n
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
        for pattern, new in self.rename:
            if pattern.match(name):
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


AT = re.compile(r"\bat: (?:\[<[0-9a-f]+>\] )?(?P<function>[A-Za-z_<][^\s+]*)\+0x|"
                r"^\s*\[<[0-9a-f]+>\] (?P<alone>[A-Za-z_][^\s+]*)\+0x")
RELEASE = "trying to release lock"


# Behind these a lock report tells of other tasks and other times.
ELSEWHERE = ("stack backtrace:", "other info that might", "-> #", "state was registered at:")


def lock_places(bodies: Sequence[str], first: int, held: bool) -> list[str]:
    """Functions that took the locks a lock report names (`..., at: f+0x1/0x2`), in its order.

    `held`: those in the list of held locks too, which stands further down.
    """
    out: list[str] = []
    for number in range(first, len(bodies)):
        body = bodies[number]
        if len(out) >= 4 or any(text in body for text in (ELSEWHERE[:1] if held else ELSEWHERE)):
            break
        release = number > first and RELEASE in bodies[number - 1]
        match = AT.search(body) if " at: " in body or release else None
        if match:
            out.append(match["function"] or match["alone"])
        elif release and "+0x" in body:
            out.append(body.split("+0x")[0].split()[-1])
    return out


def trace_sections(
    frames: Sequence[Frame], shapes: Sequence[str], bodies: Sequence[str], start: int,
    profile: Profile,
) -> list[list[Frame]]:  # fmt: skip
    """The traces of a report, each a list of its certain frames, innermost first.

    The first one tells of the fault: it begins at the last line that holds one of the profile's
    `after`, or else at the first trace heading behind `start` (or at `start` itself, when there is
    no heading or the profile says that there is none).
    """
    after = profile.after
    first = start if profile.headless else None
    for number in range(len(bodies) - 1, start - 1, -1):
        if any(text in bodies[number] for text in after):
            first = number
            break
    if first is None:
        first = next((n for n in range(start, len(shapes)) if shapes[n] == "trace-head"), start)
    sections: list[list[Frame]] = []
    current: list[Frame] = []
    last = first
    for frame in frames:
        if frame.line <= first:
            continue
        if current and any(
            shapes[n] in ("section", "trace-head") for n in range(last + 1, frame.line)
        ):
            sections.append(current)
            current = []
        last = frame.line
        if frame.function and frame.reliable:
            current.append(frame)
    if current:
        sections.append(current)
    return sections
