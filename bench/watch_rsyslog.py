"""Confirmed lines a second: the real rsyslog with tocsin behind omprog, and with a child that
does nothing but say OK, which is what the peer itself can do.

    PYTHONPATH=src python bench/watch_rsyslog.py [LINES]
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONF = Path(__file__).parent.parent / "examples" / "rsyslog" / "omprog.conf"
OK = """
import os
os.write(1, b"OK\\n")
count = 0
while data := os.read(0, 1 << 18):
    count += data.count(b"\\n")
    os.write(1, b"OK\\n" * data.count(b"\\n"))
    if b"the last line" in data:
        open(DONE, "w").close()
"""


def run(directory, child, done, lines):
    (directory / "work").mkdir()
    (directory / "logs").mkdir()
    text = CONF.read_text()
    text = re.sub(r'binary="[^"]*"', f'binary="{child}"', text)
    text = text.replace("/var/lib/rsyslog", str(directory / "work"))
    text = text.replace("/var/consoles", str(directory / "logs"))
    conf = directory / "rsyslog.conf"
    conf.write_text(text)
    daemon = subprocess.Popen(["rsyslogd", "-n", "-f", conf, "-i", directory / "pid"])
    time.sleep(3)
    (directory / "new").write_bytes(lines)
    began = time.perf_counter()
    (directory / "new").rename(directory / "logs" / "vm17.log")
    while not done():
        time.sleep(0.02)
        if time.perf_counter() - began > 300:
            raise SystemExit("not done within 300 s")
    took = time.perf_counter() - began
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()
    return took


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    lines = b"".join(
        b"[%5d.%06d] usb 1-1: new device number %d using xhci_hcd\n" % (n // 1000, n, n)
        for n in range(count - 1)
    )
    lines += b"[99999.000000] EXT4-fs error (device sda1): the last line\n"
    environment = f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        script = directory / "ok.py"
        done = directory / "done"
        script.write_text(OK.replace("DONE", repr(str(done))))
        took = run(directory, f"{sys.executable} {script}", done.exists, lines)
        print(f"a child that says OK: {count / took:.0f} lines/s", flush=True)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        out = directory / "out"
        start = directory / "tocsin"
        start.write_text(
            f"#!/bin/sh\ncd {os.getcwd()}\n{environment} exec {sys.executable} -m tocsin "
            f"adapter rsyslog --state {directory}/state --output {out}\n"
        )
        start.chmod(0o755)

        def told():
            return out.exists() and b"the last line" in out.read_bytes()

        print(f"tocsin: {count / run(directory, start, told, lines):.0f} lines/s")


if __name__ == "__main__":
    main()
