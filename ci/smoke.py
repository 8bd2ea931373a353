"""Smoke test of an installed tocsin: `smoke.py ROOT`, ROOT being the source tree it came from."""

import importlib
import sys
from pathlib import Path

import tocsin

root = Path(sys.argv[1])
package = Path(tocsin.__file__).parent
assert not package.is_relative_to(root / "src"), f"{package} is the source tree, not a package"

# What the package must carry beside its modules.
source = root / "src" / "tocsin"
for pattern in (
    "py.typed", "**/*.pyi", "**/*.pxd", "**/*.h", "rules/builtin/*.toml", "rules/SCHEMA.md",
    "sinks/*.json",
):  # fmt: skip
    expected = {path.relative_to(source) for path in source.glob(pattern)}
    assert expected, f"no {pattern} in the source tree"
    missing = [str(path) for path in expected if not (package / path).is_file()]
    assert not missing, f"not in the package: {', '.join(sorted(missing))}"

cache = package / "rules" / "builtin" / "builtin.json"
assert cache.is_file(), "the built-in rules were not resolved by the build"

log = (root / "examples" / "out-of-memory-amid-firewall-noise.log").read_bytes()
kinds = {incident.kind for incident in tocsin.scan(log)}
assert "memory.oom" in kinds, kinds
scanner = tocsin.Scanner()
found = []
for byte in range(0, len(log), 977):
    found += scanner.feed(log[byte : byte + 977])
    scanner = tocsin.Scanner.loads(scanner.dumps())
found += scanner.flush()
assert found == tocsin.scan(log), "cut and whole differ"
assert Path(tocsin.get_include(), "tocsin.h").is_file()
assert "tocsin.capi.C_API" in repr(importlib.import_module("tocsin.capi").C_API)
assert tocsin.Automaton([b"needle"]).count(b"needle in a haystack") == 1
print(f"tocsin {tocsin.__version__} on {sys.version.split()[0]}: {package}")
