"""The catalogue of kernel messages that lies beside the project: are its lines recognised?

The catalogue is other people's knowledge and is read, not copied; without it these tests are
skipped. Every line that is not reported under its own kind stands below with the reason, and a
line that is recognised after all may not stay there.
"""

import json
from collections import Counter, defaultdict

import pytest

import tocsin

# Another kind is as good or better: catalogue name -> (kind it gets, why).
OTHER_KIND = {
    "3ware": ("storage.raid", "a controller's array is an array"),
    "bad-trap-vector": ("kernel.warning", "an interrupt nobody wants is no oops"),
    "dentry-in-use": ("kernel.oops", "the line is followed by BUG()"),
    "go-panic": ("userspace.traceback", "the finer kind"),
    "hyperv-vmware-xen": ("storage.scsi", "a disc command that failed, on whatever host"),
    "internal-error-arm": ("hardware.mce", "an external abort is the bus speaking"),
    "oom-deadlocked": ("kernel.panic", "alone, without a report before it, it is a panic"),
    "oom-no-victim": ("kernel.panic", "the same"),
    "oom-panic": ("kernel.panic", "the same"),
    "possible-deadlock-alloc": ("filesystem", "told by the filesystem that waits"),
    "python-java": ("userspace.traceback", "the finer kind"),
    "smep": ("security", "the kernel itself asks: exploit attempt?"),
    "spinlock-held-user": ("sanitizer.lockdep", "the lock checker's report"),
    "spinlock-misuse": ("sanitizer.lockdep", "the lock checker's report"),
    "srcu-leak": ("kernel.warning", "a WARNING in RCU code, not a stall"),
    "stack-end": ("kernel.panic", "the panic is what the line says"),
    "stack-protector": ("kernel.panic", "the panic is what the line says"),
    "unable-to-execute-module": ("kernel.warning", "an assertion of the network stack"),
    "undefined-insn": ("userspace", "the line is printed for programs"),
    "unhandled-fault-arm": ("hardware.mce", "an external abort is the bus speaking"),
}
# Not reported when it stands alone, and why: catalogue name -> why.
SILENT = {
    "abort-info-arm64": "detail of an oops, never without one",
    "ata-link-down": "an empty port at every boot",
    "call-trace-alone": "a heading; requested dumps print it on healthy machines",
    "cut-here": "a heading: the line behind it says what happened",
    "die-in-nmi": "a heading of a requested dump",
    "dm-residual": "a version number",
    "floppy": "every virtual machine without a floppy says so",
    "hyperv-vmware-xen": "a size, not a trouble",
    "i8042": "a machine without a keyboard controller is healthy",
    "info-any": "detail of a slab report",
    "kcov-fault-injection": "asked for by a test; what it breaks is reported",
    "keyring-cert": "firmware without that variable; the boot goes on",
    "lockdep-circular": "a ruler line: the line behind it says what happened",
    "nvme-residual": "a number of queues",
    "panic-tail": "lines that follow a panic, never without one",
    "pcie-residual": "an interrupt number",
    "pf-info-x86": "detail of an oops, never without one",
    "printk-suppressed": "a count of what was not printed",
    "s390-fault": "detail of an oops, never without one",
    "scsi-residual": "a driver's name",
    "taint": "a remark that goes with every foreign module",
    "trace-other": "a heading; requested dumps print it on healthy machines",
}


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
    return got == wanted or got.startswith(wanted + ".")


def test_example_lines_are_recognised(catalogue, builtin):
    done, total, missed, found_after_all = Counter(), Counter(), defaultdict(list), set(SILENT)
    for row in catalogue:
        if row["kind"] == "noise":
            continue
        for line in row["example_lines"]:
            got = {kind for kind, _ in kinds(line, builtin)}
            total[row["kind"]] += 1
            if (
                any(is_kind(kind, row["kind"]) for kind in got)
                or OTHER_KIND.get(row["name"], ("", ""))[0] in got
            ):
                done[row["kind"]] += 1
            elif not got and row["name"] in SILENT:
                found_after_all.discard(row["name"])
            else:
                missed[row["kind"]].append(f"{row['name']}: {line!r}: got {sorted(got)}")
    for kind, count in sorted(total.items()):
        print(f"{kind:20s} {done[kind]}/{count}")
    print(f"{'all':20s} {sum(done.values())}/{sum(total.values())}")
    assert not missed, "\n".join(
        f"{kind}: {line}" for kind, lines in missed.items() for line in lines
    )
    assert not found_after_all, "recognised after all: strike them from SILENT"


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
