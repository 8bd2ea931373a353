"""The lab: boots real kernels, has them come to grief, and listens to what tocsin makes of it.

    python tests/lab/lab.py [--table FILE] [--kernel TEXT] [--keep DIR] [NAME...]

Each row of the table (scenarios.toml) is one guest under QEMU. A small reader feeds its serial
console to a scanner as the bytes come and flushes it when the console has been silent for IDLE
seconds. Checked are the incidents of severity warning or worse (all of them, in order), how long
after its last byte each was reported, and what the console was said to show.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import guest
import kernel

import tocsin

HERE = Path(__file__).parent
IDLE = 1.0
# What a report may take beyond the rule's own time: the flush and a machine that is busy emulating.
SLACK = 0.25
# An emulated machine on a busy host: its clocks are what they are, and that is no fault of ours.
TOLERATED = ("virt.clock",)
BUSYBOX = Path("/bin/busybox")
KEYS = {
    "name", "why", "script", "modules", "trouble", "command_line", "memory", "cpus", "qemu",
    "discs", "act", "until", "seconds", "reboots", "console", "saw", "expect", "kernel", "base",
}  # fmt: skip


class Failed(Exception):
    pass


@dataclass
class Heard:
    """What one guest said and what was reported, with times in seconds since its start."""

    console: bytearray = field(default_factory=bytearray)
    reports: list[tuple[float, tocsin.Incident]] = field(default_factory=list)
    states: list[tuple[float, tocsin.ConsoleState]] = field(default_factory=list)
    arrivals: list[tuple[int, float]] = field(default_factory=list)  # bytes so far, when

    def arrival(self, offset: int) -> float:
        """When the byte before `offset` came."""
        return next(when for total, when in self.arrivals if total >= offset)

    def latency(self, report: tuple[float, tocsin.Incident]) -> float:
        when, incident = report
        return when - self.arrival(incident.end)


def listen(machine: guest.Guest, row: dict[str, Any]) -> Heard:
    """Feed a scanner with the console of a guest until the scenario is over."""
    heard = Heard()
    scanner = tocsin.Scanner()
    acts = list(row.get("act", []))
    until = row.get("until", "").encode()
    start = last = time.monotonic()
    limit = start + row.get("seconds", 40)
    searched = 0  # acts and the end look only at what came after the act before

    def take(found: list[tocsin.Incident]) -> None:
        now = time.monotonic() - start
        heard.reports += [(now, incident) for incident in found]
        if not heard.states or heard.states[-1][1] is not scanner.console:
            heard.states.append((now, scanner.console))

    while True:
        chunk = machine.read(min(last + IDLE, limit) - time.monotonic())
        now = time.monotonic()
        if chunk is None:
            break
        if chunk:
            last = now
            heard.console += chunk
            heard.arrivals.append((len(heard.console), now - start))
            take(scanner.feed(chunk))
        elif now >= last + IDLE:
            last = now
            take(scanner.flush())
            # The end comes after a silence, so that what is open has been reported by it.
            if until and not acts and until in heard.console[searched:]:
                break
        if acts and (at := heard.console.find(acts[0]["after"].encode(), searched)) >= 0:
            searched = at + len(acts[0]["after"])
            act = acts.pop(0)
            if "qmp" in act:
                machine.tell(act["qmp"])
            if "type" in act:
                machine.type(act["type"].encode())
        if now > limit:
            if until or acts:
                wanted = acts[0]["after"] if acts else until.decode()
                heard.states.append((now - start, scanner.console))
                take(scanner.close())
                heard.console += b"\n[lab: out of time waiting for %s]\n" % wanted.encode()
            break
    take(scanner.close())
    return heard


def differences(row: dict[str, Any], heard: Heard) -> list[str]:
    """What was heard otherwise than the table expects."""
    out = []
    reports = [r for r in heard.reports if counts(r[1])]
    wanted = row.get("expect", [])
    if len(reports) != len(wanted):
        out.append(f"expected {len(wanted)} incidents, heard {len(reports)}")
    for number, (want, report) in enumerate(zip(wanted, reports, strict=False), 1):
        incident = report[1]
        got: dict[str, Any] = {
            **incident.fields, "kind": incident.kind, "title": incident.title,
            "severity": incident.severity.name.lower(), "count": incident.count,
            "boot": incident.boot,
        }  # fmt: skip
        for name, pattern in want.items():
            if name == "within":
                continue
            if not re.fullmatch(str(pattern), str(got.get(name))):
                out.append(f"incident {number}: {name}: expected {pattern}, got {got.get(name)}")
        within = want.get("within", IDLE) + SLACK
        if heard.latency(report) > within:
            out.append(f"incident {number}: {heard.latency(report):.2f} s late, allowed {within} s")
    states = [state.value for _, state in heard.states]
    if states[-1] != row.get("console", states[-1]):
        out.append(f"console: expected {row['console']}, got {states[-1]}")
    for state in row.get("saw", []):
        if state not in states:
            out.append(f"console: never {state}, but {' '.join(states)}")
    # The same bytes at once, without the clock: nothing else may come out. (Repeats that a silence
    # parted are folded here, so they are compared as a set.)
    whole = {(i.kind, i.title) for i in tocsin.scan(bytes(heard.console)) if counts(i)}
    live = {(i.kind, i.title) for _, i in reports}
    if whole != live:
        out.append(f"live and whole differ: {sorted(live ^ whole)}")
    return out


def counts(incident: tocsin.Incident) -> bool:
    return incident.severity <= tocsin.Severity.WARNING and incident.kind not in TOLERATED


class Lab:
    """A kernel, and how to make a guest of a row of the table."""

    def __init__(self, wanted: str) -> None:
        self.kernel = kernel.find(wanted)
        self._trouble: bytes | kernel.Missing | None = None

    def trouble(self) -> bytes:
        if self._trouble is None:
            try:
                self._trouble = self.kernel.build(HERE / "trouble.c")
            except kernel.Missing as error:
                self._trouble = error
        if isinstance(self._trouble, kernel.Missing):
            raise self._trouble
        return self._trouble

    def initrd(self, row: dict[str, Any]) -> bytes:
        modules = self.kernel.with_needed(row.get("modules", []))
        if row.get("trouble"):
            modules["trouble"] = self.trouble()
        files = {
            "init": (HERE / "init").read_bytes(),
            "scenario": row["script"].encode(),
            "bin/busybox": BUSYBOX.read_bytes(),
            "modules/order": "".join(f"{name}\n" for name in modules).encode(),
        }
        for name, data in modules.items():
            files[f"modules/{name}.ko"] = data
        return kernel.archive(files)

    def run(self, row: dict[str, Any]) -> Heard:
        with tempfile.TemporaryDirectory(prefix="tocsin-lab-") as work:
            folder = Path(work)
            initrd = folder / "initrd"
            initrd.write_bytes(self.initrd(row))
            for disc in row.get("discs", []):
                path = folder / disc["file"]
                with path.open("wb") as file:
                    file.truncate(disc["megabytes"] << 20)
                if "format" in disc:
                    kernel._run(*disc["format"], path)
            arguments = ["-m", str(row.get("memory", 160)), "-smp", str(row.get("cpus", 1))]
            arguments += [word.replace("{dir}", work) for word in row.get("qemu", [])]
            if not row.get("reboots"):
                arguments.append("-no-reboot")
            command_line = f"console=ttyS0 {row.get('command_line', 'panic=-1')}"
            with guest.Guest(folder, self.kernel.image, initrd, command_line, arguments) as machine:
                return listen(machine, row)


def table(path: Path) -> list[dict[str, Any]]:
    rows = tomllib.loads(path.read_text())["scenario"]
    names = [row["name"] for row in rows]
    if len(set(names)) != len(names):
        raise SystemExit(f"{path}: a name stands twice")
    for row in rows:
        if unknown := set(row) - KEYS:
            raise SystemExit(f"{path}: {row['name']}: unknown {', '.join(sorted(unknown))}")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--table", type=Path, default=HERE / "scenarios.toml")
    parser.add_argument("--kernel", default="", help="text in the name of the kernel's package")
    parser.add_argument("--keep", type=Path, help="directory for what the consoles said")
    parser.add_argument("--show", action="store_true", help="show every incident, not only faults")
    parser.add_argument("names", nargs="*", help="scenarios; none: all")
    options = parser.parse_args()

    rows = table(options.table)
    if unknown := set(options.names) - {row["name"] for row in rows}:
        parser.error(f"no scenario {', '.join(sorted(unknown))}")
    rows = [row for row in rows if not options.names or row["name"] in options.names]
    lab = Lab(options.kernel)
    print(f"kernel {lab.kernel.release}")
    failed, skipped, latencies = [], [], []
    for row in rows:
        began = time.monotonic()
        try:
            heard = lab.run(row)
        except kernel.Missing as error:
            print(f"SKIPPED {row['name']}: {error}")
            skipped.append(row["name"])
            continue
        wrong = differences(row, heard)
        own = [heard.latency(report) for report in heard.reports if counts(report[1])]
        latencies += own
        slowest = f"slowest report {max(own):.2f} s" if own else "nothing reported"
        verdict = "FAILED" if wrong else "ok"
        print(f"{verdict:7} {row['name']:22} {time.monotonic() - began:5.1f} s  {slowest}")
        for line in wrong:
            print(f"        {line}")
        if wrong or options.show:
            show(heard)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{row['name']}.log").write_bytes(heard.console)
        if wrong:
            failed.append(row["name"])
        sys.stdout.flush()
    if latencies:
        latencies.sort()
        middle = latencies[len(latencies) // 2]
        print(
            f"{len(latencies)} reports, from their last byte: median {middle * 1000:.0f} ms, "
            f"slowest {latencies[-1] * 1000:.0f} ms (silence flushes after {IDLE * 1000:.0f} ms)"
        )
    if skipped:
        print(f"NOT RUN: {' '.join(skipped)}")
    if failed:
        print(f"FAILED: {' '.join(failed)}")
    if not latencies and not options.names:
        print("FAILED: nothing was reported at all")
    return bool(failed or (not latencies and not options.names)) + 2 * bool(skipped)


def show(heard: Heard) -> None:
    for report in heard.reports:
        when, incident = report
        fields = " ".join(f"{name}={value}" for name, value in incident.fields.items())
        print(
            f"        {when:6.2f} s +{heard.latency(report):.2f}  {incident.severity.name.lower()} "
            f"{incident.kind} {incident.title!r} x{incident.count} ended={incident.ended.value}"
            f"\n            {fields}"
        )
    print("        console:", " ".join(f"{state.value}@{when:.1f}" for when, state in heard.states))


if __name__ == "__main__":
    sys.exit(main())
