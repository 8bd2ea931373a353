"""Rule files to a Ruleset: what a scanner runs on."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, overload

from tocsin._core.program import Program
from tocsin.errors import RuleError
from tocsin.rules import compiled
from tocsin.rules.model import Rule
from tocsin.rules.parse import parse_file, read_toml
from tocsin.rules.tables import build

BUILTIN = Path(__file__).parent / "builtin"
# A checked row, the file it came from, and how to fetch it with its examples.
Source = tuple[dict[str, Any], str, Any]
# A console row; the file and the place in it where its examples stand, when it came without.
ConsoleSource = tuple[dict[str, Any], Path | None, int]


class Ruleset(Sequence[Rule]):
    """An immutable set of rules, shared by any number of scanners and threads."""

    def __init__(
        self,
        sources: Sequence[Source],
        consoles: Sequence[ConsoleSource],
        program: Program,
        blame: dict[str, Any],
    ) -> None:
        self._sources = sources
        self._consoles = consoles
        self._rules: list[Rule | None] = [None] * len(sources)
        self._numbers = {row["id"]: number for number, (row, _, _) in enumerate(sources)}
        self.program = program
        self.blame = blame
        # What layers above compile from this ruleset and share between their users.
        self.shared: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self._rules)

    @overload
    def __getitem__(self, index: int | str) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Rule, ...]: ...
    def __getitem__(self, index: int | slice | str) -> Rule | tuple[Rule, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        if isinstance(index, str):
            index = self._numbers[index]
        rule = self._rules[index]
        if rule is None:
            rule = self._rules[index] = Rule(*self._sources[index])
        return rule

    def __contains__(self, item: object) -> bool:
        if isinstance(item, str):
            return item in self._numbers
        return any(rule is item for rule in self)

    def __iter__(self) -> Iterator[Rule]:
        return (self[number] for number in range(len(self)))

    @property
    def consoles(self) -> tuple[dict[str, Any], ...]:
        """The console rows with their examples, as the TOML has them."""
        whole: dict[Path, list[dict[str, Any]]] = {}
        out = []
        for row, path, number in self._consoles:
            if path is not None:
                if path not in whole:
                    whole[path] = read_toml(path)["console"]
                row = whole[path][number]
            out.append(row)
        return tuple(out)

    def __repr__(self) -> str:
        noise = sum(bool(row.get("noise")) for row, _, _ in self._sources)
        return f"<Ruleset of {len(self) - noise} rules and {noise} noise rows>"


def _program(tables: dict[str, Any], fingerprint: bytes) -> Program:
    entries = [
        [
            # Nearly all have neither: twenty thousand calls for nothing.
            (role, number, anchor, also and _encoded(also), without and _encoded(without), weight)
            for role, number, anchor, also, without, weight in rows
        ]
        for rows in tables["entries"]
    ]
    for row in tables["rules"]:
        row["fold_after"] = row["fold_after"].encode()
    return Program(
        _encoded(tables["literals"]), entries, tables["rules"], tables["consoles"],
        tables["shapes"], fingerprint,
        *([base64.b64decode(plan) for plan in tables.get(key, ())]
          for key in ("plans", "waking_plans")),
    )  # fmt: skip


def _encoded(texts: Sequence[str]) -> list[bytes]:
    return [text.encode() for text in texts]


def _rule_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.toml"))
        if not files:
            raise RuleError(str(path), None, None, "no *.toml file in this directory")
        return files
    return [path]


def _whole_row(ident: str, path: Path) -> dict[str, Any]:
    """A built-in row as its TOML has it, examples included."""
    row: dict[str, Any] = next(r for r in read_toml(path)["rule"] if r["id"] == ident)
    return row


class _Collected:
    """Rows by id, in order; a later group's rule replaces an earlier group's of the same id."""

    def __init__(self) -> None:
        self.sources: dict[str, Source] = {}
        self.consoles: list[ConsoleSource] = []
        self._seen: dict[str, str] = {}

    def next_group(self) -> None:
        self._seen = {}

    def add(self, row: dict[str, Any], file: str, whole: Any = None) -> None:
        ident = row["id"]
        if ident in self._seen:
            raise RuleError(file, ident, "id", f"stands in {self._seen[ident]} already")
        self._seen[ident] = file
        self.sources[ident] = (row, file, whole)


def load_rules(*paths: str | os.PathLike[str], builtin: bool = True) -> Ruleset:
    """Load the built-in rules and those of `paths` (files, or directories of ``*.toml``).

    A rule of a later path replaces the rule of an earlier one, or a built-in one, with the same
    id; inside one path an id may stand once. Raises RuleError, which names file, rule and key;
    OSError when a file cannot be read.
    """
    collected = _Collected()
    files, tables = compiled.split(BUILTIN)
    mark = compiled.digest([*files, *tables])
    known = compiled.read(BUILTIN, mark) or compiled.parse(files, tables)
    identity = hashlib.sha256()
    if builtin:
        identity.update(mark.encode())
        for family in known["families"]:
            for number, console in enumerate(family["consoles"]):
                collected.consoles.append((console, BUILTIN / family["file"], number))
            whole = partial(_whole_row, path=BUILTIN / family["file"])
            for row in family["rules"]:
                collected.add(row, family["file"], whole)
    for path in paths:
        collected.next_group()
        for file in _rule_files(Path(path)):
            identity.update(compiled.digest([file]).encode())
            rows, consoles = parse_file(file, str(file))
            collected.consoles += [(console, None, 0) for console in consoles]
            for row in rows:
                collected.add(row, str(file))
    sources = list(collected.sources.values())
    shapes, blame = known["tables"]["shapes.toml"], known["tables"]["blame.toml"]
    if builtin and not paths:
        resolved = known["program"]
    else:
        rows = [row for row, _, _ in collected.consoles]
        resolved = build([Rule(*source) for source in sources], rows, shapes)
    for row, source, _ in sources:
        _check_blame(row, source, blame["profile"])
    program = _program(resolved, identity.digest()[:16])
    return Ruleset(sources, collected.consoles, program, blame)


def _check_blame(row: dict[str, Any], file: str, profiles: dict[str, Any]) -> None:
    variants = enumerate(row.get("variant", ()))
    named = [("blame", row.get("blame"))]
    named += [(f"variant[{n}].blame", variant.get("blame")) for n, variant in variants]
    for key, profile in named:
        if profile is not None and profile not in profiles:
            raise RuleError(file, row["id"], key, f'no profile "{profile}" in blame.toml')
