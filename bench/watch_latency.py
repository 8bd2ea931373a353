"""From the last byte of a report to the sink: how long?

Appends reports to a file under `tocsin watch` and takes the time until the JSON line can be read
from its standard output: for a report with an end (told before anything else follows), for one
amid other lines, one every 8 ms, that do not end, and for one that is cut off (told after --idle).

    PYTHONPATH=src python bench/watch_latency.py [COUNT]
"""

import json
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time

IDLE = 1.0
PANIC = (
    "[ {n}.000000] Kernel panic - not syncing: Fatal exception {n}\n"
    "[ {n}.000001] CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.0-18-amd64 #1\n"
    "[ {n}.000002] Call Trace:\n[ {n}.000003]  dump_stack_lvl+0x44/0x5c\n"
    "[ {n}.000004]  panic+0x118/0x2ed\n"
)
END = "[ {n}.000005] ---[ end Kernel panic - not syncing: Fatal exception {n} ]---\n"
LINE = "[ {n}.000000] I/O error, dev sd{n}, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1\n"
OTHER = "[ {n}.000009] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n"
PAUSE = 0.008
CASES = {"end seen": PANIC + END, "one line": LINE, "busy": LINE, "cut off": PANIC}


def waited(out, log, text, number, busy):
    data = text.format(n=number).encode()
    began = time.perf_counter()
    os.write(log, data)
    deadline = began + 10
    buffer = b""
    while time.perf_counter() < deadline:
        if busy and not select.select([out], [], [], PAUSE)[0]:
            os.write(log, OTHER.format(n=number).encode())
        elif select.select([out], [], [], 0.5)[0]:
            buffer += os.read(out, 1 << 20)
            if b"\n" in buffer:
                wire = json.loads(buffer.split(b"\n")[0])
                assert wire["schema"] == "urn:tocsin:incident:1", wire
                return time.perf_counter() - began
    raise SystemExit("no alarm within 10 s")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    for state in (False, True):
        for name, text in CASES.items():
            times = []
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "console.log")
                log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
                command = [
                    sys.executable, "-m", "tocsin", "watch", "--format", "jsonl", "--idle",
                    str(IDLE), path,
                ]  # fmt: skip
                if state:
                    command += ["--state", os.path.join(directory, "state")]
                program = subprocess.Popen(command, stdout=subprocess.PIPE)
                out = program.stdout.fileno()
                time.sleep(3)
                for number in range(count):
                    times.append(waited(out, log, text, number, name == "busy"))
                    # A boot: whatever was open is closed, so that each report stands alone.
                    time.sleep(IDLE + 0.3)
                    while select.select([out], [], [], 0)[0]:
                        os.read(out, 1 << 20)
                program.kill()
                program.wait()
                os.close(log)
            times = [t * 1000 for t in times]
            print(
                f"{name:9} {'with' if state else 'without'} --state: median "
                f"{statistics.median(times):7.1f} ms, worst {max(times):7.1f} ms of {count}"
                f"{f' (--idle {IDLE * 1000:.0f} ms)' if name == 'cut off' else ''}",
                flush=True,
            )


if __name__ == "__main__":
    main()
