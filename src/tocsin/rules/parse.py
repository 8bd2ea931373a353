"""TOML to checked rows: everything that can be wrong with a rule is said here, by name.

Nothing is guessed and nothing is ignored: an unknown key, a wrong type, a field that no group
can fill are errors with file, rule and key. What needs all rules at once (duplicate ids, targets
of ``absorbs``) is checked by the loader.
"""

from __future__ import annotations

import re
import string
from pathlib import Path
from typing import Any

from tocsin.errors import RuleError
from tocsin.rules.model import SEVERITIES, STANDARD_FIELDS

TEXT = "a string"
TEXTS = "a string or a list of strings"
BOOL = "true or false"
INT = "a whole number"
NUMBER = "a number"
TABLE = "a table"
LIST = "a list of strings"

RULE_KEYS = {
    "id": TEXT, "kind": TEXT, "severity": TEXT, "title": TEXTS, "signature": LIST,
    "meaning": TEXT, "advice": LIST, "origin": TEXT, "rank": INT, "lane": TEXT, "absorbs": LIST,
    "blame": TEXT, "requires": LIST, "provisional": BOOL, "noise": BOOL, "reason": TEXT,
    "requested": TEXT,
}  # fmt: skip
PART_KEYS: dict[str, dict[str, str]] = {
    "start": {
        "literal": TEXTS, "anchor": TEXT, "also": TEXTS, "not": TEXTS, "match": TEXT, "mutes": LIST,
        "replay": BOOL,
    },
    "continue": {"shapes": LIST, "literal": TEXTS, "lines": INT, "seconds": NUMBER},
    "end": {"literal": TEXTS, "anchor": TEXT, "also": TEXTS, "not": TEXTS, "match": TEXT},
    "fold": {"after": TEXT},
}  # fmt: skip
ROW_KEYS: dict[str, dict[str, str]] = {
    "extract": {"literal": TEXTS, "match": TEXT, "all": BOOL},
    "variant": {
        "literal": TEXTS, "within": INT, "before": LIST, "match": TEXT, "kind": TEXT,
        "severity": TEXT, "title": TEXTS, "signature": LIST, "meaning": TEXT, "advice": LIST,
        "blame": TEXT, "requested": TEXT,
    },
    "example": {
        "log": TEXT, "title": TEXT, "kind": TEXT, "severity": TEXT, "fields": TABLE,
        "count": INT, "why": TEXT,
    },
    "counterexample": {
        "log": TEXT, "title": TEXT, "kind": TEXT, "severity": TEXT, "fields": TABLE, "why": TEXT,
    },
}  # fmt: skip
CONSOLE_KEYS = {
    "state": TEXT, "literal": TEXTS, "anchor": TEXT, "also": TEXTS, "not": TEXTS,
    "new_boot": BOOL, "reason": TEXT,
}  # fmt: skip
CONSOLE_STATES = ("unknown", "bootloader", "booting", "up", "emergency", "panicked", "halted")
ANCHORS = ("any", "body", "word", "head", "end", "level")
ORIGINS = ("kernel", "printk", "user", "any")
SHORTEST_LITERAL = 4
# What the core's numbers hold, with room to spare: a rank is multiplied by the length of literals.
MOST_RANK = 1000
MOST_LINES = 1_000_000
ID = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*\Z")


def read_toml(path: Path, name: str | None = None) -> dict[str, Any]:
    # Not needed where the build has resolved the rules, which is nearly everywhere.
    import tomllib

    name = name or path.name
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise RuleError(name, None, None, f"not TOML: {error}") from None
    except UnicodeDecodeError as error:
        raise RuleError(name, None, None, f"not UTF-8: {error}") from None


def parse_file(path: Path, name: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The checked rule rows and console rows of a file, which errors call `name`.

    Raises RuleError; OSError if unreadable.
    """
    return parse_document(read_toml(path, name), name)


def parse_document(
    document: dict[str, Any], file: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if document.get("schema") != 1:
        raise RuleError(file, None, "schema", f"expected 1, got {document.get('schema')!r}")
    for key in document:
        if key not in ("schema", "rule", "console", "family"):
            raise RuleError(
                file, None, key, "unknown key; expected schema, family, rule or console"
            )
    rows = document.get("rule", [])
    consoles = document.get("console", [])
    for name, value in (("rule", rows), ("console", consoles)):
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            raise RuleError(file, None, name, f"expected a list of tables: [[{name}]]")
    for row in rows:
        check_rule(row, file)
    for row in consoles:
        check_console(row, file)
    return rows, consoles


def _is(value: Any, what: str) -> bool:
    if what == TEXT:
        return isinstance(value, str)
    if what == TEXTS:
        return isinstance(value, str) or _is(value, LIST)
    if what == LIST:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if what == BOOL:
        return isinstance(value, bool)
    if what == INT:
        return isinstance(value, int) and not isinstance(value, bool)
    if what == NUMBER:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, dict)


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def check_rule(row: dict[str, Any], file: str) -> None:
    ident = row.get("id")
    if not isinstance(ident, str) or not ID.match(ident):
        raise RuleError(
            file, str(ident) if ident else None, "id",
            f"expected lower-case words joined by dots and dashes, got {ident!r}",
        )  # fmt: skip

    def fail(key: str | None, what: str) -> RuleError:
        return RuleError(file, ident, key, what)

    known = {**RULE_KEYS, **dict.fromkeys(PART_KEYS, TABLE), **dict.fromkeys(ROW_KEYS, "rows")}
    for key, value in row.items():
        if key not in known:
            raise fail(key, f"unknown key; expected one of {', '.join(sorted(known))}")
        if key in PART_KEYS:
            _check_table(value, PART_KEYS[key], key, fail)
        elif key in ROW_KEYS:
            if not isinstance(value, list):
                raise fail(key, f"expected a list of tables: [[rule.{key}]]")
            for number, item in enumerate(value):
                _check_table(item, ROW_KEYS[key], f"{key}[{number}]", fail)
        elif not _is(value, known[key]):
            raise fail(key, f"expected {known[key]}, got {value!r}")
    _check_numbers(row, fail)
    _check_empty(row, fail)
    if row.get("origin", "kernel") not in ORIGINS:
        raise fail("origin", f"expected one of {', '.join(ORIGINS)}, got {row['origin']!r}")
    if "start" not in row:
        raise fail("start", "missing: a rule needs literals that begin it")
    for part in ("start", "end"):
        if part in row:
            _check_literals(row[part], part, fail)
    if _texts(row.get("continue", {}).get("literal", ())):
        _check_literals(row["continue"], "continue", fail)
    if row.get("noise"):
        if not row.get("reason"):
            raise fail("reason", "missing: a noise row says why the line is harmless")
        for key in ("title", "continue", "end", "fold", "extract", "variant"):
            if key in row:
                raise fail(key, "does not go with noise = true")
    else:
        _check_incident(row, fail)
    if row.get("provisional") and "continue" not in row:
        raise fail("provisional", "needs [rule.continue]: one line cannot wait for another")
    if not row.get("example") and not row.get("provisional"):
        raise fail("example", "missing: every rule needs an example")
    if not row.get("counterexample") and not row.get("provisional"):
        raise fail("counterexample", "missing: every rule needs a counterexample")


def _check_table(value: Any, keys: dict[str, str], where: str, fail: Any) -> None:
    if not isinstance(value, dict):
        raise fail(where, f"expected a table, got {value!r}")
    for key, item in value.items():
        if key not in keys:
            raise fail(f"{where}.{key}", f"unknown key; expected one of {', '.join(sorted(keys))}")
        if not _is(item, keys[key]):
            raise fail(f"{where}.{key}", f"expected {keys[key]}, got {item!r}")
    if "match" in value:
        _check_regex(value["match"], f"{where}.match", fail)


def _check_numbers(row: dict[str, Any], fail: Any) -> None:
    if abs(row.get("rank", 0)) > MOST_RANK:
        raise fail("rank", f"expected -{MOST_RANK} to {MOST_RANK}, got {row['rank']}")
    more = row.get("continue", {})
    if not 1 <= more.get("lines", 1) <= MOST_LINES:
        raise fail("continue.lines", f"expected 1 to {MOST_LINES}, got {more['lines']}")
    if not more.get("seconds", 0) >= 0:  # written so that nan is refused
        raise fail("continue.seconds", f"expected 0 or more, got {more['seconds']}")


def _check_empty(row: dict[str, Any], fail: Any) -> None:
    """No text that is searched for may be empty or go over a line end: it would match for ever."""
    parts = [(part, row[part]) for part in PART_KEYS if part in row]
    for name in ("extract", "variant"):
        parts += [(f"{name}[{n}]", item) for n, item in enumerate(row.get(name, ()))]
    for where, part in parts:
        for key in ("literal", "also", "not"):
            _check_texts(part.get(key, ()), f"{where}.{key}", fail)
    for name in ("example", "counterexample"):
        for number, item in enumerate(row.get(name, ())):
            if "log" not in item:
                raise fail(f"{name}[{number}].log", "missing")


def _check_texts(value: Any, where: str, fail: Any) -> None:
    for text in _texts(value):
        if not text:
            raise fail(where, "one of the texts is empty")
        if "\n" in text or "\r" in text:
            raise fail(where, f"{text!r} holds a line end; a literal is of one line")


def _check_literals(part: dict[str, Any], where: str, fail: Any) -> None:
    anchor = part.get("anchor", "any")
    if anchor not in ANCHORS:
        raise fail(f"{where}.anchor", f"expected one of {', '.join(ANCHORS)}, got {anchor!r}")
    literals = _texts(part.get("literal", ()))
    if not literals:
        raise fail(f"{where}.literal", "missing: expected at least one literal")
    for literal in literals:
        size = len(literal.encode("utf-8"))
        if size < SHORTEST_LITERAL and anchor != "body":
            raise fail(
                f"{where}.literal",
                f"{literal!r} has {size} bytes: too short to be rare, expected at least "
                f"{SHORTEST_LITERAL} or anchor = \"body\"",
            )


def _check_incident(row: dict[str, Any], fail: Any) -> None:
    for key in ("kind", "severity", "title", "meaning", "advice"):
        if key not in row and not row.get("provisional"):
            raise fail(key, "missing")
    for where, part in (
        ("", row), *((f"variant[{n}].", item) for n, item in enumerate(row.get("variant", ())))
    ):
        if "title" in part and not all(_texts(part["title"]) or [""]):
            raise fail(f"{where}title", "expected at least one title, none of them empty")
        if not ID.match(part.get("kind", "kind")):
            raise fail(
                f"{where}kind",
                f"expected lower-case words joined by dots and dashes, got {part['kind']!r}",
            )
    if row.get("severity", "debug") not in SEVERITIES:
        raise fail("severity", f"expected one of {', '.join(SEVERITIES)}, got {row['severity']!r}")
    for number, variant in enumerate(row.get("variant", ())):
        if variant.get("severity", "debug") not in SEVERITIES:
            raise fail(
                f"variant[{number}].severity", f"expected one of {', '.join(SEVERITIES)}"
            )
        for state in variant.get("before", ()):
            if state not in CONSOLE_STATES:
                expected = ", ".join(CONSOLE_STATES)
                raise fail(f"variant[{number}].before", f"expected {expected}, got {state!r}")
        if "literal" not in variant:
            raise fail(f"variant[{number}].literal", "missing")
    for number, extract in enumerate(row.get("extract", ())):
        for key in ("literal", "match"):
            if key not in extract:
                raise fail(f"extract[{number}].{key}", "missing")
    fillable = set(STANDARD_FIELDS)
    parts = [row["start"], row.get("end", {}), *row.get("extract", ()), *row.get("variant", ())]
    for part in parts:
        if "match" in part:
            fillable |= set(re.compile(part["match"]).groupindex)
    if any("requested" in part for part in (row, *row.get("variant", ()))):
        fillable.add("requested")
    wanted: list[tuple[str, str]] = [("title", t) for t in _texts(row.get("title", ()))]
    wanted += [("advice", t) for t in row.get("advice", ())]
    for number, variant in enumerate(row.get("variant", ())):
        wanted += [(f"variant[{number}].title", t) for t in _texts(variant.get("title", ()))]
        wanted += [(f"variant[{number}].advice", t) for t in variant.get("advice", ())]
    for where, text in wanted:
        try:
            names = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
        except ValueError as error:
            raise fail(where, f"{text!r}: {error}; write {{{{ and }}}} for braces") from None
        for name in names:
            if name not in fillable:
                raise fail(where, f'uses "{name}", but no group of that name is in any match')
    named = [(key, row.get(key, ())) for key in ("signature", "requires")]
    for number, variant in enumerate(row.get("variant", ())):
        named.append((f"variant[{number}].signature", variant.get("signature", ())))
    for where, names in named:
        for name in names:
            if name not in fillable:
                raise fail(where, f'names "{name}", but no group of that name is in any match')


def _check_regex(pattern: str, where: str, fail: Any) -> None:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise fail(where, f"{pattern!r}: {error}") from None
    if compiled.groups != len(compiled.groupindex):
        raise fail(where, f"{pattern!r}: only named groups fill fields; write (?:...) for others")
    if _catastrophic(pattern):
        raise fail(
            where, f"{pattern!r}: a repeat inside a repeat over the same text can take for ever"
        )


def _catastrophic(pattern: str) -> bool:
    """An unbounded repeat directly inside an unbounded repeat, the usual exponential shape."""
    parser: Any = re._parser  # type: ignore[attr-defined]
    constants: Any = re._constants  # type: ignore[attr-defined]
    repeats = (constants.MAX_REPEAT, constants.MIN_REPEAT)

    def unbounded(argument: Any) -> bool:
        return bool(argument[1] == constants.MAXREPEAT)

    def walk(tokens: Any, inside: bool) -> bool:
        items = list(tokens)
        for op, argument in items:
            if op in repeats:
                body = list(argument[2])
                # (x+)+ is exponential; (ab+)+ is not, its rounds are told apart by what is fixed
                alone = all(o in repeats or o is constants.SUBPATTERN for o, _ in body)
                if inside and unbounded(argument) and len(items) == 1:
                    return True
                if walk(argument[2], unbounded(argument) and alone):
                    return True
            elif op is constants.SUBPATTERN:
                if walk(argument[3], inside):
                    return True
            elif op is constants.BRANCH:
                if any(walk(branch, inside) for branch in argument[1]):
                    return True
            elif op in (constants.ASSERT, constants.ASSERT_NOT) and walk(argument[1], False):
                return True
        return False

    return walk(parser.parse(pattern), False)


def check_console(row: dict[str, Any], file: str) -> None:
    name = f"console {row.get('literal')!r}"
    for key, value in row.items():
        if key in ("example", "counterexample"):
            continue
        if key not in CONSOLE_KEYS:
            raise RuleError(file, name, key, f"unknown key; expected {', '.join(CONSOLE_KEYS)}")
        if not _is(value, CONSOLE_KEYS[key]):
            raise RuleError(file, name, key, f"expected {CONSOLE_KEYS[key]}, got {value!r}")
    if row.get("state") not in CONSOLE_STATES:
        raise RuleError(
            file, name, "state", f"expected one of {', '.join(CONSOLE_STATES)}"
        )
    if not row.get("literal"):
        raise RuleError(file, name, "literal", "missing")

    def fail(key: str, what: str) -> RuleError:
        return RuleError(file, name, key, what)

    for key in ("literal", "also", "not"):
        _check_texts(row.get(key, ()), key, fail)
    if row.get("anchor", "any") not in (*ANCHORS, "prompt"):
        raise RuleError(file, name, "anchor", f"expected one of {', '.join(ANCHORS)} or prompt")
