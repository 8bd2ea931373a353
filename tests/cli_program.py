"""What the tests of the command line share: rules of their own, logs for them, and a runner.

Rules of their own, because the built-in ones grow; these tests are of the program around them.
"""

import os
import subprocess
import sys

RULES = r'''
schema = 1

[[rule]]
id = "t.oom"
kind = "memory.oom"
severity = "crit"
title = "Out of memory: killed {victim}"
signature = ["victim"]
meaning = "The kernel ran out of memory and killed a program."
advice = ["Look at the table of tasks.", "Give the machine more memory."]
[rule.start]
literal = ["Out of memory: Killed process "]
match = 'Killed process (?P<pid>\d+) \((?P<victim>[^)]*)\)'
[[rule.example]]
log = """[    1.0] Out of memory: Killed process 412 (mysqld) total-vm:1kB
"""
title = "Out of memory: killed mysqld"
fields = { pid = 412 }
[[rule.counterexample]]
log = """[    1.0] Memory cgroup stats for /a
"""
why = "Says nothing of a kill."

[[rule]]
id = "t.disk"
kind = "storage.block"
severity = "err"
title = "I/O error on {device}"
signature = ["device"]
meaning = "The disc could not do what it was asked."
advice = ["`smartctl -a /dev/{device}`"]
[rule.start]
literal = ["I/O error, dev "]
match = 'I/O error, dev (?P<device>\w+), sector (?P<sector>\d+)'
[[rule.example]]
log = """[    1.0] I/O error, dev sda, sector 5 op 0x0
"""
title = "I/O error on sda"
[[rule.counterexample]]
log = """[    1.0] sda: no error
"""

[[rule]]
id = "t.clock"
kind = "virt.clock"
severity = "warning"
title = "The clock went back"
signature = []
meaning = "Time is not to be trusted."
advice = ["Check chrony."]
[rule.start]
literal = ["clocksource: went back"]
[[rule.example]]
log = """[    1.0] clocksource: went back
"""
title = "The clock went back"
[[rule.counterexample]]
log = """[    1.0] clocksource: tsc
"""

[[rule]]
id = "t.noise"
noise = true
reason = "Knocks at the door."
[rule.start]
literal = ["IN=eth0 OUT="]
[[rule.example]]
log = """[    1.0] IN=eth0 OUT= Out of memory: Killed process 1 (x)
"""
[[rule.counterexample]]
log = """[    1.0] Out of memory: Killed process 1 (x)
"""
title = "Out of memory: killed x"
'''

QUIET = b"[    0.000000] Linux version 6.1.0\n[    1.000000] usb 1-1: new device\n"
OOM = b"[   12.500000] Out of memory: Killed process 412 (mysqld) total-vm:1kB\n"
DISK = b"[   99.000000] I/O error, dev sdb, sector 2048 op 0x0:(READ)\n"
CLOCK = b"[  200.000000] clocksource: went back\n"
LOGIN = b"\nDebian GNU/Linux 12 vm17 ttyS0\n\nvm17 login: "

CLEAN_ENVIRONMENT = {
    key: value
    for key, value in os.environ.items()
    if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"}
}
PROGRAM = [sys.executable, "-m", "tocsin.cli.main"]


def run(*arguments, stdin=b"", **environment):
    """The finished program; text as it would reach a terminal."""
    done = subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**CLEAN_ENVIRONMENT, **environment},
        timeout=300,
        check=False,
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    return done
