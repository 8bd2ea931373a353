"""The journal, through journalctl: the running one, or files of it.

journalctl knows every version of the format and follows rotation; it is asked for the export
format and told where to begin by a cursor of our own, which is saved with the scanner's state: a
cursor that journalctl saves would be ahead of what was reported. It is told to begin with the last
entry that was read and not behind it, because it begins somewhere else without a word when that
one is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable

from tocsin.sources.export import DIGITS, Entries, Entry, as_lines
from tocsin.watch.loop import Loop
from tocsin.watch.streams import Stream, Streams

__all__ = ["Journal"]

COMMAND = ("journalctl", "--quiet", "--all", "--output=export")
CHUNK = 1 << 18
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0
WORDS = 4096  # kept of what it complains of
RUNNING = ("/run/log/journal", "/var/log/journal")
# journald's own "Missed 7 kernel messages": the kernel had overwritten them.
MISSED = b"e9bf28e6e834481bb6f48f548ad13606"
COUNT = re.compile(rb"\d+")
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
        failed: Callable[[str], object],
    ) -> None:
        self.name = "journald" if path is None else path
        self._path = path
        self._complain = complain
        self._from_end = from_end
        self._ended = ended
        self._failed = failed
        self._child: subprocess.Popen[bytes] | None = None
        # Of the last entry that was read; "" before the first, None where nobody knows.
        self._cursor: str | None = None
        self._expected = ""  # the cursor with which journalctl has to begin
        self._pause = FIRST_PAUSE
        self._hosts: dict[bytes, Stream] = {}

    def start(self, loop: Loop, streams: Streams) -> None:
        self._loop = loop
        self._streams = streams
        # The cursor is one for all hosts; it is saved with a stream of its own.
        self._main = streams.open(f"{self.name}#cursor", replays=True)
        self._main.where = lambda: self._cursor
        self._cursor = self._main.position
        if self._path is None:
            self._check_access()
        if self._cursor is None:
            # Found now, not by the one that follows: it takes its time, and may have to be started
            # again before the first entry comes.
            self._cursor = self._last() if self._path is None and self._from_end else ""
            self._main.moved()
        self._spawn()

    def close(self) -> None:
        if self._child is not None:
            with contextlib.suppress(OSError):
                self._child.kill()
            self._child.wait()

    def _check_access(self) -> None:
        """journalctl shows people the messages that they may see, and says nothing of others."""
        for directory in RUNNING:
            with contextlib.suppress(OSError):
                with open("/etc/machine-id", encoding="ascii", errors="replace") as file:
                    machine = file.read().strip()
                path = os.path.join(directory, machine, "system.journal")
                try:
                    os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                except PermissionError:
                    self._complain(
                        f"{self.name}: {path} may not be read; what the kernel and other users say"
                        " is not seen (is the group systemd-journal missing?)"
                    )

    def _last(self) -> str | None:
        """The cursor of the last entry there is; "" if there is none."""
        command = [*COMMAND, "--lines=1"]
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return None  # the one that follows says why
        entries = list(Entries().feed(done.stdout))
        return _cursor_of(entries[-1]) if entries else ""

    def _command(self) -> list[str]:
        command = [*COMMAND]
        if self._path is None:
            command += ["--follow", "--no-tail"]
        elif os.path.isdir(self._path):
            command += ["--directory", self._path]
        else:
            command += ["--file", self._path]
        if self._cursor:
            command.append(f"--cursor={self._cursor}")
        elif self._cursor is None:
            command += ["--lines=0"]
        return command

    def _spawn(self) -> None:
        self._entries = Entries()
        self._damaged = 0
        self._expected = self._cursor or ""
        self._said = b""
        try:
            self._child = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            self._failed(f"{self.name}: journalctl: {error.strerror}")
            return
        assert self._child.stdout is not None
        assert self._child.stderr is not None
        self._fd = self._child.stdout.fileno()
        self._errors = self._child.stderr.fileno()
        for fd, call in ((self._fd, self._read), (self._errors, self._hear)):
            os.set_blocking(fd, False)
            self._loop.on_readable(fd, call)

    def _hear(self) -> None:
        """What it complains of; if nobody reads that, it stops some day."""
        try:
            data = os.read(self._errors, CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._loop.forget(self._errors)
            self._errors = -1
        self._said = (self._said + data)[-WORDS:]

    def _read(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        for entry in self._entries.feed(data):
            self._take(entry)
        if self._entries.damaged > self._damaged:
            self._lost("entries that are none", self._entries.damaged - self._damaged)
            self._damaged = self._entries.damaged
        if not data:
            self._gone()

    def _lost(self, reason: str, records: int | None = None) -> None:
        for stream in self._hosts.values():
            stream.flush()
        self._streams.missed(self.name, reason, records)

    def _take(self, entry: Entry) -> None:
        cursor = _cursor_of(entry)
        expected, self._expected = self._expected, ""
        if cursor and cursor == expected:
            return  # read already
        self._pause = FIRST_PAUSE
        if expected:
            self._lost("what followed the last entry that was read is no longer in the journal")
        if cursor:
            self._cursor = cursor
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
        if entry.get(b"MESSAGE_ID") == MISSED:
            count = COUNT.search(entry[b"MESSAGE"])
            stream.gap("journald missed what the kernel said", lost_records=_number(count))
            return
        stream.feed(as_lines(entry))

    def _gone(self) -> None:
        assert self._child is not None
        assert self._child.stderr is not None
        self._loop.forget(self._fd)
        code = self._child.wait()
        if self._errors >= 0:
            self._hear()  # its last words
        if self._errors >= 0:
            self._loop.forget(self._errors)
        said = self._said.decode("utf-8", "backslashreplace").strip()
        for pipe in (self._child.stdout, self._child.stderr):
            if pipe is not None:
                pipe.close()
        self._child = None
        if self._path is not None:
            for stream in self._hosts.values():
                stream.flush()
            if code:
                self._failed(f"{self.name}: journalctl: {said or f'exit status {code}'}")
            else:
                self._ended()
            return
        if self._pause == FIRST_PAUSE:
            self._complain(f"{self.name}: journalctl ended ({said or code}); starting it again")
        self._loop.after(self._pause, self._spawn)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


def _cursor_of(entry: Entry) -> str:
    return entry.get(b"__CURSOR", b"").decode("ascii", "backslashreplace")


def _number(found: re.Match[bytes] | None) -> int | None:
    return int(found[0]) if found and len(found[0]) <= DIGITS else None
