"""One guest under QEMU: its console on a unix socket, its strings (QMP) on another.

Software emulation, no network, no root. Nothing here knows what a console says.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import subprocess
import time
from pathlib import Path

QEMU = "qemu-system-x86_64"
CHUNK = 1 << 16
STARTUP = 20.0  # seconds until QEMU must have made its sockets


class Guest:
    """A running guest. A context manager: at the end it is killed if it still lives."""

    def __init__(
        self, folder: Path, image: Path, initrd: Path, command_line: str, arguments: list[str]
    ) -> None:
        console, control = folder / "console", folder / "control"
        self.errors = folder / "qemu-errors"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    QEMU, "-accel", "tcg", "-nodefaults", "-display", "none",
                    "-kernel", str(image), "-initrd", str(initrd), "-append", command_line,
                    # The guest waits for its listener: no byte is lost.
                    "-serial", f"unix:{console},server=on,wait=on",
                    "-qmp", f"unix:{control},server=on,wait=off",
                    *arguments,
                ],
                stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip
        try:
            self.console = self._connect(console)
            self.control = self._connect(control)
            self._answers = self.control.makefile("rb")
            self._answers.readline()  # its greeting
            self.tell({"execute": "qmp_capabilities"})
        except BaseException:
            self.end()
            raise

    def _connect(self, path: Path) -> socket.socket:
        limit = time.monotonic() + STARTUP
        while True:
            peer = socket.socket(socket.AF_UNIX)
            try:
                peer.connect(str(path))
            except OSError:
                peer.close()
                if self.process.poll() is not None or time.monotonic() > limit:
                    said = self.errors.read_text(errors="replace").strip()
                    raise RuntimeError(f"{QEMU} did not start: {said}") from None
                time.sleep(0.02)
            else:
                return peer

    def tell(self, command: dict[str, object]) -> object:
        """Send one QMP command; its answer. Events in between are passed over."""
        self.control.sendall(json.dumps(command).encode() + b"\n")
        for line in self._answers:
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        return None

    def type(self, text: bytes) -> None:
        """Type on the console; a guest that has just died of something reads no more."""
        with contextlib.suppress(OSError):
            self.console.sendall(text)

    def read(self, seconds: float) -> bytes | None:
        """What the console says within this time: b"" for nothing, None when the guest is gone."""
        ready, _, _ = select.select([self.console], [], [], max(0.0, seconds))
        if not ready:
            return b""
        try:
            return self.console.recv(CHUNK) or None
        except ConnectionResetError:
            return None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for peer in (getattr(self, "console", None), getattr(self, "control", None)):
            if peer is not None:
                with contextlib.suppress(OSError):
                    peer.close()

    def __enter__(self) -> Guest:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()
