"""What the tests of live watching share: the program in the background, and what it tells."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.cli_program import CLEAN_ENVIRONMENT, PROGRAM

PATIENCE = 20.0


def until(true, patience=PATIENCE):
    """Wait for `true()`; a test that waits for ever says nothing."""
    deadline = time.monotonic() + patience
    while True:
        value = true()
        if value:
            return value
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.01)


def wires(path):
    """The whole JSON lines of a file."""
    lines = Path(path).read_bytes().split(b"\n")[:-1] if Path(path).exists() else []
    return [json.loads(line) for line in lines]


class Background:
    """`tocsin ARGUMENTS` with its JSON lines appended to `out`."""

    command = PROGRAM

    def __init__(
        self, out, *arguments, stdin=subprocess.DEVNULL, ready=True, path=None, enter=()
    ):
        """`enter`: what to put before the command; it has to become it."""
        self.out = Path(out)
        self.errors = self.out.with_suffix(".err")
        told = self.out.with_suffix(".ready")
        told.unlink(missing_ok=True)
        with (
            open(self.out, "ab") as output,
            open(self.errors, "ab") as errors,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified,
        ):
            notified.bind(str(told))
            self.process = subprocess.Popen(
                [*enter, *PROGRAM, *map(str, arguments)],
                stdin=stdin,
                stdout=output,
                stderr=errors,
                env={**CLEAN_ENVIRONMENT, "NOTIFY_SOCKET": str(told), **_first(path)},
            )
            if ready:
                notified.settimeout(0.05)
                deadline = time.monotonic() + PATIENCE
                while True:
                    with contextlib.suppress(TimeoutError):
                        assert notified.recv(64) == b"READY=1"
                        break
                    assert self.process.poll() is None, self.stderr
                    assert time.monotonic() < deadline, "not ready in time"

    @property
    def wires(self):
        return wires(self.out)

    @property
    def incidents(self):
        return [w for w in self.wires if w["schema"] == "urn:tocsin:incident:1"]

    @property
    def bodies(self):
        return [wire["body"] for wire in self.incidents]

    @property
    def gaps(self):
        return [w for w in self.wires if w["event_name"] == "tocsin.gap"]

    @property
    def stderr(self):
        return self.errors.read_text()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)


def _first(path):
    """Modules of `path` before all others."""
    before = CLEAN_ENVIRONMENT.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(path), before)))} if path else {}


def oom(number, victim="mysqld"):
    text = f"Out of memory: Killed process {number} ({victim}{number})"
    return f"[{number:5d}.500000] {text}\n".encode()


def disk(device):
    return f"[   99.000000] I/O error, dev {device}, sector 2048 op 0x0:(READ)\n".encode()


def append(path, data):
    with open(path, "ab", buffering=0) as file:
        file.write(data)


def told(program, count):
    """The last words of the titles, when there are so many of them."""
    until(lambda: len(program.incidents) >= count)
    return [body.rpartition(" ")[2] for body in program.bodies]


def free_port(kind):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


__all__ = ["Background", "append", "disk", "free_port", "oom", "told", "until", "wires"]
