"""Which source a word on the command line of tocsin watch names."""

from __future__ import annotations

import argparse
import os
import stat
from typing import TYPE_CHECKING

from tocsin.cli.problems import complain

if TYPE_CHECKING:
    from tocsin.watch.watcher import Source, Watcher

__all__ = ["add_sources"]


def add_sources(watcher: Watcher, arguments: argparse.Namespace) -> bool:
    from tocsin.sources import descriptor
    from tocsin.sources.listen import BadAddress
    from tocsin.sources.tree import Files

    from_end = arguments.begin == "end"
    files = []
    # Twice the same would read every byte of it twice, or half of them each.
    for name in dict.fromkeys(arguments.sources):
        try:
            source = _source(name, watcher, from_end)
        except BadAddress as error:
            complain(f"{name}: {error}" if name else str(error))
            return False
        except OSError as error:
            complain(f"{name}: {error.strerror or error}")
            return False
        if source is None:
            files.append(name)
        else:
            watcher.add_source(source)
    if files:
        watcher.add_source(
            Files(
                files,
                complain,
                from_end=from_end,
                notify=not arguments.poll,
                is_output=watcher.is_output,
                other=lambda name: descriptor.Device(name, complain),
            )
        )
    return True


def _source(name: str, watcher: Watcher, from_end: bool) -> Source | None:
    """None for what is a file, or may become one."""
    from tocsin.sources import descriptor, listen
    from tocsin.sources.journald import Journal
    from tocsin.sources.kmsg import Kmsg
    from tocsin.sources.listen import BadAddress

    ended, failed = watcher.source_ended, watcher.source_failed
    word, _, rest = name.partition(":")
    if not name or (word in ("unix", "kmsg") and name == word + ":"):
        raise BadAddress(f"expected {word}:PATH" if name else "'' names no source")
    if name == "-":
        return descriptor.StandardInput("(standard input)", ended, failed)
    if word == "unix" and rest:
        return descriptor.UnixSocket(rest, complain)
    if name == "/dev/kmsg" or (word == "kmsg" and rest):
        path = rest or name
        return Kmsg(path, from_end=from_end and path == "/dev/kmsg", failed=failed)
    if name == "journald":
        return Journal(None, complain, from_end=from_end, ended=ended, failed=failed)
    if name.endswith(".journal"):
        return Journal(name, complain, from_end=False, ended=ended, failed=failed)
    if word == "netconsole":
        return listen.NetconsoleUdp(listen.parse_address(rest))
    if word == "syslog-udp":
        return listen.SyslogUdp(listen.parse_address(rest))
    if word == "syslog-tcp":
        return listen.SyslogTcp(listen.parse_address(rest))
    return descriptor.Device(name, complain) if _is_device(name) else None


def _is_device(name: str) -> bool:
    try:
        mode = os.stat(name).st_mode
    except OSError:
        # An adapter that is not plugged in. What has no place in /dev may become a file.
        return name.startswith("/dev/") and not name.startswith("/dev/shm/")
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)
