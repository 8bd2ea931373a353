"""Places that the lines of a report name in words: program counters, and who took which lock."""

from __future__ import annotations

import re
from collections.abc import Iterator

# What stands in front of the program counter, by architecture. User-mode segments (33, 2b, 23) say
# nothing about the kernel.
PC_MARKS = (
    "IP: ", "RIP  [", "EIP is at ", "pc : ", "PC is at ", "NIP [", "epc ", "ERA: ", "TPC: <",
    "Krnl PSW", "IAOQ[0]: ",
)  # fmt: skip
# Of old: `<ffffffff8018f1c5>{:ext3:f+17}`, then `[<ffffffff8018f1c5>] :ext3:f+0x11/0x50`.
# Somebody has put source lines to the addresses (decode_stacktrace.sh): `f (a.c:12) module`.
DECODED = r" \([^\s:]+:\d+"
PC = re.compile(
    r"^\s*(?:RIP:? +(?!0033:|002b:|0023:)(?:\w+:)?(?:\[<\w+>\]\s+)*(?:\[<\w+>\]\s*)?"
    r"|IP: (?:\[<\w+>\] )?|EIP: (?:is at )?|EIP is at |pc : (?:\[<\w+>\] )?|PC is at |NIP \[\w+\] "
    r"|epc *: (?:\w+ : |[0-9a-f]{8,} )?|ERA: [0-9a-f]+ |TPC: <|IAOQ\[0\]: "
    r"|Krnl PSW : \w+ \w+ \()(?:<\w+>\{)?(?::(?P<of>\w+):)?(?P<function>[A-Za-z_<.][^\s+)]*)"
    r"(?:\+0x(?:[0-9a-f]+/0x[0-9a-f]+ \[(?P<module>\w+))?"
    r"|\+\d+\}|" + DECODED + r"(?:.*\) (?P<loaded>\w+)\s*$)?)"
)
AT = re.compile(
    r"\bat: (?:\[<[0-9a-f]+>\] +)?(?P<function>[A-Za-z_<][^\s+]*)(?:\+0x|" + DECODED + r")"
    r"|^\s*(?:\[<[0-9a-f]+>\] )?(?P<alone>[A-Za-z_][^\s+]*)\+0x"
)
OOPS = re.compile(r" \[#\d+\](?: |$)", re.M)
# ARM's unwinder names two functions a line: `(f) from (g+0x1/0x2)`, of old with addresses.
FROM = re.compile(
    r"^\s*(?:\[<[0-9a-f]+>\] )?\(?(?P<callee>[A-Za-z_][\w.$]*)\S*(?: \[\w+\])?"
    r" from (?:\[<[0-9a-f]+>\] \()?(?P<caller>[A-Za-z_][\w.$]*)\+0x(?!0/)"
)
RELEASE = "trying to release lock"
# Behind these a lock report tells of other tasks and other times.
BACKTRACE = "stack backtrace:"
ELSEWHERE = (BACKTRACE, "other info that might", "-> #", "state was registered at:")
MOST_PLACES = 4


def line_at(text: str, at: int) -> str:
    """The whole line that holds position `at`."""
    end = text.find("\n", at)
    return text[text.rfind("\n", 0, at) + 1 : len(text) if end < 0 else end]


def program_counter(text: str) -> tuple[str, str | None] | None:
    """The kernel function the instruction pointer stood in, and its module, if it has one.

    By the first line that says so behind the oops's own line (`... [#1] SMP`), because what stands
    in front of that can be another processor's; else by the first line that says so.
    """
    oops = OOPS.search(text)
    return (_program_counter(text[oops.end() :]) if oops else None) or _program_counter(text)


def _program_counter(text: str) -> tuple[str, str | None] | None:
    best: tuple[str, str | None] | None = None
    end = len(text)
    for mark in PC_MARKS:
        at = text.find(mark, 0, end)
        while at >= 0:
            match = PC.match(line_at(text, at))
            if match:
                best = (match["function"], match["of"] or match["module"] or match["loaded"])
                end = at
                break
            at = text.find(mark, at + 1, end)
    return best


def outermost(text: str, function: str) -> str | None:
    """Who called `function`, where only its own line says so: the end of an ARM trace."""
    at = text.find(function)
    while at >= 0:
        match = FROM.match(line_at(text, at))
        if match and match["callee"] == function:
            return match["caller"]
        end = text.find("\n", at)
        at = text.find(function, end) if end >= 0 else -1
    return None


def lock_places(text: str, held: bool) -> list[str]:
    """Functions that took the locks a lock report names (`..., at: f+0x1/0x2`), in its order.

    `held`: those in the list of held locks too, which stands further down.
    """
    stops = [text.find(mark) for mark in ((BACKTRACE,) if held else ELSEWHERE)]
    end = min((stop for stop in stops if stop >= 0), default=len(text))
    return list(_lock_places(text[:end]))[:MOST_PLACES]


def _lock_places(text: str) -> Iterator[str]:
    release = False
    for line in text.split("\n"):
        match = AT.search(line) if " at: " in line or release else None
        if match:
            yield match["function"] or match["alone"]
        release = RELEASE in line
