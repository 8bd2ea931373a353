"""Bytes that come by themselves: a pipe, a serial device or pty, a unix socket.

What ends is opened again when it has a name (the guest was restarted, the cable was pulled), after
a pause that grows; standard input just ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import termios
from collections.abc import Callable

from tocsin.watch.loop import Loop
from tocsin.watch.streams import Stream, Streams

__all__ = ["Device", "StandardInput", "UnixSocket"]

CHUNK = 1 << 20
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
DRAINED = 64  # chunks read at the end, at most
LOOK = 2.0  # seconds between two looks whether a named pipe is still the same


def widen(fd: int) -> None:
    """A pipe that holds more wakes us less often; a kernel that will not is no reason to stop."""
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, CHUNK)


class StandardInput:
    """Standard input, until it ends."""

    def __init__(
        self, name: str, ended: Callable[[], object], failed: Callable[[str], object]
    ) -> None:
        self.name = name
        self._ended = ended
        self._failed = failed

    def start(self, loop: Loop, streams: Streams) -> None:
        self._loop = loop
        self._streams = streams
        self._stream = streams.open(self.name)
        mode = os.fstat(0).st_mode
        # What epoll refuses (a file, /dev/null) is always readable.
        self._file = stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(0))
        widen(0)
        if self._file:
            loop.soon(self._read)
        else:
            loop.on_readable(0, self._read)

    def _read(self) -> None:
        try:
            data = os.read(0, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            if not self._file:
                self._loop.forget(0)
            self._streams.close(self._stream)
            self._failed(f"{self.name}: {error.strerror}")
            return
        if data:
            self._stream.feed(data)
            if self._file:
                self._loop.soon(self._read)
            return
        if not self._file:
            self._loop.forget(0)
        self._streams.close(self._stream)
        self._ended()


class Reopened:
    """What has a name, and comes back under it."""

    def __init__(self, name: str, complain: Callable[[str], object]) -> None:
        self.name = name
        self._complain = complain
        self._fd = -1
        self._pause = FIRST_PAUSE
        self._told = False

    def start(self, loop: Loop, streams: Streams) -> None:
        self._loop = loop
        self._stream: Stream = streams.open(self.name)
        self._open()

    def open(self) -> int:
        raise NotImplementedError

    def _open(self) -> None:
        try:
            self._fd = self.open()
            self._loop.on_readable(self._fd, self._read)
        except OSError as error:
            self.close()
            if not self._told:
                self._complain(f"{self.name}: {error.strerror or error}; waiting for it")
                self._told = True
            self._again()
            return
        self._told = False

    def drain(self) -> None:
        """Told to stop: what lies in a pipe is gone with its last reader."""
        with contextlib.suppress(OSError):
            for _ in range(DRAINED):
                data = os.read(self._fd, CHUNK) if self._fd >= 0 else b""
                if not data:
                    break
                self._stream.feed(data)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        try:
            data = os.read(self._fd, CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            # A pty whose other end closed says EIO and not end of file.
            if error.errno not in (errno.EIO, errno.ECONNRESET, errno.ENXIO, errno.ENODEV):
                self._complain(f"{self.name}: {error.strerror}")
            data = b""
        if data:
            self._pause = FIRST_PAUSE
            self._stream.feed(data)
            return
        self._left()
        self._again()

    def _left(self) -> None:
        self._loop.forget(self._fd)
        self.close()
        self._stream.flush()

    def _again(self) -> None:
        self._loop.after(self._pause, self._open)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)


class Device(Reopened):
    """A serial device, a pty or a named pipe. Its line settings are left as they are, but for
    those that would change bytes or send them back."""

    def start(self, loop: Loop, streams: Streams) -> None:
        super().start(loop, streams)
        loop.every(LOOK, self._look)

    def open(self) -> int:
        mode = os.stat(self.name).st_mode
        if stat.S_ISFIFO(mode):
            return _open_pipe(self.name)
        if not stat.S_ISCHR(mode):
            raise OSError(errno.EINVAL, "expected a device or a named pipe")
        fd = os.open(self.name, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        if os.isatty(fd):
            _raw(fd)
        return fd

    def _look(self) -> None:
        """A pipe that was made anew under its name: the old one never says so."""
        if self._fd < 0:
            return
        try:
            here, there = os.fstat(self._fd), os.stat(self.name)
        except OSError:
            return  # removed; who has it open may write on
        if stat.S_ISFIFO(here.st_mode) and not os.path.samestat(here, there):
            with contextlib.suppress(OSError):
                while data := os.read(self._fd, CHUNK):
                    self._stream.feed(data)
            self._left()
            self._open()


def _open_pipe(path: str) -> int:
    """Open for writing, too: so it never ends between one writer and the next. At an end it would
    have to be opened again, and what a writer writes meanwhile into the old one is lost."""
    flags = os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, os.O_RDWR | flags)
    except PermissionError:
        fd = os.open(path, os.O_RDONLY | flags)
    widen(fd)
    return fd


def _raw(fd: int) -> None:
    """No echo, no line editing, no signals out of the bytes of a console."""
    try:
        settings = termios.tcgetattr(fd)
        settings[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR
            | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        settings[3] &= ~(
            termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN
        )
        settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
        termios.tcsetattr(fd, termios.TCSANOW, settings)
    except termios.error:
        pass


class UnixSocket(Reopened):
    """A listening socket that sends console bytes, as `qemu -serial unix:PATH,server` makes it."""

    def __init__(self, path: str, complain: Callable[[str], object]) -> None:
        super().__init__(f"unix:{path}", complain)
        self._path = path

    def open(self) -> int:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            connection.connect(self._path)
        except BlockingIOError as error:
            connection.close()
            raise OSError(errno.EAGAIN, "too many wait for it") from error
        except OSError:
            connection.close()
            raise
        return connection.detach()
