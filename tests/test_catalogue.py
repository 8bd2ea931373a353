"""The catalogue of kernel messages that lies beside the project: are its lines recognised?

The catalogue is other people's knowledge and is read, not copied; without it these tests are
skipped. Every line that is not reported under its own kind stands below with the reason, and a
line that is recognised after all may not stay there.
"""

import json
from collections import Counter, defaultdict

import pytest

import tocsin

# Another kind is right: catalogue name -> (kind it gets, why).
OTHER_KIND = {
    "3ware": ("storage.raid", "a controller's array is an array"),
    "bad-trap-vector": ("kernel.warning", "an interrupt nobody wants is no oops"),
    "dentry-in-use": ("kernel.oops", "the line is followed by BUG()"),
    "hyperv-vmware-xen": ("storage.scsi", "a disc command that failed, on whatever host"),
    "internal-error-arm": ("hardware.mce", "an external abort is the bus speaking"),
    "spinlock-held-user": ("sanitizer.lockdep", "the lock checker's report"),
    "spinlock-misuse": ("sanitizer.lockdep", "the lock checker's report"),
    "srcu-leak": ("kernel.warning", "a WARNING in RCU code, not a stall"),
    "stack-end": ("kernel.panic", "the panic is what the line says"),
    "stack-protector": ("kernel.panic", "the panic is what the line says"),
    "unable-to-execute-module": ("kernel.warning", "an assertion of the network stack"),
}
# Not reported when it stands alone, and why: catalogue name -> why.
SILENT = {
    "call-trace-alone": "a heading; requested dumps print it on healthy machines",
    "cut-here": "a heading: the line behind it says what happened",
    "die-in-nmi": "a heading; sysrq z prints it on healthy machines",
    "dm-residual": "a version number",
    "hyperv-vmware-xen": "a size, not a trouble",
    "lockdep-circular": "a ruler line: the line behind it says what happened",
    "pcie-residual": "an interrupt number",
    "scsi-residual": "a driver's name",
    "trace-other": "a heading; requested dumps print it on healthy machines",
}
# The catalogue has these lines twice, as noise and as a kind of their own; here they are incidents
# of the least severity.
NOISE_AND_KIND = {
    "ata-empty": "storage.ata",
    "fault-injection": "sanitizer",
    "i8042-none": "hardware.device",
    "integrity-keys": "security",
}
# Of all example lines: with the kind of the catalogue, or silent where that says noise.
LEAST = 0.97


@pytest.fixture(scope="module", name="catalogue")
def _catalogue(shared):
    path = shared / "knowledge" / "catalogue.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) > 500
    return rows


def kinds(line, builtin):
    """Kinds reported for a line, from a kernel that prints stamps or from a bare terminal."""
    found = [
        {(i.kind, i.severity) for i in tocsin.scan((stamp + line + "\n").encode(), builtin)}
        for stamp in ("[  100.123456] ", "")
    ]
    return found[0] | found[1]


def is_kind(got, wanted):
    # The catalogue's `sanitizer` is several kinds here.
    return got == wanted or got.startswith(f"{wanted}.")


def test_example_lines_are_recognised(catalogue, builtin):
    done, own, total, missed = Counter(), Counter(), Counter(), defaultdict(list)
    needless = {*OTHER_KIND, *SILENT}
    for row in catalogue:
        if row["kind"] == "noise":
            continue
        for line in row["example_lines"]:
            got = {kind for kind, _ in kinds(line, builtin)}
            total[row["kind"]] += 1
            if any(is_kind(kind, row["kind"]) for kind in got):
                own[row["kind"]] += 1
                done[row["kind"]] += 1
            elif OTHER_KIND.get(row["name"], ("", ""))[0] in got:
                needless.discard(row["name"])
                done[row["kind"]] += 1
            elif not got and row["name"] in SILENT:
                needless.discard(row["name"])
            else:
                missed[row["kind"]].append(f"{row['name']}: {line!r}: got {sorted(got)}")
    for kind, count in sorted(total.items()):
        print(f"{kind:20s} {own[kind]:3d} own kind, {done[kind]:3d} recognised, of {count}")
    assert not missed, "\n".join(
        f"{kind}: {line}" for kind, lines in missed.items() for line in lines
    )
    # An exception may be right for one of a row's lines only, but must be for one.
    assert not needless, f"recognised after all, strike from the exceptions: {sorted(needless)}"


def test_enough_lines_get_their_own_kind(catalogue, builtin):
    right = total = 0
    for row in catalogue:
        for line in row["example_lines"]:
            got = {kind for kind, _ in kinds(line, builtin)}
            total += 1
            if row["kind"] == "noise":
                right += not got or any(is_kind(k, NOISE_AND_KIND.get(row["name"])) for k in got)
            else:
                right += any(is_kind(kind, row["kind"]) for kind in got)
    print(f"{right} of {total}: {right / total:.1%}")
    assert right / total >= LEAST


def test_noise_is_silent(catalogue, builtin):
    rows = [row for row in catalogue if row["kind"] == "noise"]
    assert len(rows) > 50
    loud = [
        (row["name"], line, kind)
        for row in rows
        for line in row["example_lines"]
        for kind, severity in kinds(line, builtin)
        if severity <= tocsin.Severity.WARNING
    ]
    assert not loud


def test_severities_are_near_the_catalogue_s(catalogue, builtin):
    """Not the same, but never silent about what the catalogue calls an alert or worse."""
    names = [s.name.lower() for s in tocsin.Severity]
    far = []
    for row in catalogue:
        if row["kind"] == "noise" or row["severity"] not in names[:2]:
            continue
        for line in row["example_lines"]:
            got = [
                severity for kind, severity in kinds(line, builtin) if is_kind(kind, row["kind"])
            ]
            if got and min(got) > tocsin.Severity.WARNING:
                far.append((row["name"], line, min(got).name))
    assert not far
