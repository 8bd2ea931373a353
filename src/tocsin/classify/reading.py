"""Read a closed trace by its rule: the cold path, once an incident, as late as possible."""

from __future__ import annotations

import hashlib
import re
import string
from typing import Any

from tocsin._core.trace import Trace
from tocsin.classify.blame import CORRUPTED, Blame, lock_places, pc_functions, trace_sections
from tocsin.classify.facts import identity
from tocsin.incident import EndReason, Frame, Incident, Severity
from tocsin.rules.model import SEVERITIES, Rule, Variant, is_int_field

ENDED = tuple(EndReason)
CLOCKS = (None, "kernel", "wall")
CONFIDENCE = ("certain", "likely", "unverified")
SEVERITY = {name: Severity(number) for number, name in enumerate(SEVERITIES)}
PANIC = re.compile(r"Kernel panic - not syncing: ?(?P<reason>.*)")
_FORMAT = string.Formatter()


def _number(text: str) -> str | int:
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return text


class TraceReading:
    """What an incident's parts are worked out from: the trace, its rule, the chosen variant."""

    __slots__ = ("_fields", "blame", "rule", "start", "trace", "values", "variant_fields")

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
        raw: dict[str, str] = {}
        bodies = self.trace.bodies()
        rule = self.rule
        if rule.report and rule.lane == "trace":
            raw.update(identity(bodies[self.start :]))
        if rule.start_match is not None:
            match = rule.start_match.search(bodies[self.start])
            if match:
                _fill(raw, match)
        if rule.extracts:
            text = self.trace.text()
            for extract in rule.extracts:
                for literal in extract.literals:
                    at = text.find(literal)
                    while at >= 0:
                        first = text.rfind("\n", 0, at) + 1
                        last = text.find("\n", at)
                        last = len(text) if last < 0 else last
                        match = extract.match.search(text[first:last])
                        if match:
                            _fill(raw, match)
                            if not extract.all:
                                break
                        at = text.find(literal, last)
        if rule.end_match is not None:
            for body in reversed(bodies):
                if any(literal in body for literal in rule.end_literals):
                    match = rule.end_match.search(body)
                    if match:
                        _fill(raw, match)
                        break
        raw.update(self.variant_fields)
        fields: dict[str, str | int] = {
            name: _number(value) if is_int_field(name) else value for name, value in raw.items()
        }
        profile = self.values["blame"]
        if profile is not None and "function" not in raw:
            fields["function"], module = self._blamed(profile, raw.get("at"))
            if module:
                fields["module"] = module
        elif "function" in raw:
            fields["function"] = self.blame.profile(profile or "default").name(raw["function"])
        if rule.kind != "kernel.panic":
            panic = self._panic()
            if panic is not None:
                fields["panicked"] = panic
        return fields

    def _panic(self) -> str | None:
        for body in self.trace.bodies()[self.start :]:
            if "Kernel panic - not syncing" in body:
                match = PANIC.search(body)
                return match["reason"].strip() if match else ""
        return None

    def _blamed(self, name: str, stated: str | None) -> tuple[str, str | None]:
        """The function to blame and its module; `stated`: the one the first line names, which
        serves when the trace is missing or holds machinery only."""
        profile = self.blame.profile(name)
        bodies = self.trace.bodies()
        functions: list[str] = []
        modules: list[str | None] = []
        more: list[list[Frame]] = []
        for source in profile.sources:
            found: list[str] = []
            if source == "pc":
                found = pc_functions(bodies, self.start, len(bodies))[:1]
            elif source in ("at", "held"):
                found = lock_places(bodies, self.start, source == "held")
            elif source == "trace":
                sections = trace_sections(
                    self.frames(), self.trace.shapes(), bodies, self.start, profile
                )
                sections = [s for s in sections if not profile.avoids(s)]
                for frame in sections[0] if sections else ():
                    functions.append(frame.function or "")
                    modules.append(frame.module)
                more = sections[1:] if profile.sections else []
                continue
            functions += found
            modules += [None] * len(found)
        at = profile.choose(functions)
        while at is None and more:
            section = more.pop(0)
            functions = [frame.function or "" for frame in section]
            modules = [frame.module for frame in section]
            at = profile.choose(functions)
        if at is None and stated:
            functions, modules = [stated], [None]
            at = profile.choose(functions)
        if at is None:
            return CORRUPTED, None
        return profile.name(functions[at]), modules[at]

    # -- names -------------------------------------------------------------------------------

    def title(self) -> str:
        fields = self.fields()
        last = ""
        for template in self.values["titles"]:
            names = [name for _, name, _, _ in _FORMAT.parse(template) if name]
            last = template
            if all(name in fields for name in names):
                return template.format_map(fields)
        # No template has all its fields: the last one, with the gaps said.
        return _FORMAT.vformat(last, (), _Gaps(fields))

    def signature(self) -> str:
        fields = self.fields()
        parts = [self.values["kind"]]
        if self.values["signature"]:
            parts += [f"{name}={fields.get(name, '')}" for name in self.values["signature"]]
        else:
            parts.append(self.title())
        return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]

    def meaning(self) -> str:
        return str(self.values["meaning"])

    def advice(self) -> tuple[str, ...]:
        gaps = _Gaps(self.fields())
        return tuple(_FORMAT.vformat(text, (), gaps) for text in self.values["advice"])


class _Gaps(dict[str, Any]):
    """Fields for a template; what the log did not say reads as its name in brackets."""

    def __missing__(self, name: str) -> str:
        return f"<{name}>"


def _fill(raw: dict[str, str], match: re.Match[str]) -> None:
    for name, value in match.groupdict().items():
        if value is not None:
            raw[name] = value.strip()


def _variant(trace: Trace, rule: Rule) -> tuple[Variant | None, dict[str, str]]:
    if not rule.variants:
        return None, {}
    text = trace.text()
    for variant in rule.variants:
        for literal in variant.literals:
            at = text.find(literal)
            if at < 0 or (variant.within is not None and text.count("\n", 0, at) >= variant.within):
                continue
            if variant.match is None:
                return variant, {}
            while at >= 0:
                first = text.rfind("\n", 0, at) + 1
                last = text.find("\n", at)
                last = len(text) if last < 0 else last
                match = variant.match.search(text[first:last])
                if match:
                    groups = match.groupdict().items()
                    return variant, {k: v.strip() for k, v in groups if v is not None}
                at = text.find(literal, last)
    return None, {}


def read(trace: Trace, rule: Rule, rules: Any, blame: Blame) -> Incident | None:
    """The incident that `trace` tells of, or None when it is none on a closer look."""
    starts = trace.starts()
    start = next((line for line, number in starts if number == trace.rule), 0)
    if rule.start_match is not None and not rule.start_match.search(trace.bodies()[start]):
        return None
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
    }
    severity = SEVERITY[values["severity"]]
    if any(number != trace.rule and rules[number].kind == "kernel.panic" for _, number in starts):
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
