"""Facts that any kernel report states in the same words: who ran, where, on what kernel.

Grammar: the identity lines of dump_stack (lib/dump_stack.c, kernel/printk), of 2.6 and of today.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

IDENTITY = re.compile(
    r"CPU: (?P<cpu>\d+) (?:UID: \d+ )?PID: (?P<pid>\d+) Comm: (?P<comm>.{1,40}?) "
    r"(?:(?P<clean>Not tainted)|Tainted: (?P<taint>[A-Z][A-Z ]*?)) +(?P<kernel>\d\S*)"
)
OLD_IDENTITY = re.compile(
    r"Pid: (?P<pid>\d+), comm: +(?P<comm>.{1,40}?) "
    r"(?:(?P<clean>Not tainted)|Tainted: (?P<taint>[A-Z][A-Z ]*?)) +(?:\(?(?P<kernel>\d[^\s)]*))"
)
HARDWARE = "Hardware name: "


def identity(bodies: Sequence[str]) -> dict[str, str]:
    """cpu, pid, comm, taint, kernel and hardware, as far as the lines say."""
    out: dict[str, str] = {}
    for body in bodies:
        if "pid" not in out:
            match = None
            if " Comm: " in body:
                match = IDENTITY.search(body)
            elif ", comm: " in body:
                match = OLD_IDENTITY.search(body)
            if match:
                out.update({k: v for k, v in match.groupdict().items() if v and k != "clean"})
        if "hardware" not in out and body.lstrip().startswith(HARDWARE):
            out["hardware"] = body.lstrip()[len(HARDWARE) :].strip()
        if len(out) >= 5 and "hardware" in out:
            break
    if "taint" in out:
        out["taint"] = "".join(out["taint"].split())
    return out
