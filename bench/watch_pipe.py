"""Quiet text through a pipe into `tocsin watch -`: bytes a second.

    PYTHONPATH=src python bench/watch_pipe.py [MEBIBYTES]
"""

import os
import subprocess
import sys
import tempfile
import time

LINE = b"[%5d.%06d] usb 1-%d: new high-speed USB device number %d using xhci_hcd\n"


def main():
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 1024) << 20
    block = b"".join(LINE % (n // 100, n, n % 9, n) for n in range(16000))[: 1 << 20]
    block = block[: block.rindex(b"\n") + 1]
    for state in (False, True):
        with tempfile.TemporaryDirectory() as directory:
            options = ["--state", directory] if state else []
            read, write = os.pipe()
            program = subprocess.Popen(
                [sys.executable, "-m", "tocsin", "watch", "--format", "jsonl", *options, "-"],
                stdin=read,
                stdout=subprocess.PIPE,
            )
            os.close(read)
            time.sleep(2)
            began = time.perf_counter()
            sent = 0
            while sent < size:
                sent += os.write(write, block)
            os.close(write)
            out = program.stdout.read()
            code = program.wait()
            took = time.perf_counter() - began
            assert (code, out) == (0, b""), (code, out[:200])
            print(
                f"{sent / took / 1e6:.0f} MB/s from a pipe{' with --state' if state else ''} "
                f"({sent >> 20} MiB in {took:.2f} s, its start and end included)"
            )


if __name__ == "__main__":
    main()
