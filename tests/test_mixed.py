"""Consoles mixed at random: no order of lines, callers and stamps may break the grouper.

There is no truth in such a text; what must hold is that nothing fails, that cuts and snapshots
change nothing, and that every incident has its place. CI runs it for the sanitizers, too.
"""

import random
import re

import pytest

import tocsin
from tests import cases
from tests.small import look

LOGS = [cases.Case(path).log.splitlines() for path in cases.paths()]
HEAD = re.compile(rb"^(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?")
SMALL = {
    "line_bytes": 256, "trace_bytes": 2000, "trace_lines": 20, "trace_total": 50, "traces": 2,
    "folds": 2, "fold_lines": 2, "gap_bytes": 5000, "fold_bytes": 300,
}  # fmt: skip


def mixed(chance):
    """Some logs, torn into bursts of lines; as they are, or all from one kernel with callers."""
    logs = [list(log) for log in chance.sample(LOGS, chance.randrange(2, 9)) if log]
    callers = [b"", b"[    C0]", b"[    C1]", b"[    T7]"][: chance.randrange(5)]
    step = chance.choice([1e-6, 1e-4, 0.01, 0.5, 3])
    time = 0.0
    out = []
    while logs and len(out) < 3000:
        log = chance.choice(logs)
        for line in log[: chance.choice([1, 1, 2, 5, 30])]:
            if callers:
                # Now and then a line is older than the one before it.
                time += step * chance.choice([1, 1, 1, 1, 2, -1])
                head = b"[%12.6f]%s " % (max(time, 0), chance.choice(callers))
                line = head + HEAD.sub(b"", line)
            out.append(line + b"\n")
        del log[: chance.choice([1, 1, 2, 5, 30])]
        logs = [log for log in logs if log]
    return b"".join(out)


@pytest.mark.parametrize("seed", range(300))
def test_mixed_consoles(seed):
    chance = random.Random(seed)
    data = mixed(chance)
    limits = tocsin.Limits(**SMALL) if seed % 3 == 0 else tocsin.Limits()
    scanner = tocsin.Scanner(limits=limits)
    whole = scanner.feed(data) + scanner.flush()
    scanner = tocsin.Scanner(limits=limits)
    pieces = []
    at = 0
    while at < len(data):
        size = chance.choice([1, 50, 700, 5000, 100_000])
        pieces += scanner.feed(data[at : at + size])
        at += size
        if chance.random() < 0.05:
            scanner = tocsin.Scanner.loads(scanner.dumps())
    assert look(pieces + scanner.flush()) == look(whole)
    for incident in whole:
        assert incident.title
        assert 0 <= incident.start < incident.end <= len(data)
        assert all(incident.start <= start < end <= incident.end for start, end in incident.spans)
