"""Which function a report is named after.

The convention of kernel developers: the first function of the trace that is not machinery, where
what counts as machinery depends on the kind of report. The lists are data (builtin/blame.toml);
this module only walks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tocsin.classify.rust_v0 import path_of

# Compilers put these behind a function's name, and in front of it; the function is the same. The
# big-endian 64-bit PowerPC calls the code of `f` `.f`, because `f` is its descriptor there.
SUFFIXES = frozenset(
    "isra constprop part cold llvm lto_priv cfi cfi_jt localalias __uniq __key".split()
)
PREFIX = re.compile(r"^(?:\.|__pfx_|__cfi_|__pi_)(?=[A-Za-z_])")
# The same system call has another wrapper on every architecture and in every decade.
SYSCALL = re.compile(r"^__(?:x64|ia32|arm64|s390x?|riscv|se|do|x32)_(?:compat_)?(?=sys_)")
OLD_SYSCALL = re.compile(r"^(?:SyS|ksys|SYSC)_")
SYSCALL_NAME = re.compile(r"(?:__\w+?_)?(?:compat_)?(?:k?sys|SyS|SYSC)_")
CORRUPTED = "corrupted"


def plain(function: str) -> str:
    """The name without what the compiler added to it (`f.isra.0.cold.12`)."""
    head, dot, tail = function.rpartition(".")
    while dot and head and (tail.isdecimal() or tail in SUFFIXES):
        function = head
        head, dot, tail = function.rpartition(".")
    return PREFIX.sub("", function)


def clean(function: str) -> str:
    """The name without what compiler and architecture added to it."""
    name = SYSCALL.sub("", path_of(plain(function)))
    return OLD_SYSCALL.sub("", name)


def _alternation(globs: Sequence[str]) -> re.Pattern[str]:
    parts = [re.escape(glob).replace(r"\*", ".*") for glob in globs]
    return re.compile(rf"(?:{'|'.join(parts) or '(?!)'})\Z")


# What a profile says of one function.
SKIP, BELOW, PREFER = 1, 2, 4
# Names whose verdict a profile remembers; real kernels have some ten thousand on their stacks.
MEMORY = 8192


class Profile:
    """One row of blame.toml, its lists resolved."""

    def __init__(self, row: dict[str, Any], skips: dict[str, list[str]]) -> None:
        self.sources: list[str] = row.get("sources", ["pc", "trace"])
        self.after: list[str] = row.get("after", [])
        self.headless: bool = row.get("headless", False)
        self.sections: bool = row.get("sections", False)
        self.modules: bool = row.get("modules", False)
        self._skip = _alternation(_resolve(row.get("skip", []), skips))
        self._below = _alternation(_resolve(row.get("below", []), skips))
        # Blames another function than the one that ran, which is then told as `at`.
        self.representative = bool(row.get("below"))
        self._floor = _alternation(row["floor"]) if "floor" in row else None
        self._prefer = _alternation(row.get("prefer", []))
        self._avoid = _alternation(row.get("avoid", []))
        self._avoids = bool(row.get("avoid"))
        self._rename: list[tuple[re.Pattern[str], str]] = [
            (_alternation([glob]), new) for glob, new in row.get("rename", {}).items()
        ]
        self._verdicts: dict[str, int] = {}

    def _verdict(self, function: str) -> int:
        known = self._verdicts.get(function)
        if known is None:
            name = plain(function)
            known = SKIP if self._skip.match(name) else 0
            if self._below.match(name):
                known |= BELOW
            if self._prefer.match(name):
                known |= PREFER
            if len(self._verdicts) >= MEMORY:
                self._verdicts.clear()
            self._verdicts[function] = known
        return known

    def avoids(self, functions: Sequence[str]) -> bool:
        """A trace of somebody who only watches (the RCU grace-period thread)."""
        return self._avoids and any(
            self._avoid.match(plain(name)) is not None for name in functions
        )

    def choose(
        self, functions: Sequence[str], modules: Sequence[str | None] = ()
    ) -> int | None:
        """Index of the function to blame, innermost first; None when all are machinery.

        `modules`: the modules that the functions belong to, for profiles that ask.
        """
        if self._floor is not None:
            floor = next((n for n, f in enumerate(functions) if self._floor.match(plain(f))), 0)
            if floor:
                at = self._choose(functions[floor:], modules[floor:])
                return None if at is None else at + floor
        return self._choose(functions, modules)

    def _choose(self, functions: Sequence[str], modules: Sequence[str | None]) -> int | None:
        verdicts = [self._verdict(name) for name in functions]
        if self.modules:
            first = next((n for n, verdict in enumerate(verdicts) if not verdict & SKIP), None)
            if first is not None and first < len(modules) and modules[first]:
                return first
        for n, verdict in enumerate(verdicts):
            if verdict & PREFER:
                return n
        for n in range(1, len(verdicts)):
            if verdicts[n] & BELOW:
                inner = n - 1
                while inner > 0 and verdicts[inner] & BELOW:
                    inner -= 1
                if not verdicts[inner]:
                    return inner
        if self.representative and functions and SYSCALL_NAME.match(functions[-1]):
            # Some unwinders end at the system call, in front of what called it.
            return len(functions) - 1
        for n, verdict in enumerate(verdicts):
            if not verdict & SKIP:
                return n
        return None

    def name(self, function: str) -> str:
        name = clean(function)
        for pattern, new in self._rename:
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

    def prepare(self) -> None:
        """Make all profiles, for who does not want the first report of a kind to wait."""
        for name in self._tables["profile"]:
            self.profile(name)
