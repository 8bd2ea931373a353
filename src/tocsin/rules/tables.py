"""Rules resolved to numbers: what the core's Program is built from.

Pure data in, pure data out, JSON-able, so that the built-in rules can be resolved when the package
is built. Raises RuleError for names that lead nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tocsin.errors import RuleError
from tocsin.rules.model import SEVERITIES, Rule, texts
from tocsin.rules.parse import CONSOLE_STATES

ROLE_START, ROLE_CONTINUE, ROLE_END, ROLE_NOISE, ROLE_CONSOLE, ROLE_REPLAY = range(6)
ANCHORS = {"any": 0, "body": 1, "word": 2, "end": 3, "prompt": 4, "level": 5, "head": 6}
# Who may print a rule's first line: unknown 1, kernel 2, user 4 (see prefix.pxd).
ORIGINS = {"kernel": 1 | 2, "printk": 2, "user": 1 | 2 | 4, "any": 1 | 2 | 4}
GRAMMAR_SHAPES = ("none", "blank", "frame", "words", "ruler")
# A start's weight: rank first, then the literal's length.
RANK_STEP = 4096


class _Names:
    """Rule ids to numbers; `family.*` to all that begin so."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._numbers = {rule.id: number for number, rule in enumerate(rules)}

    def find(self, names: Sequence[str], rule: Rule, key: str) -> list[int]:
        out: list[int] = []
        for name in names:
            if name.endswith("*"):
                found = [n for ident, n in self._numbers.items() if ident.startswith(name[:-1])]
            else:
                found = [self._numbers[name]] if name in self._numbers else []
            if not found:
                raise RuleError(rule.source, rule.id, key, f'no rule "{name}"')
            out += found
        return out


class _Shapes:
    """Shape and group names to a bit mask."""

    def __init__(self, shapes: dict[str, Any]) -> None:
        self._bits = {name: n for n, name in enumerate([*GRAMMAR_SHAPES, *shapes["shape"]])}
        self._groups: dict[str, list[str]] = shapes["group"]

    def mask(self, names: Sequence[str], rule: Rule) -> int:
        mask = 0
        for name in names:
            if name.startswith("@"):
                if name[1:] not in self._groups:
                    raise RuleError(
                        rule.source, rule.id, "continue.shapes", f'no group "{name[1:]}"'
                    )
                mask |= self.mask(self._groups[name[1:]], rule)
            elif name in self._bits:
                mask |= 1 << self._bits[name]
            else:
                raise RuleError(rule.source, rule.id, "continue.shapes", f'no shape "{name}"')
        return mask


def _wakes(rows: list[list[Any]]) -> bool:
    """Whether a literal can begin a report, change the console's state or announce a replay."""
    return any(role in (ROLE_START, ROLE_CONSOLE, ROLE_REPLAY) for role, *_ in rows)


def build(
    rules: Sequence[Rule], consoles: Sequence[dict[str, Any]], shapes: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of Program, with text instead of bytes."""
    names = _Names(rules)
    masks = _Shapes(shapes)
    entries: dict[str, list[list[Any]]] = {}
    lanes: dict[str, int] = {}

    def add(part: dict[str, Any], role: int, number: int, rank: int) -> None:
        anchor = ANCHORS[part.get("anchor", "any")]
        also, without = texts(part.get("also", ())), texts(part.get("not", ()))
        for literal in texts(part.get("literal", ())):
            weight = rank * RANK_STEP + min(len(literal.encode()), RANK_STEP - 1)
            row = [role, number, anchor, also, without, weight]
            entries.setdefault(literal, []).append(row)

    rows = []
    for number, rule in enumerate(rules):
        row = rule.row
        more = row.get("continue", {})
        add(row["start"], ROLE_NOISE if rule.noise else ROLE_START, number, rule.rank)
        if row["start"].get("replay"):
            add(row["start"], ROLE_REPLAY, number, 0)
        add(more, ROLE_CONTINUE, number, 0)
        add(row.get("end", {}), ROLE_END, number, 0)
        mutes = row["start"].get("mutes")
        rows.append(
            {
                "shapes": masks.mask(more.get("shapes", ()), rule),
                "origins": ORIGINS[rule.origin],
                "severity": SEVERITIES.index(rule.severity),
                "lane": lanes.setdefault(rule.lane, len(lanes)),
                "report": rule.report,
                "provisional": rule.provisional,
                "lines": more.get("lines", 40),
                "seconds": float(more.get("seconds", 15)),
                "fold_after": row.get("fold", {}).get("after", ""),
                "absorbs": names.find(rule.absorbs, rule, "absorbs"),
                "mutes": names.find(mutes, rule, "start.mutes") if mutes else None,
            }
        )
    for number, console in enumerate(consoles):
        add(console, ROLE_CONSOLE, number, 0)
    # Those that can begin something first: while nothing is open only they are looked for.
    ordered = sorted(entries.items(), key=lambda entry: not _wakes(entry[1]))
    return {
        "literals": [literal for literal, _ in ordered],
        "entries": [rows for _, rows in ordered],
        "rules": rows,
        "consoles": [
            [CONSOLE_STATES.index(row["state"]), row.get("new_boot", False)] for row in consoles
        ],
        "shapes": list(shapes["shape"].items()),
    }
