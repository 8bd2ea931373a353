"""Which disc an incident is about: one name over all layers of one failure.

A failing disc speaks as `sda3` to the filesystem, as `sda` to the block layer, as `ata1` to libata.
Partition, journal and namespace are taken off the name that the incident's own lines give, so that
whoever reads incidents can join those of one disc. Nothing is looked up and nothing remembered:
where a report names only the port, the disc is the port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

KINDS = ("storage.", "filesystem", "boot", "kernel.panic", "memory.alloc")
# Discs that are numbered by letters; what follows the letters is a partition.
LETTERED = re.compile(r"(?P<disk>(?:sd|hd|vd|xvd|ubd|dasd)[a-z]+)\d*\Z")
# Discs that are numbered by numbers; a partition is set off by a `p`. A name of an nvme namespace
# begins with its controller's (or, with several paths, its subsystem's).
NUMBERED = re.compile(
    r"(?P<disk>nvme\d+)(?:c\d+)?(?:n\d+)?(?:p\d+)?\Z"
    r"|(?P<port>ata\d+)(?:\.\d+)?\Z"
    r"|(?P<mmc>mmcblk\d+)(?:boot\d|rpmb|p\d+)?\Z"
    r"|(?P<other>(?:md|nbd|rbd|drbd|loop|bcache|pmem|zram|sr|st)\d+"
    r"|(?:cciss|ida|rd)/c\d+d\d+|dm-\d+)(?:p\d+)?\Z"
)
# multipath and swap name a disc by its numbers. Those of SCSI discs never change (devices.txt of
# the kernel's documentation): sixteen discs a major, sixteen minors a disc. Other majors are
# handed out as drivers come.
NUMBERS = re.compile(r"(?P<major>\d{1,3})[:,](?P<minor>\d{1,3})\Z")
SCSI_MAJORS = (8, *range(65, 72), *range(128, 136))
# jbd2 names a journal by disc and inode.
JOURNAL = re.compile(r"-\d+\Z")


def disk_of(kind: str, fields: Mapping[str, str | int]) -> str | None:
    """The disc (or array, or port) that an incident of this kind and with these fields is about."""
    if not kind.startswith(KINDS):
        return None
    device = fields.get("device")
    if device is None:
        port = fields.get("port")
        return port if isinstance(port, str) and port.startswith("ata") else None
    name = str(device).strip('"')
    if kind == "boot" and not name.startswith("/dev/"):
        return None
    name = name.removeprefix("/dev/").replace("!", "/")
    for text in (name, JOURNAL.sub("", name)):
        for pattern in (LETTERED, NUMBERED):
            match = pattern.match(text)
            if match:
                return next(group for group in match.groups() if group)
    match = NUMBERS.match(name)
    return None if match is None else scsi_disk(int(match["major"]), int(match["minor"]))


def scsi_disk(major: int, minor: int) -> str | None:
    """The name of the SCSI disc with these numbers: 8:0 is sda, 65:160 is sdaa."""
    if major not in SCSI_MAJORS or minor > 255:
        return None
    index = SCSI_MAJORS.index(major) * 16 + minor // 16
    letter = chr(ord("a") + index % 26)
    return "sd" + (chr(ord("a") + index // 26 - 1) if index >= 26 else "") + letter
