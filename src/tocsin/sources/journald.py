"""The journal, through journalctl: the running one, or files of it.

journalctl knows every version of the format and follows rotation; it is asked for the export
format and told where to begin by a cursor of our own, which is saved with the scanner's state: a
cursor that journalctl saves would be ahead of what was reported.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable

from tocsin.sources.export import Entries, Entry, as_lines
from tocsin.watch.loop import Loop
from tocsin.watch.streams import Stream, Streams

__all__ = ["Journal"]

CHUNK = 1 << 18
PAUSE = 2.0
HOSTS = 10000  # streams of a journal that was collected from many


class Journal:
    """`path`: a .journal file or a directory of them, read to its end; None is the running one,
    followed."""

    def __init__(
        self,
        path: str | None,
        complain: Callable[[str], object],
        *,
        from_end: bool,
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        self.name = "journald" if path is None else path
        self._path = path
        self._complain = complain
        self._from_end = from_end
        self._ended = ended
        self._child: subprocess.Popen[bytes] | None = None
        self._cursor: str | None = None
        self._hosts: dict[bytes, Stream] = {}

    def start(self, loop: Loop, streams: Streams) -> None:
        self._loop = loop
        self._streams = streams
        # The cursor is one for all hosts; it is saved with a stream of its own.
        self._main = streams.open(f"{self.name}#cursor", replays=True)
        self._main.where = lambda: self._cursor
        self._cursor = self._main.position
        self._spawn()

    def close(self) -> None:
        if self._child is not None:
            with contextlib.suppress(OSError):
                self._child.kill()
            self._child.wait()

    def _command(self) -> list[str]:
        command = ["journalctl", "--quiet", "--all", "--output=export"]
        if self._path is None:
            command.append("--follow")
            command.append("--no-tail")
        elif os.path.isdir(self._path):
            command += ["--directory", self._path]
        else:
            command += ["--file", self._path]
        if self._cursor:
            command.append(f"--after-cursor={self._cursor}")
        elif self._path is None and self._from_end:
            command.remove("--no-tail")
            command.append("--lines=0")
        return command

    def _spawn(self) -> None:
        self._entries = Entries()
        self._damaged = 0
        try:
            self._child = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            self._complain(f"{self.name}: journalctl: {error.strerror}")
            self._ended()
            return
        assert self._child.stdout is not None
        self._fd = self._child.stdout.fileno()
        os.set_blocking(self._fd, False)
        self._loop.on_readable(self._fd, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        for entry in self._entries.feed(data):
            self._take(entry)
        if self._entries.damaged > self._damaged:
            self._main.gap(
                "entries that are none", lost_records=self._entries.damaged - self._damaged
            )
            self._damaged = self._entries.damaged
        if not data:
            self._gone()

    def _take(self, entry: Entry) -> None:
        cursor = entry.get(b"__CURSOR")
        if cursor:
            self._cursor = cursor.decode("ascii", "backslashreplace")
            self._main.moved()
        if b"MESSAGE" not in entry:
            return
        host = entry.get(b"_HOSTNAME", b"")
        stream = self._hosts.get(host)
        if stream is None:
            if len(self._hosts) >= HOSTS:
                self._streams.close(self._hosts.pop(next(iter(self._hosts))))
            name = host.decode("utf-8", "backslashreplace")
            stream = self._streams.open(f"{self.name}:{name}", replays=True, host=name or None)
            self._hosts[host] = stream
        stream.feed(as_lines(entry))

    def _gone(self) -> None:
        assert self._child is not None
        assert self._child.stderr is not None
        self._loop.forget(self._fd)
        code = self._child.wait()
        said = self._child.stderr.read(4096).decode("utf-8", "backslashreplace").strip()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()
        self._child = None
        if self._path is not None:
            if code:
                self._complain(f"{self.name}: journalctl: {said or f'exit status {code}'}")
            for stream in self._hosts.values():
                stream.flush()
            self._ended()
            return
        self._complain(f"{self.name}: journalctl ended ({said or code}); starting it again")
        self._loop.after(PAUSE, self._spawn)
