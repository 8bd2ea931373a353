"""Make bench/patterns/literals.txt: the literals of the built-in rules, one a line, each once."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def literals(node: object) -> list[str]:
    if isinstance(node, dict):
        found = []
        for key, value in node.items():
            if key == "literal":
                found += [value] if isinstance(value, str) else list(value)
            else:
                found += literals(value)
        return found
    if isinstance(node, list):
        return [text for entry in node for text in literals(entry)]
    return []


def main() -> None:
    found: set[str] = set()
    for path in sorted((ROOT / "src/tocsin/rules/builtin").glob("*.toml")):
        found |= set(literals(tomllib.loads(path.read_text())))
    kept = sorted(
        text for text in found if 5 <= len(text) <= 60 and text.isascii() and "\n" not in text
    )
    target = ROOT / "bench/patterns/literals.txt"
    target.write_text("\n".join(kept) + "\n")
    print(f"{target}: {len(kept)} literals")


if __name__ == "__main__":
    main()
