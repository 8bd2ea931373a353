"""A journald of our own: in a mount namespace with its own /run, so that it knows nothing of this
machine's journal and this machine nothing of it.

Its /dev/kmsg is a pipe that keeps records apart, as the kernel's does: what is written there comes
out of the journal with the transport "kernel".
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import peers
from tests.watch_program import until

SCRIPT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/own /run/lock /run/systemd/journal /run/systemd/journald.conf.d /run/log/journal
cp "$1" /run/systemd/journald.conf.d/own.conf
echo 0123456789abcdef0123456789abcdef >/run/own/machine-id
mount --bind /run/own/machine-id /etc/machine-id
mkfifo -m 600 /run/own/kmsg
mount --bind /run/own/kmsg /dev/kmsg
[ ! -d /var/log/journal ] || mount -t tmpfs tmpfs /var/log/journal
echo ready
exec cat
"""
# Small files, and room for few: it rotates by itself. `Audit=` leaves the kernel's as it is.
CONFIGURATION = """[Journal]
Storage=volatile
RuntimeMaxUse=8M
RuntimeMaxFileSize=1M
RateLimitIntervalSec=0
ForwardToSyslog=no
ForwardToConsole=no
ForwardToWall=no
ForwardToKMsg=no
ReadKMsg=yes
Audit=
"""
UNSHARE = ["unshare", "--mount", "--net"]


class Journald:
    def __init__(self, folder):
        program = peers.program("systemd-journald")
        peers.program("journalctl")
        peers.program("systemd-cat")
        if subprocess.run([*UNSHARE, "true"], check=False, capture_output=True).returncode:
            # That is not what ci/setup could mend: most containers have no CAP_SYS_ADMIN, and nor
            # has who is not root. So it is no failure in CI either, but the summary says it.
            pytest.skip(f"{peers.NOT_TESTED}a running journald: no mount namespace allowed (root?)")
        self._configuration = Path(folder, "journald.conf")
        self._configuration.write_text(CONFIGURATION)
        self._holder = subprocess.Popen(
            [*UNSHARE, "sh", "-c", SCRIPT, "sh", self._configuration],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self._program = program
        self._process = None
        self._records = 0
        try:
            assert self._holder.stdout.readline() == b"ready\n"
            # Ours stays open, so that the pipe never ends.
            self._kmsg = os.open(self._inside("/run/own/kmsg"), os.O_RDWR)
            fcntl.fcntl(self._kmsg, fcntl.F_SETFL, os.O_DIRECT)
            self.start()
        except BaseException:
            self.close()
            raise

    @property
    def enter(self):
        """What to put before a command to run it there."""
        return [
            "nsenter", f"--target={self._holder.pid}", "--mount", "--net",
            f"--wd={os.getcwd()}",
        ]  # fmt: skip

    def _inside(self, path):
        return f"/proc/{self._holder.pid}/root{path}"

    def start(self):
        self._process = subprocess.Popen(
            # Else it logs to /dev/kmsg, and what it writes there lies between the records.
            [*self.enter, "setpriv", "--pdeathsig", "KILL", self._program],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "SYSTEMD_LOG_TARGET": "null"},
        )  # fmt: skip
        # It answers when it has read the journal it found.
        until(lambda: self.run("journalctl", "--sync").returncode == 0)

    def kill(self):
        self._process.kill()
        self._process.wait()

    def signal(self, number):
        self._process.send_signal(number)

    def run(self, *command, stdin=b"", check=False):
        return subprocess.run(
            [*self.enter, *command], input=stdin, capture_output=True, check=check, timeout=30
        )

    def say(self, text, identifier="test", priority=3):
        """Through the socket of standard output, many lines if they are."""
        self.run(
            "systemd-cat", f"--identifier={identifier}", f"--priority={priority}",
            "cat", stdin=text, check=True,
        )  # fmt: skip

    def kernel(self, text, priority=3):
        """A record of the kernel."""
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        os.write(self._kmsg, b"%d,%d,%d,-;%s\n" % (priority, self._records, usec, text))
        self._records += 1

    def lose(self, records):
        """What the kernel overwrote before journald read it."""
        self._records += records

    def files(self):
        return sorted(os.listdir(self._inside("/run/log/journal/0123456789abcdef0123456789abcdef")))

    def close(self):
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.send_signal(signal.SIGCONT)
            self.kill()
        self._holder.stdin.close()
        self._holder.wait(20)
        self._holder.stdout.close()
        with contextlib.suppress(AttributeError):
            os.close(self._kmsg)


@pytest.fixture(name="journald")
def journald_fixture(tmp_path):
    running = Journald(tmp_path)
    yield running
    running.close()
