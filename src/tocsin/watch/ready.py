"""Tell whoever started this program that it is watching now: sd_notify's protocol.

One datagram to the socket that systemd (`Type=notify`) names in the environment; nothing where
there is none.
"""

from __future__ import annotations

import contextlib
import os
import socket

__all__ = ["tell_starter"]


def tell_starter(state: str) -> None:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    if address[0] == "@":
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)
