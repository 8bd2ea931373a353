"""Alarms into syslog: RFC 5424 to the local socket or over the network.

tocsin's own messages must not come back to it as kernel messages: they are of facility `daemon`
and begin with their title, behind a header of their own.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tocsin.sinks.printable import printable
from tocsin.watch.alarms import Alarm

__all__ = ["LOCAL", "Syslog"]

LOCAL = "/dev/log"
FACILITY = 3  # daemon
TIMEOUT = 10.0


class Syslog:
    most = 32
    pages = False
    ends_run = False

    def __init__(self, address: str | tuple[str, int], protocol: str = "local") -> None:
        """`protocol`: local (a datagram socket's path), udp, or tcp (octet counting)."""
        self._address = address
        self._protocol = protocol
        self._socket: socket.socket | None = None
        self._host = os.uname().nodename or "-"

    def send(self, alarms: Sequence[Alarm]) -> None:
        try:
            if self._socket is not None and self._protocol == "tcp" and _is_closed(self._socket):
                self.close()
            if self._socket is None:
                self._socket = self._connected()
            if self._protocol == "tcp":
                frames = [self._message(alarm) for alarm in alarms]
                self._socket.sendall(b"".join(b"%d %s" % (len(one), one) for one in frames))
                return
            for alarm in alarms:
                self._socket.send(self._message(alarm))
        except BrokenPipeError as error:
            self.close()
            raise ConnectionError("the other end is gone") from error
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._protocol == "tcp":
            assert isinstance(self._address, tuple)
            return socket.create_connection(self._address, TIMEOUT)
        family: int = socket.AF_UNIX
        where: Any = self._address
        if isinstance(where, tuple):
            host, port = where
            family, _, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.settimeout(TIMEOUT)
        try:
            made.connect(where)
        except OSError:
            made.close()
            raise
        return made

    def _message(self, alarm: Alarm) -> bytes:
        when = datetime.fromtimestamp(alarm.observed, UTC).isoformat(timespec="microseconds")
        data = " ".join(
            f'{name}="{_quoted(value)}"'
            for name, value in (
                ("id", alarm.uid), ("kind", alarm.kind), ("source", printable(alarm.source)),
                ("requested", printable(alarm.requested)),
            )
            if value
        )  # fmt: skip
        # 32473 is the number that RFC 5612 keeps for examples; tocsin has none of its own.
        text = (
            f"<{FACILITY * 8 + alarm.severity}>1 {when} {self._host} tocsin {os.getpid()} "
            f"alarm [tocsin@32473 {data}] {printable(alarm.title)}"
        )
        return text.encode("utf-8", "backslashreplace")


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other end has closed it, as at a restart: the first message sent there then is
    lost without an error."""
    try:
        while select.select([connection], [], [], 0)[0]:
            if not connection.recv(4096):  # syslog has no answers; what comes is nothing to us
                return True
    except OSError:
        return True
    return False


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
