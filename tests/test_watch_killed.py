"""kill -9 at random instants under load, and what is told afterwards: everything, once.

The load grows, is rotated by rename, and never waits for the program; each run is killed at some
moment between its start and a second later. The ids told by all runs together must be those of
one run that nobody killed.
"""

import os
import random
import threading
import time

from tests.cli_program import QUIET
from tests.watch_program import Background, append, disk, oom, until

KILLS = int(os.environ.get("TOCSIN_KILLS", "12"))


class Load(threading.Thread):
    """Writes numbered incidents between quiet lines into some files until told to stop."""

    def __init__(self, directory, seed):
        super().__init__(daemon=True)
        self.directory = directory
        self.random = random.Random(seed)
        self.stopping = threading.Event()
        self.written = dict.fromkeys(("a.log", "b.log", "c.log"), b"")
        self.rotations = 0

    def run(self):
        number = 0
        while not self.stopping.is_set():
            name = self.random.choice(sorted(self.written))
            data = QUIET * self.random.randrange(20)
            for _ in range(self.random.randrange(4)):
                number += 1
                data += oom(number) if number % 2 else disk(f"sd{number}")
            # Cut anywhere: a write need not end with a line.
            cut = self.random.randrange(len(data) + 1)
            for piece in (data[:cut], data[cut:]):
                append(self.directory / name, piece)
                time.sleep(self.random.random() * 0.004)
            self.written[name] += data
            if self.random.random() < 0.01:
                self.rotations += 1
                (self.directory / name).rename(self.directory / f"{name}.{self.rotations:05d}")
                append(self.directory / name, b"")


def ids(incidents):
    return sorted(
        (w["attributes"]["log.file.path"], w["attributes"]["tocsin.offset.start"], w["body"])
        for w in incidents
    )


def test_killed_again_and_again(tmp_path, rules):
    logs = tmp_path / "logs"
    logs.mkdir()
    for name in ("a.log", "b.log", "c.log"):
        append(logs / name, b"")
    arguments = [
        "watch", *rules, "--format", "jsonl", "--from", "start", "--idle", "5", "--state",
        tmp_path / "state", *(logs / name for name in ("a.log", "b.log", "c.log")),
    ]  # fmt: skip
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    load = Load(logs, seed)
    first = Background(tmp_path / "out", *arguments)  # what was rotated before it is not its
    load.start()
    time.sleep(0.1)
    first.kill()
    for _ in range(KILLS):
        program = Background(tmp_path / "out", *arguments, ready=False)
        time.sleep(0.2 + chance.random() * 1.3)
        program.kill()
    load.stopping.set()
    load.join()
    whole = tmp_path / "whole"
    whole.mkdir()
    for name, data in load.written.items():
        append(whole / name, data)
    sure = Background(
        tmp_path / "sure", "scan", *rules, "--format", "jsonl", *sorted(whole.iterdir()),
        ready=False,
    )  # fmt: skip
    sure.process.wait()
    expected = [
        (str(logs / os.path.basename(path)), start, body)
        for path, start, body in ids(sure.incidents)
    ]
    last = Background(tmp_path / "out", *arguments)
    assert len(expected) > 50
    until(lambda: len(last.incidents) >= len(expected))
    time.sleep(0.5)
    assert ids(last.incidents) == expected
    assert last.gaps == []
    assert load.rotations
    uids = [w["attributes"]["log.record.uid"] for w in last.incidents]
    assert len(uids) == len(set(uids))
    assert last.stop() == 0
