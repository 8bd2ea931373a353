"""The lab: boots real kernels, has them come to grief, and listens to what tocsin makes of it.

    python tests/lab/lab.py [--table FILE] [--kernel TEXT] [--keep DIR] [--show] [NAME...]

Each row of the table (scenarios.toml) is one guest under QEMU. A small reader feeds its serial
console to a scanner as the bytes come, and flushes it when the console has been silent for IDLE
seconds; `tocsin watch` hears the same bytes and must tell the same. Checked are the incidents of
severity warning or worse (all of them, in order), how long after its last byte each was reported,
and what the console was said to show. Exit status: 0 all is as expected, 1 something is not, 2
something could not be run.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import guest
import kernel
import watched

import tocsin

HERE = Path(__file__).parent
# Seconds of silence after which a report that is complete is told, and one that may have been cut.
SETTLE = 0.03
IDLE = 1.0
STEP = 0.25  # on a console that is never silent, how often to look for complete ones
COMPLETE = (tocsin.EndReason.END, tocsin.EndReason.LINE)
# What a report may take beyond that: a machine that is busy emulating.
SLACK = 1.0
MEDIAN = 0.25  # seconds that half of all reports may take at most ...
MANY = 9  # ... where there are more than so many
# A guest that the host lets wait for seconds sees its clock jump, and takes that for a stalled
# processor: it must not complain of what is done to it. A script can switch both on again.
STEADY = "rcupdate.rcu_cpu_stall_suppress=1 nosoftlockup"
# An emulated machine on a busy host: its clocks are what they are, and that is no fault of ours.
TOLERATED = ("virt.clock",)
BUSYBOX = Path("/bin/busybox")
KEYS = {
    "name", "why", "script", "modules", "trouble", "command_line", "memory", "cpus", "qemu",
    "discs", "act", "until", "seconds", "reboots", "console", "saw", "expect", "also",
    "programs", "carried",
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
    missed: str = ""  # what was waited for in vain
    delays: list[float] = field(default_factory=list)  # of the program's alarms, from the last byte
    watched: list[tuple[float, dict[str, Any]]] = field(default_factory=list)  # told by the program

    def arrival(self, offset: int) -> float:
        """When the byte before `offset` came."""
        return next(when for total, when in self.arrivals if total >= offset)

    def latency(self, report: tuple[float, tocsin.Incident]) -> float:
        when, incident = report
        return when - self.arrival(incident.end)


def listen(machine: guest.Guest, watch: watched.Watched, row: dict[str, Any]) -> Heard:
    """Feed a scanner with the console of a guest until the scenario is over."""
    heard = Heard()
    scanner = tocsin.Scanner()
    acts = list(row.get("act", []))
    until = row.get("until", "").encode()
    told: set[tuple[str, int]] = set()
    start = last = looked = time.monotonic()
    limit = start + row.get("seconds", 40)
    searched = 0  # acts and the end look only at what came after the act before
    settled = idle = True  # whether the silence has been made use of

    def take(found: list[tocsin.Incident], early: bool = False) -> None:
        now = time.monotonic() - start
        # An unfinished line may be half of one.
        whole = heard.console.rfind(b"\n") + 1
        for incident in found:
            key = (incident.rule, incident.start)
            if early and (incident.ended not in COMPLETE or incident.end > whole):
                continue
            if key not in told:
                told.add(key)
                heard.reports.append((now, incident))
        if not heard.states or heard.states[-1][1] is not scanner.console:
            heard.states.append((now, scanner.console))

    while time.monotonic() < limit:
        wait = IDLE if settled else SETTLE
        chunk = machine.read(min(last + wait, limit) - time.monotonic())
        if chunk is None:
            until, acts = b"", []
            break
        now = time.monotonic()
        if chunk:
            last = now
            settled = idle = False
            heard.console += chunk
            heard.arrivals.append((len(heard.console), now - start))
            watch.take(chunk)
            take(scanner.feed(chunk))
        quiet = now - last
        # What is complete need not wait for what else may come: a copy is asked, so that the
        # scanner itself goes on undisturbed.
        if (quiet >= SETTLE and not settled) or (chunk and now - looked >= STEP):
            settled, looked = not chunk, now
            take(tocsin.Scanner.loads(scanner.dumps()).flush(), early=True)
        if quiet >= IDLE and not idle:
            idle = True
            take(scanner.flush())
            # The end comes after a silence, so that what is open has been reported by it.
            if until and not acts and until in heard.console[searched:]:
                until = b""
                break
        if acts and (at := heard.console.find(acts[0]["after"].encode(), searched)) >= 0:
            act = acts.pop(0)
            searched = at + len(act["after"])
            if "qmp" in act:
                machine.tell(act["qmp"])
            if "type" in act:
                machine.type(act["type"].encode())
    take(scanner.close())
    if acts or until:
        heard.missed = acts[0]["after"] if acts else until.decode()
    watch.end({(i.kind, i.title) for _, i in heard.reports if counts(i)})
    heard.watched = [(when - start, told) for when, told in watch.told]
    return heard


def differences(row: dict[str, Any], heard: Heard) -> list[str]:
    """What was heard otherwise than the table expects."""
    out = [f"out of time waiting for {heard.missed!r}"] if heard.missed else []
    reports = [r for r in heard.reports if counts(r[1])]
    wanted = row.get("expect")
    if wanted is None:
        return out  # only to be looked at
    also = row.get("also")
    rest = iter(reports)
    for number, want in enumerate(wanted, 1):
        # Where others may stand in between, the next of its kind and title is meant.
        for report in rest:
            wrong = unlike(want, report[1])
            if also is None or not {"kind", "title"} & wrong.keys():
                out += [f"incident {number}: {text}" for text in wrong.values()]
                break
            out += unless(also, report[1])
        else:
            out.append(f"incident {number}: not heard: {want['kind']} {want['title']}")
    for report in rest:
        out += unless(also, report[1])
    for report in reports:
        # One without an end of its own is over when the console falls silent.
        complete = report[1].ended in COMPLETE
        allowed = (SETTLE + STEP if complete else IDLE) + SLACK
        if (latency := heard.latency(report)) > allowed:
            out.append(f"{report[1].title}: {latency:.2f} s late, allowed {allowed:.2f} s")
    states = [state.value for _, state in heard.states]
    if states[-1] != row.get("console", states[-1]):
        out.append(f"console: expected {row['console']}, got {states[-1]}")
    for state in row.get("saw", []):
        if state not in states:
            out.append(f"console: never {state}, but {' '.join(states)}")
    # The same bytes at once, without the clock: nothing else may come out. (Repeats that a silence
    # parted are folded here, so they are compared as a set.)
    out += watch_differences(heard, {(i.kind, i.title) for _, i in reports})
    whole = {(i.kind, i.title) for i in tocsin.scan(bytes(heard.console)) if counts(i)}
    live = {(i.kind, i.title) for _, i in reports}
    if whole != live:
        out.append(f"live and whole differ: {sorted(live ^ whole)}")
    return out


def watch_differences(heard: Heard, live: set[tuple[str, str]]) -> list[str]:
    """What `tocsin watch` told otherwise than the reader, or late."""
    out, told, seen = [], set(), set()
    for when, alarm in heard.watched:
        facts = alarm["attributes"]
        severity = tocsin.Severity[alarm["severity_text"].upper()]
        if severity > tocsin.Severity.WARNING or facts["tocsin.kind"] in TOLERATED:
            continue
        told.add(watched.words(alarm))
        # A note corrects what was told before, when more came to it.
        if "tocsin.revises" in facts or facts["log.record.uid"] in seen:
            continue
        seen.add(facts["log.record.uid"])
        late = when - heard.arrival(facts["tocsin.offset.end"])
        heard.delays.append(late)
        complete = facts["tocsin.ended"] in {reason.value for reason in COMPLETE}
        if late > (SETTLE + STEP if complete else IDLE) + SLACK:
            out.append(f"tocsin watch: {alarm['body']}: {late:.2f} s late")
    if told != live:
        out.append(f"tocsin watch and the reader differ: {sorted(told ^ live)}")
    return out


def unlike(want: dict[str, Any], incident: tocsin.Incident) -> dict[str, str]:
    """Where an incident is not as the table wants it, by name."""
    got: dict[str, Any] = {
        **incident.fields, "kind": incident.kind, "title": incident.title,
        "severity": incident.severity.name.lower(), "count": incident.count, "boot": incident.boot,
    }  # fmt: skip
    return {
        name: f"{name}: expected {pattern}, got {got.get(name)} ({incident.title})"
        for name, pattern in want.items()
        if not re.fullmatch(str(pattern), str(got.get(name)))
    }


def unless(also: str | None, incident: tocsin.Incident) -> list[str]:
    if also is not None and re.fullmatch(also, incident.kind):
        return []
    return [f"not expected: {incident.kind} {incident.title!r}"]


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
        carried = row.get("carried", [])
        modules = self.kernel.with_needed(row.get("modules", []) + carried)
        if row.get("trouble"):
            modules["trouble"] = self.trouble()
        files = {
            "init": (HERE / "init").read_bytes(),
            "scenario": row["script"].encode(),
            "bin/busybox": BUSYBOX.read_bytes(),
            "modules/order": "".join(f"{m}\n" for m in modules if m not in carried).encode(),
        }
        for name, data in modules.items():
            files[f"modules/{name}.ko"] = data
        for name in row.get("programs", []):
            files |= program(name)
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
                    kernel.run(*disc["format"], path)
            arguments = ["-m", str(row.get("memory", 160)), "-smp", str(row.get("cpus", 1))]
            arguments += [word.replace("{dir}", work) for word in row.get("qemu", [])]
            if not row.get("reboots"):
                arguments.append("-no-reboot")
            command_line = f"console=ttyS0 {STEADY} {row.get('command_line', 'panic=-1')}"
            watch = watched.Watched(folder, IDLE)
            with guest.Guest(folder, self.kernel.image, initrd, command_line, arguments) as machine:
                return listen(machine, watch, row)


def program(name: str) -> dict[str, bytes]:
    """A program of this machine with its libraries, for a guest whose busybox has none such."""
    path = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if path is None:
        raise kernel.Missing(f"{name} is not installed")
    needed = re.findall(r"(/\S+) \(0x", kernel.run("ldd", path))
    files = {library.lstrip("/"): Path(library).read_bytes() for library in needed}
    return {f"bin/{name}": Path(path).read_bytes(), **files}


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
    try:
        lab = Lab(options.kernel)
    except kernel.Missing as error:
        print(f"NOT RUN: {error}")
        return 2
    print(f"kernel {lab.kernel.release}")
    failed, skipped, latencies, delays = [], [], [], []
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
        delays += heard.delays
        slowest = f"slowest report {max(own):.2f} s" if own else "nothing reported"
        verdict = "FAILED" if wrong else "ok"
        print(f"{verdict:7} {row['name']:22} {time.monotonic() - began:5.1f} s  {slowest}")
        for line in wrong:
            print(f"        {line}")
        if wrong or options.show or "expect" not in row:
            show(heard)
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{row['name']}.log").write_bytes(heard.console)
        if wrong:
            failed.append(row["name"])
        sys.stdout.flush()
    for who, times in (("the reader", latencies), ("tocsin watch", delays)):
        if times:
            print(
                f"{who}: {len(times)} reports, from their last byte: median "
                f"{statistics.median(times) * 1000:.0f} ms, slowest {max(times) * 1000:.0f} ms "
                f"(a cut one is told after {IDLE * 1000:.0f} ms of silence)"
            )
            if len(times) > MANY and statistics.median(times) > MEDIAN:
                print(f"FAILED: half of the reports took longer than {MEDIAN * 1000:.0f} ms")
                failed.append(who)
    if skipped:
        print(f"NOT RUN: {' '.join(skipped)}")
    if failed:
        print(f"FAILED: {' '.join(failed)}")
        return 1
    if skipped:
        return 2
    if not latencies and not options.names:
        print("FAILED: nothing was reported at all")
        return 1
    return 0


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
