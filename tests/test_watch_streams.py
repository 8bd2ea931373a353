"""When an incident is told: by a clock that the tests turn."""

import heapq
import itertools

import pytest

import tocsin
from tocsin.watch.loop import Timer
from tocsin.watch.streams import LONGEST, SETTLE, SHARE, STEP, Streams

IDLE = 2.0
OOPS = (
    b"[   50.000000] BUG: unable to handle page fault for address: ffffffffc0000000\n"
    b"[   50.000100] Oops: 0002 [#1] PREEMPT SMP NOPTI\n"
    b"[   50.000200] CPU: 0 PID: 412 Comm: cat Not tainted 6.1.0-18-amd64 #1\n"
    b"[   50.000300] RIP: 0010:some_function+0x16/0x20 [some_module]\n"
    b"[   50.000400] Call Trace:\n[   50.000500]  vfs_read+0x9f/0x1e0\n"
    b"[   50.000600] ---[ end trace 3e5ec8c7f7f6a4c9 ]---\n"
)
PANIC = b"[   50.100000] Kernel panic - not syncing: Fatal exception\n"
DISK = b"[   60.000000] I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x0 phys_seg 1\n"
OTHER = b"[   60.%06d] usb 1-1: new high-speed USB device number 2 using xhci_hcd\n"


class Turned:
    """A loop whose time passes when it is told to."""

    def __init__(self):
        self.now = 1000.0
        self.cost = 0.0  # of one look at the clock
        self.timers = []

    def clock(self):
        self.now += self.cost
        return self.now

    def at(self, when, call):
        timer = Timer(when, call)
        heapq.heappush(self.timers, (when, id(timer), timer))
        return timer

    def run(self, seconds):
        end = self.now + seconds
        while self.timers and self.timers[0][0] <= end:
            when, _, timer = heapq.heappop(self.timers)
            if timer.call is not None:
                self.now = max(self.now, when)
                timer.call()
        self.now = max(self.now, end)


@pytest.fixture(name="told")
def _told():
    return []


@pytest.fixture(name="loop")
def _loop():
    return Turned()


@pytest.fixture(name="stream")
def _stream(loop, told, builtin):
    def report(alarm):
        told.append((loop.now, alarm))

    return Streams(loop, builtin, report, idle=IDLE, version="1").open("vm")


def chatter(loop, stream, seconds, told=()):
    """Other lines, one every 5 ms, until something is told."""
    count = len(told)
    for number in range(int(seconds / 0.005)):
        stream.feed(OTHER % number)
        loop.run(0.005)
        if len(told) > count:
            return


@pytest.mark.parametrize("report", [DISK, OOPS])
@pytest.mark.parametrize("busy", [False, True])
def test_what_is_complete_is_told_when_it_has_settled(loop, stream, told, report, busy):
    stream.feed(report)
    began = loop.now
    if busy:
        chatter(loop, stream, 1, told)
    else:
        loop.run(IDLE / 2)
    [(when, alarm)] = told
    assert SETTLE - 0.001 < when - began < SETTLE + STEP + 0.001
    assert alarm.incident.lines == tuple(report.splitlines())
    loop.run(2 * IDLE)
    assert len(told) == 1


def test_what_follows_at_once_is_the_same_story(loop, stream, told):
    stream.feed(OOPS)
    loop.run(SETTLE * 0.8)
    stream.feed(PANIC)
    loop.run(2 * IDLE)
    [(_, alarm)] = told
    assert alarm.severity == tocsin.Severity.EMERG


def test_what_became_worse_after_it_was_told_is_told_again_and_to_people(loop, stream, told):
    stream.feed(OOPS)
    loop.run(SETTLE * 2)
    stream.feed(PANIC)
    loop.run(2 * IDLE)
    (_, first), (_, second) = told
    assert first.severity > second.severity == tocsin.Severity.EMERG
    assert (second.kind, second.pages) == ("tocsin.revised", True)
    assert second.wire["attributes"]["tocsin.revises"] == first.uid
    assert second.wire["attributes"]["tocsin.severity.before"] == first.wire["severity_text"]


def test_an_unfinished_line_and_a_cut_report_wait_for_silence(loop, stream, told):
    stream.feed(OOPS[: OOPS.rindex(b"[ end")])
    began = loop.now
    loop.run(IDLE / 2)
    stream.feed(b"[ end")
    loop.run(IDLE * 0.9)
    assert not told
    loop.run(IDLE)
    [(when, _)] = told
    assert when - began == pytest.approx(IDLE * 1.5, abs=0.01)


def test_repeats_are_told_once_and_then_counted(loop, stream, told):
    for _ in range(20):
        stream.feed(DISK)
        loop.run(0.02)
    loop.run(2 * IDLE)
    (_, first), (_, last) = told
    assert first.incident.count < 20
    assert last.wire["attributes"]["tocsin.count"] == 20
    assert not last.pages  # more of it, and no worse


def test_looks_take_no_more_than_their_share(loop, stream, told):
    looks = []
    look = type(stream)._look

    class Counted(type(stream)):
        __slots__ = ()

        def _look(self, scanner, settled):
            looks.append(loop.now)
            look(self, scanner, settled)

    stream.__class__ = Counted
    stream.feed(DISK)
    loop.cost = 0.005  # a slow machine: a look takes that much
    chatter(loop, stream, 2)
    assert told
    gaps = [b - a for a, b in itertools.pairwise(looks)]
    assert min(gaps) >= min(LONGEST, loop.cost / SHARE) - 0.01
    assert max(gaps) <= LONGEST + SETTLE + 0.03
