"""`tocsin watch` on very many files of which few grow: CPU of one core, and memory.

    PYTHONPATH=src python bench/watch_files.py [FILES] [GROWING] [SECONDS]
"""

import os
import resource
import subprocess
import sys
import tempfile
import time

LINE = b"[   12.345678] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n"


def cpu(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid, key):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))


def main():
    given = [int(word) for word in sys.argv[1:]]
    files, growing, seconds = given + [10000, 100, 20][len(given) :]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))  # as a login has it
    for options in ([], ["--poll"]):
        with tempfile.TemporaryDirectory() as directory:
            for number in range(files):
                with open(f"{directory}/vm{number}.log", "wb") as file:
                    file.write(LINE * 20)
            program = subprocess.Popen(
                [sys.executable, "-m", "tocsin", "watch", *options, f"{directory}/*.log",
                 "--prometheus-file", f"{directory}/prom"],
            )  # fmt: skip
            time.sleep(15)
            for label, some in (("quiet", 0), (f"{growing} growing each second", growing)):
                began, used = time.monotonic(), cpu(program.pid)
                end = began + seconds
                while time.monotonic() < end:
                    for number in range(some):
                        with open(f"{directory}/vm{number * 7 % files}.log", "ab") as file:
                            file.write(LINE)
                        time.sleep(1 / some)
                    if not some:
                        time.sleep(1)
                share = (cpu(program.pid) - used) / (time.monotonic() - began)
                print(
                    f"{files} files, {label}{' (--poll)' if options else ''}: "
                    f"{share * 100:.2f} % of a core, {memory(program.pid, 'VmRSS'):.0f} MiB",
                    flush=True,
                )
            program.terminate()
            program.wait()
            with open(f"{directory}/prom") as file:
                counts = dict(x.rsplit(" ", 1) for x in file if not x.startswith("#"))
            assert int(counts["tocsin_streams"]) == files, "not every file is followed"
            assert int(counts["tocsin_scanned_bytes_total"]) >= seconds * growing * len(LINE) * 0.8


if __name__ == "__main__":
    main()
