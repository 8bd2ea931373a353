"""Check a score against the floors: `check_score.py SCORE.json FLOORS.json`, or `--bundled`.

A floor whose row is not in the score is a failure too: a check that vanished is no pass.
`--bundled` grades the consoles in examples/, for a machine that has no corpus.
"""

import json
import sys
from pathlib import Path

# What is on the bundled consoles at severity warning or worse, in order.
BUNDLED = {
    "failing-disk.log": ["storage.ata", "storage.block", "storage.block"],
    "five-troubles.log": [
        "memory.oom", "storage.ata", "storage.raid", "kernel.lockup", "kernel.panic",
    ],
    "healthy-machine.log": [],
    "out-of-memory-amid-firewall-noise.log": ["memory.oom"],
}  # fmt: skip


def against_floors(score: dict, floors: dict) -> list[str]:
    failures = []
    for source, rows in floors.items():
        got = score.get(source)
        if got is None:
            failures.append(f"{source}: not scored at all")
            continue
        print(f"{source}:")
        for name, floor in rows.items():
            if name in got["checks"]:
                hits, total = got["checks"][name]
                value, text = hits / total, f"{hits}/{total}"
            elif name in got["means"]:
                value, text = got["means"][name], "mean"
            else:
                failures.append(f"{source}: {name}: no such row in the score")
                continue
            # "foreign lines" is the one figure that is better when smaller.
            good = value <= floor if name == "foreign lines" else value >= floor
            mark = "" if good else "   BELOW ITS FLOOR"
            print(f"  {name:28s} {text:>9s}  {value:.3f}  floor {floor:.3f}{mark}")
            if not good:
                failures.append(f"{source}: {name}: {value:.4f}, floor {floor}")
    return failures


def bundled() -> list[str]:
    import tocsin

    failures = []
    folder = Path("examples")
    assert {path.name for path in folder.glob("*.log")} == set(BUNDLED), "examples/ has changed"
    for name, expected in BUNDLED.items():
        incidents = tocsin.scan((folder / name).read_bytes())
        got = [i.kind for i in incidents if i.severity <= tocsin.Severity.WARNING]
        print(f"  {name}: {', '.join(got) or 'nothing'}")
        if got != expected:
            failures.append(f"{name}: {got}, expected {expected}")
    return failures


if sys.argv[1:] == ["--bundled"]:
    failures = bundled()
else:
    score, floors = (json.loads(Path(path).read_text()) for path in sys.argv[1:])
    failures = against_floors(score, floors)
for failure in failures:
    print(f"FAILED {failure}", file=sys.stderr)
sys.exit(bool(failures))
