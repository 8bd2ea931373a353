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
SENDERS = 10000
CONNECTIONS = 1000
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
    found = socket.getaddrinfo(
        address[0] or None, address[1], type=kind, flags=socket.AI_PASSIVE
    )
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
            try:
                data, peer = self._socket.recvfrom(DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of a datagram of somebody else's
            self.datagram(_sender(peer), data)

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
        self._connections: dict[int, tuple[socket.socket, str, Frames]] = {}

    def close(self) -> None:
        super().close()
        for connection, *_ in self._connections.values():
            connection.close()

    def _ready(self) -> None:
        try:
            connection, peer = self._socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._streams.complain(f"{self._name}: {error.strerror}")
            return
        if len(self._connections) >= CONNECTIONS:
            self._streams.malformed[self._name] += 1
            connection.close()
            return
        connection.setblocking(False)
        fd = connection.fileno()
        self._connections[fd] = connection, _sender(peer), Frames()
        self._loop.on_readable(fd, lambda: self._read(fd))

    def _read(self, fd: int) -> None:
        connection, sender, frames = self._connections[fd]
        try:
            data = connection.recv(DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        stream = self._senders.of(sender)
        before = frames.malformed
        messages = list(frames.feed(data)) if data else list(frames.rest())
        bad = sum(not is_message(message) for message in messages)
        self._streams.malformed[self._name] += bad + frames.malformed - before
        if messages:
            stream.feed(b"".join(map(as_lines, messages)))
        if not data:
            self._loop.forget(fd)
            connection.close()
            del self._connections[fd]
