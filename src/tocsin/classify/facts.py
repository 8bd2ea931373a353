"""Facts that any kernel report states in the same words: who ran, where, on what kernel.

Grammar: the identity lines of dump_stack (lib/dump_stack.c, kernel/printk), of 2.6 and of today.
"""

from __future__ import annotations

import re

from tocsin.classify.places import line_at

IDENTITY = re.compile(
    r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.{1,40}?) "
    r"(?:Kdump: loaded )?"
    r"(?:(?P<clean>Not tainted)|Tainted: (?P<taint>[A-Z][A-Z ]*?)) +(?P<kernel>\d\S*)"
)
OLD_IDENTITY = re.compile(
    r"Pid: (?P<pid>\d+), comm: +(?P<comm>.{1,40}?) (?:veid: \d+ )?"  # veid: OpenVZ
    r"(?:(?P<clean>Not tainted)|Tainted: (?P<taint>[A-Z][A-Z ]*?)) +(?:\(?(?P<kernel>\d[^\s)]*))"
)
# i386 up to 2.6.24 has no line of its own for it: the kernel stands with the flags, the task apart.
OLDEST = (
    ("EFLAGS: ", re.compile(r"EFLAGS: [0-9a-f]{8} +\((?P<kernel>\d[^\s)]*)")),
    ("Process ", re.compile(r"^\s*Process (?P<comm>.{1,40}?) \(pid: (?P<pid>\d+), ")),
)
HARDWARE = "Hardware name: "


def identity(text: str, start: int) -> dict[str, str]:
    """cpu, pid, comm, taint, kernel and hardware, as far as the lines behind `start` say."""
    out: dict[str, str] = {}
    for mark, pattern in ((" Comm: ", IDENTITY), (", comm: ", OLD_IDENTITY)):
        if out:
            break
        at = text.find(mark, start)
        while at >= 0 and not out:
            match = pattern.search(line_at(text, at))
            if match:
                out = {k: v for k, v in match.groupdict().items() if v and k != "clean"}
            at = text.find(mark, at + 1)
    for mark, pattern in OLDEST if not out else ():
        at = text.find(mark, start)
        match = pattern.search(line_at(text, at)) if at >= 0 else None
        out.update(match.groupdict() if match else {})
    at = text.find(HARDWARE, start)
    if at >= 0:
        out["hardware"] = line_at(text, at).strip()[len(HARDWARE) :].strip()
    if "taint" in out:
        out["taint"] = "".join(out["taint"].split())
    return out
