"""Case files: a log and what must be made of it, in one file whose name is a sentence.

    kind: memory.oom
    title: Out of memory: killed mysqld
    fields: victim=mysqld pid=412
    lines: 3-41

    raw log, byte for byte, from here to the end

`kind` begins an incident; `title`, `severity`, `fields` (those that matter), `lines` (of the log,
counted from 1), `count`, `host`, `caller`, `boot`, `ended`, `truncated`, `confidence` speak of it.
Of the whole log speak `console` (what the console says at the end), `quiet: yes` (no incident) and
`why`.
Incidents below a warning are left out: remarks such as that a kernel starts. A header that is not
known is an error, and so is a case that expects nothing at all.
"""

from __future__ import annotations

import shlex
from bisect import bisect_left, bisect_right
from pathlib import Path

import tocsin

CORPUS = Path(__file__).parent / "corpus"
OF_LOG = ("why", "console", "quiet")
OF_INCIDENT = (
    "kind", "severity", "title", "fields", "lines", "count", "host", "caller", "boot", "ended",
    "truncated", "confidence",
)  # fmt: skip
# Fields that --update writes where a case has not chosen its own.
TELLING = frozenset(
    """victim pid trigger cgroup constraint device port sector operation error function module
    panicked task seconds reason unit signal""".split()
)
# What --update writes for an incident without being asked, and the rest where it is not this.
ALWAYS = ("kind", "severity", "title", "lines")
USUAL = {
    "fields": "", "count": "1", "host": "", "caller": "", "boot": "0", "ended": None,
    "truncated": "no", "confidence": "certain",
}  # fmt: skip


class BadCase(Exception):
    pass


class Case:
    """One parsed file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        head, blank, self.log = path.read_bytes().partition(b"\n\n")
        if not blank:
            raise BadCase(f"{path}: no blank line between headers and log")
        self.of_log: dict[str, str] = {}
        self.incidents: list[dict[str, str]] = []
        for number, line in enumerate(head.decode().split("\n"), 1):
            name, colon, value = line.partition(":")
            value = value.strip()
            if not colon or name not in OF_LOG + OF_INCIDENT:
                raise BadCase(f"{path}:{number}: unknown header {line!r}")
            if name in OF_LOG:
                target = self.of_log
            elif name == "kind":
                target = {}
                self.incidents.append(target)
            elif self.incidents:
                target = self.incidents[-1]
            else:
                raise BadCase(f"{path}:{number}: {name} before any kind")
            if name in target:
                raise BadCase(f"{path}:{number}: {name} stands twice")
            target[name] = value
        quiet = self.of_log.get("quiet")
        if quiet not in (None, "yes"):
            raise BadCase(f"{path}: quiet: {quiet}: expected yes, or no such header")
        if bool(quiet) == bool(self.incidents):
            raise BadCase(f"{path}: expected either incidents or quiet: yes")

    @property
    def quiet(self) -> bool:
        return "quiet" in self.of_log

    def scan(self) -> tuple[list[tocsin.Incident], tocsin.ConsoleState]:
        scanner = tocsin.Scanner()
        found = scanner.feed(self.log) + scanner.flush()
        return [i for i in found if i.severity <= tocsin.Severity.WARNING], scanner.console

    def mismatches(self) -> list[str]:
        """What the scanner says otherwise than the headers."""
        found, console = self.scan()
        out = []
        if self.of_log.get("console", console.value) != console.value:
            out.append(f"console: expected {self.of_log['console']}, got {console.value}")
        if self.quiet:
            return [*out, *(f"not quiet: {i.kind} {i.title!r}" for i in found)]
        if len(found) != len(self.incidents):
            out.append(f"expected {len(self.incidents)} incidents, got {len(found)}:")
            out += [f"    {i.kind} {i.title!r} lines {_lines(i, self.log)}" for i in found]
            return out
        for number, (want, incident) in enumerate(zip(self.incidents, found, strict=True), 1):
            got = describe(incident, self.log)
            for name, value in want.items():
                if name == "fields":
                    all_fields = dict(incident.fields)
                    for field, text in _fields(value).items():
                        if str(all_fields.get(field)) != text:
                            out.append(
                                f"incident {number}: {field}: expected {text!r}, "
                                f"got {all_fields.get(field)!r}"
                            )
                elif got[name] != value:
                    out.append(f"incident {number}: {name}: expected {value!r}, got {got[name]!r}")
        return out

    def update(self) -> None:
        """Rewrite the headers by what the scanner says now; fields keep their choice of names."""
        found, console = self.scan()
        rows = [(name, self.of_log[name]) for name in ("why",) if name in self.of_log]
        if console.value != "unknown" or "console" in self.of_log:
            rows.append(("console", console.value))
        if not found:
            rows.append(("quiet", "yes"))
        for number, incident in enumerate(found):
            old = self.incidents[number] if number < len(self.incidents) else {}
            got = describe(incident, self.log)
            names = list(_fields(old.get("fields", "")))
            names = names or [name for name in incident.fields if name in TELLING]
            kept = {name: incident.fields[name] for name in names if name in incident.fields}
            got["fields"] = " ".join(f"{k}={shlex.quote(str(v))}" for k, v in kept.items())
            rows += [
                (name, got[name])
                for name in OF_INCIDENT
                if name in ALWAYS or name in old or got[name] != USUAL[name] is not None
                if name != "ended" or name in old
            ]
        head = "\n".join(f"{name}: {value}".rstrip() for name, value in rows)
        self.path.write_bytes(head.encode() + b"\n\n" + self.log)


def describe(incident: tocsin.Incident, log: bytes) -> dict[str, str]:
    return {
        "kind": incident.kind,
        "severity": incident.severity.name.lower(),
        "title": incident.title,
        "fields": "",
        "lines": _lines(incident, log),
        "count": str(incident.count),
        "host": incident.host or "",
        "caller": incident.caller or "",
        "boot": "" if incident.boot is None else str(incident.boot),
        "ended": incident.ended.value,
        "truncated": "yes" if incident.truncated else "no",
        "confidence": incident.confidence,
    }


def _fields(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(text))


def _lines(incident: tocsin.Incident, log: bytes) -> str:
    starts = [0, *(at + 1 for at, byte in enumerate(log) if byte == 10)]
    out: list[list[int]] = []
    for start, end in incident.spans:
        first, last = bisect_right(starts, start), bisect_left(starts, end)
        if out and first <= out[-1][1] + 1:
            out[-1][1] = last
        else:
            out.append([first, last])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in out)


def paths() -> list[Path]:
    return sorted(CORPUS.rglob("*.log"))


def name(path: Path) -> str:
    return str(path.relative_to(CORPUS).with_suffix(""))
