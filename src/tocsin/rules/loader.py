"""Rows to a Ruleset: names resolved to numbers, and the core's tables built from them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from tocsin._core.program import Program
from tocsin.errors import RuleError
from tocsin.rules.model import Rule
from tocsin.rules.parse import CONSOLE_STATES, parse_file, read_toml

BUILTIN = Path(__file__).parent / "builtin"
# Files of `builtin/` that hold no rules.
TABLES = ("shapes.toml", "blame.toml")

ROLE_START, ROLE_CONTINUE, ROLE_END, ROLE_NOISE, ROLE_CONSOLE = range(5)
ANCHORS = {"any": 0, "body": 1, "word": 2, "end": 3, "prompt": 4}
# Who may print a rule's first line: unknown 1, kernel 2, user 4 (see prefix.pxd).
ORIGINS = {"kernel": 1 | 2, "user": 1 | 2 | 4, "any": 1 | 2 | 4}
GRAMMAR_SHAPES = ("none", "blank", "frame", "words", "ruler")


class Ruleset(Sequence[Rule]):
    """An immutable set of rules, shared by any number of scanners and threads."""

    def __init__(
        self,
        rules: Iterable[Rule],
        consoles: list[dict[str, Any]],
        shapes: dict[str, Any],
        blame: dict[str, Any],
    ) -> None:
        self._rules = tuple(rules)
        self._by_id = {rule.id: rule for rule in self._rules}
        self.blame = blame
        self.consoles = tuple(consoles)
        self._shape_names = [*GRAMMAR_SHAPES, *shapes["shape"]]
        self._groups = shapes["group"]
        self._resolve()
        self.program = self._compile(consoles, shapes)

    def __len__(self) -> int:
        return len(self._rules)

    @overload
    def __getitem__(self, index: int) -> Rule: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Rule, ...]: ...
    @overload
    def __getitem__(self, index: str) -> Rule: ...
    def __getitem__(self, index: int | slice | str) -> Rule | tuple[Rule, ...]:
        if isinstance(index, str):
            return self._by_id[index]
        return self._rules[index]

    def __contains__(self, item: object) -> bool:
        return item in self._by_id if isinstance(item, str) else item in self._rules

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def __repr__(self) -> str:
        noise = sum(rule.noise for rule in self._rules)
        return f"<Ruleset of {len(self._rules) - noise} rules and {noise} noise rows>"

    def _resolve(self) -> None:
        for rule in self._rules:
            for key, names in (
                ("absorbs", rule.absorbs),
                ("start.mutes", rule.row["start"].get("mutes", ())),
            ):
                for name in names:
                    if name not in self._by_id and not self._family(name):
                        raise RuleError(rule.source, rule.id, key, f'no rule "{name}"')
            variants = enumerate(rule.row.get("variant", ()))
            for key, profile in (
                ("blame", rule.blame),
                *((f"variant[{n}].blame", variant.get("blame")) for n, variant in variants),
            ):
                if profile is not None and profile not in self.blame["profile"]:
                    raise RuleError(
                        rule.source, rule.id, key, f'no profile "{profile}" in blame.toml'
                    )

    def _family(self, name: str) -> list[int]:
        """Numbers of the rules that `name` means: an id, or a prefix ending in `*`."""
        if name.endswith("*"):
            return [n for n, r in enumerate(self._rules) if r.id.startswith(name[:-1])]
        return [n for n, r in enumerate(self._rules) if r.id == name]

    def _shape_mask(self, rule: Rule, names: list[str]) -> int:
        mask = 0
        for name in names:
            if name.startswith("@"):
                if name[1:] not in self._groups:
                    raise RuleError(
                        rule.source, rule.id, "continue.shapes", f'no group "{name[1:]}"'
                    )
                mask |= self._shape_mask(rule, self._groups[name[1:]])
            elif name in self._shape_names:
                mask |= 1 << self._shape_names.index(name)
            else:
                raise RuleError(rule.source, rule.id, "continue.shapes", f'no shape "{name}"')
        return mask

    def _compile(self, consoles: list[dict[str, Any]], shapes: dict[str, Any]) -> Program:
        entries: dict[bytes, list[tuple[int, int, int, list[bytes], list[bytes], int]]] = {}
        lanes: dict[str, int] = {}

        def add(part: dict[str, Any], role: int, number: int, rank: int) -> None:
            also = [text.encode() for text in _texts(part.get("also", ()))]
            without = [text.encode() for text in _texts(part.get("not", ()))]
            for literal in _texts(part.get("literal", ())):
                key = literal.encode()
                weight = rank * 4096 + min(len(key), 4095)
                entries.setdefault(key, []).append(
                    (role, number, ANCHORS[part.get("anchor", "any")], also, without, weight)
                )

        rows = []
        for number, rule in enumerate(self._rules):
            row = rule.row
            more = row.get("continue", {})
            add(row["start"], ROLE_NOISE if rule.noise else ROLE_START, number, rule.rank)
            add(more, ROLE_CONTINUE, number, 0)
            add(row.get("end", {}), ROLE_END, number, 0)
            mutes = row["start"].get("mutes")
            rows.append(
                {
                    "shapes": self._shape_mask(rule, more.get("shapes", [])),
                    "origins": ORIGINS[rule.origin],
                    "lane": lanes.setdefault(rule.lane, len(lanes)),
                    "report": rule.report,
                    "provisional": rule.provisional,
                    "lines": more.get("lines", 40),
                    "seconds": float(more.get("seconds", 15)),
                    "fold_after": row.get("fold", {}).get("after", "").encode(),
                    "absorbs": [n for name in rule.absorbs for n in self._family(name)],
                    "mutes": None
                    if not mutes
                    else [n for name in mutes for n in self._family(name)],
                }
            )
        for number, row in enumerate(consoles):
            add(row, ROLE_CONSOLE, number, 0)
        literals = list(entries)
        states = [
            (CONSOLE_STATES.index(row["state"]), row.get("new_boot", False)) for row in consoles
        ]
        shape_rows = list(shapes["shape"].items())
        canonical = json.dumps(
            [[rule.row for rule in self._rules], consoles, shapes], sort_keys=True, default=str
        )
        fingerprint = hashlib.sha256(canonical.encode()).digest()[:16]
        return Program(literals, list(entries.values()), rows, states, shape_rows, fingerprint)


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _rule_files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(p for p in path.glob("*.toml") if p.name not in TABLES)
        if not files:
            raise RuleError(str(path), None, None, "no *.toml file in this directory")
        return files
    return [path]


def load_rules(*paths: str | os.PathLike[str], builtin: bool = True) -> Ruleset:
    """Load the built-in rules and those of `paths` (files, or directories of ``*.toml``).

    A rule of a later file replaces the rule of an earlier one with the same id; inside one
    file an id may stand once. Raises RuleError, which names file, rule and key; OSError when a
    file cannot be read.
    """
    groups: list[list[Path]] = []
    if builtin:
        groups.append(_rule_files(BUILTIN))
    groups += [_rule_files(Path(path)) for path in paths]
    rules: dict[str, Rule] = {}
    consoles: list[dict[str, Any]] = []
    for group in groups:
        seen: dict[str, str] = {}
        for path in group:
            # A built-in family goes by its name, a user's file by the path it was given as.
            name = path.name if path.parent == BUILTIN else str(path)
            rows, console_rows = parse_file(path, name)
            consoles += console_rows
            for row in rows:
                if row["id"] in seen:
                    raise RuleError(
                        name, row["id"], "id", f"stands in {seen[row['id']]} already"
                    )
                seen[row["id"]] = name
                rules[row["id"]] = Rule(row, name)
    return Ruleset(
        rules.values(), consoles, read_toml(BUILTIN / "shapes.toml"),
        read_toml(BUILTIN / "blame.toml"),
    )  # fmt: skip
