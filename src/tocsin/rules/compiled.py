"""The built-in rules, checked and parsed ahead: a cache of the TOML files, never a second source.

Parsing and checking the built-in TOML takes a large part of a second; a command that starts for
one log cannot afford it. The build writes the checked rows as JSON next to the TOML, bound to it
by a digest of its bytes. When the cache is missing or the TOML has changed, the TOML is parsed.
Examples are left out: they are read from the TOML when somebody asks for them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tocsin.rules.model import Rule
from tocsin.rules.parse import parse_document, read_toml
from tocsin.rules.tables import build

NAME = "builtin.json"
# Counts up when what the cache holds changes its form.
FORM = 5
EXAMPLES = ("example", "counterexample")


def digest(files: Sequence[Path]) -> str:
    """Of the names and bytes of `files`, in their order."""
    sha = hashlib.sha256(b"%d" % FORM)
    for path in files:
        content = path.read_bytes()
        sha.update(f"{path.name}\0{len(content)}\0".encode())
        sha.update(content)
    return sha.hexdigest()


def read(directory: Path, expected: str) -> dict[str, Any] | None:
    """The cached rows of `directory`, or None when there are none for these very files."""
    try:
        cached: dict[str, Any] = json.loads((directory / NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return cached if cached.get("digest") == expected else None


def parse(files: Sequence[Path], tables: Sequence[Path]) -> dict[str, Any]:
    """What the cache holds, from the TOML itself. Raises RuleError."""
    families: list[dict[str, Any]] = []
    for path in files:
        rows, consoles = parse_document(read_toml(path), path.name)
        families.append(
            {
                "file": path.name,
                "rules": [{k: v for k, v in row.items() if k not in EXAMPLES} for row in rows],
                "consoles": [
                    {k: v for k, v in row.items() if k not in EXAMPLES} for row in consoles
                ],
            }
        )
    known: dict[str, Any] = {
        "families": families,
        "tables": {path.name: read_toml(path) for path in tables},
    }
    rules = [Rule(row, family["file"]) for family in families for row in family["rules"]]
    consoles = [row for family in families for row in family["consoles"]]
    known["program"] = build(rules, consoles, known["tables"]["shapes.toml"])
    return known


def plans_of(literals: Sequence[str]) -> list[str]:
    """Where the filter is to look for each literal, for every look that a variant has."""
    from tocsin._core.plans import plan_ahead
    from tocsin._core.variant import looks_for

    patterns = [literal.encode() for literal in literals]
    return [
        base64.b64encode(plan_ahead(patterns, look)).decode() for look in looks_for(len(patterns))
    ]


def write(
    directory: Path, files: Sequence[Path], tables: Sequence[Path], *, plans: bool = True
) -> Path:
    """Write the cache of `directory`. Raises RuleError when a rule is wrong: a build that fails.

    `plans` needs the compiled core; without them loading is right, only slower.
    """
    content = {"digest": digest([*files, *tables]), **parse(files, tables)}
    if plans:
        from tocsin._core.program import waking_literals

        program = content["program"]
        waking = waking_literals(program["entries"])
        program["plans"] = plans_of(program["literals"])
        program["waking_plans"] = plans_of(program["literals"][:waking])
    target = directory / NAME
    target.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    return target


def main() -> None:
    """``python -m tocsin.rules.compiled [DIRECTORY]``: write the cache of the built-in rules."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "builtin"
    files, tables = split(directory)
    print(write(directory, files, tables))


# Files of a rule directory that hold no rules.
TABLES = ("shapes.toml", "blame.toml")


def split(directory: Path) -> tuple[list[Path], list[Path]]:
    """The rule files and the tables of the built-in directory."""
    files = sorted(path for path in directory.glob("*.toml") if path.name not in TABLES)
    return files, [directory / name for name in TABLES]


if __name__ == "__main__":
    main()
