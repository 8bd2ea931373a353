"""Sockets that others send to: netconsole and syslog over UDP, syslog over TCP.

One stream a sender. Anybody can send from any address they like, so there are at most `SENDERS`
streams: the one that was silent the longest makes room.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable

from tocsin.sources.netconsole import PATIENCE, Netconsole
from tocsin.sources.syslog import Frames, as_lines, is_message
from tocsin.watch.loop import Loop, Timer
from tocsin.watch.streams import Stream, Streams

__all__ = ["Address", "BadAddress", "NetconsoleUdp", "SyslogTcp", "SyslogUdp", "parse_address"]

DATAGRAM = 1 << 16
ROUND = 256  # datagrams before others have their turn
DRAINED = 10000  # datagrams read at the end, at most: who floods must not keep us from it
SENDERS = 10000
CONNECTIONS = 1000
PAUSE = 1.0  # seconds without accepting, where no descriptor is left
DRAINING = 0.5  # seconds for what one connection has sent when told to stop
KEEP_ALIVE = (
    (socket.TCP_KEEPIDLE, 300), (socket.TCP_KEEPINTVL, 60), (socket.TCP_KEEPCNT, 5),
)  # fmt: skip
RECEIVE_BUFFER = 8 << 20  # the kernel gives what it allows
Address = tuple[str, int]


class BadAddress(ValueError):
    """An address that is none."""


def parse_address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 <= int(port) < 65536:
        raise BadAddress(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _bind(address: Address, kind: socket.SocketKind) -> socket.socket:
    found = socket.getaddrinfo(address[0] or None, address[1], type=kind, flags=socket.AI_PASSIVE)
    family, _, _, _, where = found[0]
    listener = socket.socket(family, kind)
    listener.setblocking(False)
    if kind is socket.SOCK_STREAM:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    else:
        with contextlib.suppress(OSError):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    try:
        listener.bind(where)
    except OSError:
        listener.close()
        raise
    return listener


def _sender(peer: tuple[str, int]) -> str:
    return peer[0].removeprefix("::ffff:")


class Senders:
    """The streams of one socket, by sender; those heard last are last."""

    def __init__(self, protocol: str, streams: Streams) -> None:
        self.forgotten: Callable[[str], object] = lambda _: None
        self._protocol = protocol
        self._streams = streams
        self._by_sender: dict[str, Stream] = {}

    def of(self, sender: str) -> Stream:
        stream = self._by_sender.pop(sender, None)
        if stream is None:
            if len(self._by_sender) >= SENDERS:
                oldest = next(iter(self._by_sender))
                self._streams.close(self._by_sender.pop(oldest))
                self.forgotten(oldest)
            stream = self._streams.open(f"{self._protocol}:{sender}", host=sender)
        self._by_sender[sender] = stream
        return stream


class Listener:
    protocol = ""
    kind = socket.SOCK_DGRAM

    def __init__(self, address: Address) -> None:
        """Binds at once: what cannot be bound is an error of the command line."""
        self._socket = _bind(address, self.kind)
        self.port: int = self._socket.getsockname()[1]
        self._name = f"{self.protocol}:{address[0]}:{self.port}"

    def start(self, loop: Loop, streams: Streams) -> None:
        self._loop = loop
        self._streams = streams
        self._senders = Senders(self.protocol, streams)
        loop.on_readable(self._socket.fileno(), self._ready)

    def close(self) -> None:
        self._socket.close()

    def _ready(self) -> None:
        for _ in range(ROUND):
            if not self._take():
                return

    def _take(self) -> bool:
        """Whether there was one."""
        try:
            data, peer = self._socket.recvfrom(DATAGRAM)
        except BlockingIOError:
            return False
        except OSError:
            return True  # an ICMP error of a datagram of somebody else's
        self.datagram(_sender(peer), data)
        return True

    def drain(self) -> None:
        """Told to stop: what has arrived here nobody sends again."""
        for _ in range(DRAINED):
            if not self._take():
                break

    def datagram(self, sender: str, data: bytes) -> None:
        raise NotImplementedError


class SyslogUdp(Listener):
    protocol = "syslog-udp"

    def datagram(self, sender: str, data: bytes) -> None:
        if not is_message(data):
            self._streams.malformed[self._name] += 1
        if data:
            self._senders.of(sender).feed(as_lines(data))


class NetconsoleUdp(Listener):
    protocol = "netconsole"

    def start(self, loop: Loop, streams: Streams) -> None:
        super().start(loop, streams)
        self._timer: Timer | None = None
        self._netconsole = Netconsole(
            lambda sender, data: self._senders.of(sender).feed(data),
            lambda sender, lost: self._senders.of(sender).gap(
                "datagrams that did not arrive", lost_records=lost
            ),
        )
        self._senders.forgotten = self._netconsole.forget

    def _ready(self) -> None:
        super()._ready()
        if self._timer is None:
            self._due()

    def datagram(self, sender: str, data: bytes) -> None:
        self._netconsole.datagram(sender, data, self._loop.now)
        if self._netconsole.malformed:
            self._streams.malformed[self._name] += self._netconsole.malformed
            self._netconsole.malformed = 0

    def _due(self) -> None:
        self._timer = None
        if self._netconsole.due(self._loop.now):
            self._timer = self._loop.after(PATIENCE / 2, self._due)


class SyslogTcp(Listener):
    protocol = "syslog-tcp"
    kind = socket.SOCK_STREAM

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self._socket.listen(128)
        # By descriptor; those heard last are last.
        self._connections: dict[int, tuple[socket.socket, str, Frames]] = {}

    def close(self) -> None:
        super().close()
        for connection, *_ in self._connections.values():
            connection.close()

    def drain(self) -> None:
        """Told to stop: what was sent and acknowledged by this machine is read."""
        for fd in list(self._connections):
            until = self._loop.clock() + DRAINING
            while fd in self._connections and self._loop.clock() < until:
                if not self._read(fd):
                    break
        for _, sender, frames in self._connections.values():
            self._feed(sender, frames, list(frames.rest()))

    def _ready(self) -> None:
        try:
            connection, peer = self._socket.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                # It stays readable, and would be tried again at once.
                self._streams.complain(f"{self._name}: {error.strerror}; no more connections now")
                self._loop.forget(self._socket.fileno())
                self._loop.after(
                    PAUSE, lambda: self._loop.on_readable(self._socket.fileno(), self._ready)
                )
            return
        if len(self._connections) >= CONNECTIONS:
            # A machine that has crashed closes nothing: the one silent the longest makes room.
            self._streams.malformed[self._name] += 1
            self._left(next(iter(self._connections)))
        connection.setblocking(False)
        _keep_alive(connection)
        fd = connection.fileno()
        self._connections[fd] = connection, _sender(peer), Frames()
        self._loop.on_readable(fd, lambda: self._read(fd))

    def _read(self, fd: int) -> bool:
        """Whether there was anything."""
        known = self._connections.pop(fd)
        self._connections[fd] = known
        connection, sender, frames = known
        try:
            data = connection.recv(DATAGRAM)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._left(fd)
            return False
        self._feed(sender, frames, list(frames.feed(data)))
        return True

    def _feed(self, sender: str, frames: Frames, messages: list[bytes]) -> None:
        bad = sum(not is_message(message) for message in messages) + frames.malformed
        self._streams.malformed[self._name] += bad
        frames.malformed = 0
        if messages:
            self._senders.of(sender).feed(b"".join(map(as_lines, messages)))

    def _left(self, fd: int) -> None:
        connection, sender, frames = self._connections.pop(fd)
        self._loop.forget(fd)
        connection.close()
        self._feed(sender, frames, list(frames.rest()))


def _keep_alive(connection: socket.socket) -> None:
    """Ask after a peer that says nothing: after a crash or behind a firewall it never will."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEP_ALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
