"""The same console through `tocsin watch`: the program as people run it, end to end.

QEMU's socket has one listener, the lab; what it hears it passes on through a socket of its own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PATIENCE = 20.0  # seconds for a program to start or end
REST = 3.0  # seconds for what is still on its way when the guest has ended


class Watched:
    """`tocsin watch` on a socket; `told` is what it said and when."""

    def __init__(self, folder: Path, idle: float) -> None:
        path = folder / "watched"
        self.told: list[tuple[float, dict[str, Any]]] = []
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(str(path))
            door.listen(1)
            door.settimeout(0.2)
            command = ["watch", "--format", "jsonl", "--idle", str(idle), f"unix:{path}"]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tocsin", *command], stdout=subprocess.PIPE
            )
            limit = time.monotonic() + PATIENCE
            while True:
                try:
                    self.peer, _ = door.accept()
                    break
                except TimeoutError:
                    if self.process.poll() is not None or time.monotonic() > limit:
                        self.process.kill()
                        raise RuntimeError("tocsin watch did not come to its socket") from None
        self.peer.setblocking(True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.told.append((time.monotonic(), json.loads(line)))

    def take(self, chunk: bytes) -> None:
        self.peer.sendall(chunk)

    def end(self, wanted: set[tuple[str, str]]) -> None:
        """No more is coming; `wanted` (kind and title) is waited for, but not for long."""
        self.peer.close()
        limit = time.monotonic() + REST
        while time.monotonic() < limit and not wanted <= {words(told) for _, told in self.told}:
            time.sleep(0.02)
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            with contextlib.suppress(OSError):
                self.process.kill()
            self._reader.join()


def words(alarm: dict[str, Any]) -> tuple[str, str]:
    return alarm["attributes"]["tocsin.kind"], alarm["body"]
