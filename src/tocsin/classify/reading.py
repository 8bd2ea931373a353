"""Read a closed trace by its rule: the cold path, once an incident, as late as possible."""

from __future__ import annotations

import functools
import hashlib
import re
import string
from collections.abc import Iterator
from itertools import chain
from typing import Any

from tocsin._core.trace import Trace
from tocsin.classify.blame import CORRUPTED, Blame, Profile
from tocsin.classify.disks import disk_of
from tocsin.classify.facts import identity
from tocsin.classify.places import line_at, lock_places, outermost, program_counter
from tocsin.incident import EndReason, Frame, Incident, Severity
from tocsin.rules.model import SEVERITIES, Rule, Variant, is_int_field
from tocsin.rules.parse import CONSOLE_STATES

ENDED = tuple(EndReason)
CLOCKS = (None, "kernel", "wall")
CONFIDENCE = ("certain", "likely", "unverified")
SEVERITY = {name: Severity(number) for number, name in enumerate(SEVERITIES)}
PANIC_MARK = "Kernel panic - not syncing"
PANIC = re.compile(r"Kernel panic - not syncing: ?(?P<reason>.*)")
_FORMAT = string.Formatter()


def _number(text: str) -> str | int:
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return text


def _text(text: str) -> str:
    """Latin-1, one character a byte, to what the bytes say: UTF-8 where they are, else \\xNN."""
    if text.isascii():
        return text
    return text.encode("latin-1").decode("utf-8", "backslashreplace")


@functools.cache
def _names(template: str) -> tuple[str, ...]:
    """The fields that a title of the rules uses."""
    return tuple(name for _, name, _, _ in _FORMAT.parse(template) if name)


class TraceReading:
    """What an incident's parts are worked out from: the trace, its rule, the chosen variant."""

    __slots__ = ("_fields", "_first", "blame", "rule", "start", "trace", "values", "variant_fields")

    def __init__(
        self, trace: Trace, rule: Rule, blame: Blame, start: int, values: dict[str, Any],
        variant_fields: dict[str, str],
    ) -> None:  # fmt: skip
        self.trace = trace
        self.rule = rule
        self.blame = blame
        self.start = start
        self.values = values
        self.variant_fields = variant_fields
        self._fields: dict[str, str | int] | None = None
        self._first: int | None = None

    def lines(self) -> tuple[bytes, ...]:
        return self.trace.lines()

    def spans(self) -> tuple[tuple[int, int], ...]:
        return self.trace.spans()

    def frames(self) -> tuple[Frame, ...]:
        return tuple(
            Frame(function, offset, size, module, source, reliable, inlined, line)
            for line, function, offset, size, module, source, reliable, inlined
            in self.trace.frames()
        )  # fmt: skip

    # -- fields ------------------------------------------------------------------------------

    def fields(self) -> dict[str, str | int]:
        if self._fields is None:
            self._fields = self._read_fields()
        return self._fields

    def _read_fields(self) -> dict[str, str | int]:
        rule = self.rule
        text = self.trace.text()
        first = self.first()
        raw: dict[str, str] = {}
        if rule.report and rule.lane == "trace":
            raw.update(identity(text, first))
        if rule.start_match is not None:
            match = rule.start_match.search(line_at(text, first))
            if match:
                if "trigger" in match.groupdict() and "pid" in raw:
                    # Who ran is the one that set it off; `pid` is for the one it befell.
                    raw["trigger_pid"] = raw.pop("pid")
                _fill(raw, match)
        for extract in rule.extracts:
            for literal in extract.literals:
                for line in _lines_with(text, literal):
                    match = extract.match.search(line)
                    if match:
                        _fill(raw, match)
                        if not extract.all:
                            break
        if rule.end_match is not None:
            for literal in rule.end_literals:
                at = text.rfind(literal)
                match = rule.end_match.search(line_at(text, at)) if at >= 0 else None
                if match:
                    _fill(raw, match)
                    break
        raw.update(self.variant_fields)
        if self.values["requested"] is not None:
            raw.setdefault("requested", self.values["requested"])
        fields: dict[str, str | int] = {
            name: _number(value) if is_int_field(name) else _text(value)
            for name, value in raw.items()
        }
        profile = self.values["blame"]
        if profile is not None and "function" not in raw:
            fields["function"], module = self._blamed(profile, raw.get("at"))
            if module:
                fields["module"] = module
            if self.blame.profile(profile).representative and "at" not in raw:
                place = program_counter(text[first:])
                if place:
                    fields["at"] = place[0]
        elif "function" in raw:
            fields["function"] = self.blame.profile(profile or "default").name(raw["function"])
        disk = disk_of(self.values["kind"], fields)
        if disk is not None:
            fields["disk"] = disk
        if self.values["kind"] != "kernel.panic":
            at = text.find(PANIC_MARK, first)
            match = PANIC.search(line_at(text, at)) if at >= 0 else None
            if match:
                fields["panicked"] = match["reason"].strip()
        return fields

    def first(self) -> int:
        """Where the start line begins in the trace's text."""
        if self._first is None:
            text, at = self.trace.text(), 0
            for _ in range(self.start):
                at = text.find("\n", at) + 1
            self._first = at
        return self._first

    def _blamed(self, name: str, stated: str | None) -> tuple[str, str | None]:
        """The function to blame and its module.

        `stated` is the one the first line names; it serves when the trace is missing or holds
        machinery only.
        """
        profile = self.blame.profile(name)
        text = self.trace.text()[self.first() :]
        candidates: list[tuple[str, str | None]] = []
        more: Iterator[list[tuple[str, str | None]]] = iter(())
        for source in profile.sources:
            if source == "stated":
                # An address, where the kernel has no name for the place.
                candidates += [(stated, None)] if stated and not stated[0].isdigit() else []
            elif source == "pc":
                # Behind the end stands what came of it: a panic, or the next fault.
                place = program_counter(text[: self._end(text)])
                candidates += [place] if place else []
            elif source in ("at", "held"):
                candidates += [(f, None) for f in lock_places(text, source == "held")]
            elif source == "trace":
                sections = self._sections(profile)
                candidates += next(sections, [])
                more = sections if profile.sections else more
        last: list[list[tuple[str, str | None]]] = [[(stated, None)]] if stated else []
        for section in chain([candidates], more, last):
            at = profile.choose(
                [function for function, _ in section], [module for _, module in section]
            )
            if at is not None:
                function, module = section[at]
                if module is None:
                    module = next((m for f, m in section if f == function and m), None)
                return profile.name(function), module
        caller = outermost(text, candidates[-1][0]) if candidates and " from " in text else None
        if caller and profile.choose([caller]) is not None:
            return profile.name(caller), None
        if "at" in profile.sources:
            places = lock_places(text, False)
            if places:  # machinery, all of it; still more than nothing
                return profile.name(places[0]), None
        return self._doubted(profile) or (CORRUPTED, None)

    def _end(self, text: str) -> int:
        """Where the rule's first end line stands in `text`."""
        ends = (text.find(literal) for literal in self.rule.end_literals)
        return min((at for at in ends if at >= 0), default=len(text))

    def _doubted(self, profile: Profile) -> tuple[str, str | None] | None:
        """The function to blame, of a trace that its kernel doubts in every frame (`? f+0x1/0x2`).

        Kernels without frame pointers knew no better; they said each frame's address
        (`[<ffffffff81012345>] ? f+0x1/0x2`). Of a newer one, doubted frames alone are no trace.
        """
        names: list[str] = []
        modules: list[str | None] = []
        for line, function, _, _, module, _, reliable, _ in self.trace.frames():
            if line <= self.start or function is None:
                continue
            if reliable or "[<" not in self.trace.body(line):
                return None
            names.append(function)
            modules.append(module)
        at = profile.choose(names)
        return None if at is None else (profile.name(names[at]), modules[at])

    def _sections(self, profile: Profile) -> Iterator[list[tuple[str, str | None]]]:
        """The report's traces. The first one tells of the fault.

        It begins at the last line that holds one of the profile's `after`, or else at the first
        trace heading behind the start line (or at that line itself, when there is no heading or
        the profile says that there is none).
        """
        text, first = self.trace.text(), None
        for mark in profile.after:
            at = text.rfind(mark)
            if at >= 0:
                first = text.count("\n", 0, at)
                break
        if first is None and not profile.headless:
            first = self.trace.find_shape(self.start, "trace-head")
        if first is None:
            first = self.start
        for section in self.trace.sections(first, "trace-head", "section"):
            if not profile.avoids([function for function, _ in section]):
                yield section

    # -- names -------------------------------------------------------------------------------

    def title(self) -> str:
        fields = self.fields()
        last = ""
        for template in self.values["titles"]:
            last = template
            if all(name in fields for name in _names(template)):
                return str(template.format_map(fields))
        # No template has all its fields: the last one, with the gaps said.
        return _FORMAT.vformat(last, (), _Gaps(fields))

    def signature(self) -> str:
        fields = self.fields()
        parts = [self.values["kind"]]
        if self.values["signature"]:
            # What went wrong is the title's words, where and to whom the fields.
            parts.append(self.values["titles"][0])
            parts += [f"{name}={_told(fields, name)}" for name in self.values["signature"]]
        else:
            parts.append(self.title())
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]

    def meaning(self) -> str:
        return str(self.values["meaning"])

    def advice(self) -> tuple[str, ...]:
        gaps = _Gaps(self.fields())
        return tuple(_FORMAT.vformat(text, (), gaps) for text in self.values["advice"])


def _told(fields: dict[str, str | int], name: str) -> str | int:
    """A field as a signature has it: for a function that the log lost, the file that it is in."""
    if name == "function" and fields.get(name) == CORRUPTED and "source" in fields:
        # Without the directory that the kernel was built in.
        return "/".join(str(fields["source"]).split("/")[-2:])
    return fields.get(name, "")


class _Gaps(dict[str, Any]):
    """Fields for a template; what the log did not say reads as its name in brackets."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def _fill(raw: dict[str, str], match: re.Match[str]) -> None:
    for name, value in match.groupdict().items():
        if value is not None:
            raw[name] = value.strip()


def _lines_with(text: str, literal: str) -> Iterator[str]:
    at = text.find(literal)
    while at >= 0:
        yield line_at(text, at)
        end = text.find("\n", at)
        at = text.find(literal, end) if end >= 0 else -1


def _variant(trace: Trace, rule: Rule) -> tuple[Variant | None, dict[str, str]]:
    if not rule.variants:
        return None, {}
    text = trace.text()
    for variant in rule.variants:
        if variant.before and CONSOLE_STATES[trace.before] not in variant.before:
            continue
        for literal in variant.literals:
            at = text.find(literal)
            if at < 0 or (variant.within is not None and text.count("\n", 0, at) >= variant.within):
                continue
            if variant.match is None:
                return variant, {}
            for line in _lines_with(text, literal):
                match = variant.match.search(line)
                if match:
                    groups = match.groupdict().items()
                    return variant, {k: v.strip() for k, v in groups if v is not None}
    return None, {}


def read(trace: Trace, rules: Any, blame: Blame) -> Incident | None:
    """The incident that `trace` tells of, or None when it is none on a closer look."""
    starts = trace.starts()
    start = next((line for line, number in starts if number == trace.rule), 0)
    line = trace.body(start)
    for number in (trace.rule, *trace.weaker):
        rule = rules[number]
        if rule.provisional:
            continue  # it cannot stand alone
        if rule.start_match is None or rule.start_match.search(line):
            return _read(trace, rule, start, rules, blame)
    return None


def _read(trace: Trace, rule: Rule, start: int, rules: Any, blame: Blame) -> Incident | None:
    variant, variant_fields = _variant(trace, rule)
    over = variant.values if variant is not None else {}
    titles = over.get("title", rule.titles)
    values: dict[str, Any] = {
        "kind": over.get("kind", rule.kind),
        "severity": over.get("severity", rule.severity),
        "titles": (titles,) if isinstance(titles, str) else tuple(titles),
        "signature": over.get("signature", rule.signature),
        "meaning": over.get("meaning", rule.meaning),
        "advice": over.get("advice", rule.advice),
        "blame": over.get("blame", rule.blame),
        "requested": over.get("requested", rule.requested),
    }
    severity = SEVERITY[values["severity"]]
    if any(
        number != trace.rule and rules[number].kind == "kernel.panic"
        for _, number in trace.starts()
    ):
        # The panic that followed is part of this story: the machine is down.
        severity = min(severity, Severity.EMERG)
    reading = TraceReading(trace, rule, blame, start, values, variant_fields)
    if rule.requires and any(name not in reading.fields() for name in rule.requires):
        return None
    seconds, clock = trace.time
    return Incident(
        reading,
        rule=rule.id,
        kind=values["kind"],
        severity=severity,
        timestamp=seconds if clock else None,
        clock=CLOCKS[clock],
        host=trace.host,
        caller=trace.caller,
        boot=trace.boot,
        level=trace.level,
        confidence=CONFIDENCE[trace.confidence],
        ended=ENDED[trace.ended],
        truncated=bool(trace.dropped or trace.cut or ENDED[trace.ended] is EndReason.LIMIT),
        dropped_lines=trace.dropped,
        count=trace.count,
    )
