"""Records of other programs as lines of a console: kmsg, journal, netconsole, syslog."""

import random

import pytest

from tocsin.sources import export, kmsg, netconsole, syslog

# -- kmsg ------------------------------------------------------------------------------------


def test_a_kmsg_record_is_a_line_of_the_console():
    record = kmsg.parse(b"3,1234,5000017,-,caller=T12;I/O error, dev \\x1bsda\n DEVICE=b8:0\n")
    assert (record.priority, record.sequence, record.caller) == (3, 1234, b"T12")
    assert kmsg.as_line(record) == b"<3>[    5.000017][  T12] I/O error, dev \x1bsda\n"


def test_a_kmsg_record_of_several_lines_has_the_prefix_on_each():
    record = kmsg.parse(b"6,1,2000000,-;one\\x0atwo\n")
    assert kmsg.as_line(record) == b"<6>[    2.000000] one\n<6>[    2.000000] two\n"


@pytest.mark.parametrize("data", [b"", b"hello", b"6,1;x", b"a,b,c,d;x", b"6,1,2,-no semicolon"])
def test_what_is_no_kmsg_record(data):
    assert kmsg.parse(data) is None


# -- journal ---------------------------------------------------------------------------------

BINARY = b"bad \xff\x1b[31m\nbytes\x00="
JOURNAL = (
    b"__CURSOR=s=1;i=1\n__REALTIME_TIMESTAMP=1700000000123456\n_TRANSPORT=kernel\n"
    b"_SOURCE_MONOTONIC_TIMESTAMP=12500000\nPRIORITY=3\n_HOSTNAME=vm17\n"
    b"MESSAGE\n" + len(BINARY).to_bytes(8, "little") + BINARY + b"\n\n"
    b"__CURSOR=s=1;i=2\nMESSAGE=plain = text\nSYSLOG_IDENTIFIER=sshd\n_PID=7\n_HOSTNAME=vm17\n\n"
)


def test_journal_entries_are_exact_however_the_bytes_are_cut():
    whole = list(export.Entries().feed(JOURNAL))
    assert [entry[b"MESSAGE"] for entry in whole] == [BINARY, b"plain = text"]
    for size in (1, 2, 3, 7, 50):
        entries = export.Entries()
        out = []
        for at in range(0, len(JOURNAL), size):
            out += entries.feed(JOURNAL[at : at + size])
        assert out == whole
        assert entries.damaged == 0


def test_a_damaged_journal_entry_costs_only_itself():
    entries = export.Entries()
    broken = b"MESSAGE\n" + b"\xff" * 8 + b"x\n\n"
    out = list(entries.feed(broken + JOURNAL))
    assert [entry[b"MESSAGE"] for entry in out] == [BINARY, b"plain = text"]
    assert entries.damaged == 1


def test_journal_entries_as_lines():
    kernel, program = export.Entries().feed(JOURNAL)
    assert export.as_lines(kernel) == (
        b"<3>2023-11-14T22:13:20.123456+00:00 vm17 kernel: [   12.500000] bad \xff\x1b[31m\n"
        b"<3>2023-11-14T22:13:20.123456+00:00 vm17 kernel: [   12.500000] bytes\x00=\n"
    )
    assert export.as_lines(program) == b"vm17 sshd[7]: plain = text\n"


# -- netconsole ------------------------------------------------------------------------------


class Desk:
    def __init__(self):
        self.text = b""
        self.lost = 0
        self.console = netconsole.Netconsole(self.feed, self.gap)

    def feed(self, sender, data):
        self.text += data

    def gap(self, sender, lost):
        self.lost += lost

    def send(self, *datagrams, now=0.0):
        for datagram in datagrams:
            self.console.datagram("10.0.0.1", datagram, now)
        return self


def extended(number, text, usec=None):
    return b"6,%d,%d,-;%s\n" % (number, number * 1000 if usec is None else usec, text)


def line(number, text):
    return b"<6>[    0.%06d] %s\n" % (number * 1000, text)


def test_plain_netconsole_is_text():
    assert Desk().send(b"[    1.0] hello\n[    2", b".0] world\n").text == (
        b"[    1.0] hello\n[    2.0] world\n"
    )


@pytest.mark.parametrize("seed", range(20))
def test_netconsole_is_put_in_order_again(seed):
    chance = random.Random(seed)
    first = [extended(10, b"first")]
    datagrams = [extended(number, b"text %d" % number) for number in range(11, 60)]
    # Late by a few, and some twice.
    order = sorted(range(len(datagrams)), key=lambda i: i + chance.random() * 6)
    sent = [datagrams[i] for i in order for _ in range(chance.choice((1, 1, 2)))]
    desk = Desk().send(*first, *sent)
    expected = line(10, b"first") + b"".join(line(n, b"text %d" % n) for n in range(11, 60))
    assert desk.text == expected
    assert desk.lost == 0


def test_a_hole_is_waited_for_and_then_told():
    desk = Desk().send(extended(1, b"a"), extended(4, b"d"), extended(5, b"e"))
    assert desk.text == line(1, b"a")
    assert desk.console.due(0.05)
    assert desk.lost == 0
    assert not desk.console.due(1.0)
    assert desk.text == line(1, b"a") + line(4, b"d") + line(5, b"e")
    assert desk.lost == 2


def test_netconsole_fragments_in_any_order():
    body = b"a long text \\x1b of which each part comes alone\n SUBSYSTEM=x\n key=v\n"
    parts = [
        b"6,7,7000,-,ncfrag=%d/%d;" % (at, len(body)) + body[at : at + 20]
        for at in range(0, len(body), 20)
    ]
    for order in (parts, parts[::-1]):
        desk = Desk().send(*order)
        assert desk.text == line(7, b"a long text \x1b of which each part comes alone")


def test_a_fragment_that_never_comes_is_a_hole():
    desk = Desk().send(extended(1, b"a"), b"6,2,2000,-,ncfrag=0/90;half", extended(3, b"c"))
    desk.console.due(1.0)
    assert desk.text == line(1, b"a") + line(3, b"c")
    assert desk.lost == 1


def test_a_machine_that_boots_again_begins_anew():
    desk = Desk().send(extended(900, b"old", 90_000_000), extended(0, b"new", 0))
    desk.send(extended(1, b"newer", 1000))
    assert desk.text.endswith(b"new\n<6>[    0.001000] newer\n")


def test_a_release_in_front_of_the_record():
    assert Desk().send(b"6.13.0-rc1,6,1,1000,-;x\n").text == line(1, b"x")


# -- syslog ----------------------------------------------------------------------------------

FIRST = b"<34>1 2023-10-11T22:14:15.003Z vm17 su - - - one\ntwo"
SECOND = b"<13>Oct 11 22:14:15 vm17 kernel: 12 three"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_syslog_frames_by_count_and_by_line(size):
    data = b"%d %s%s\n%d %s" % (len(FIRST), FIRST, SECOND, len(SECOND), SECOND)
    frames = syslog.Frames()
    out = []
    for at in range(0, len(data), size):
        out += frames.feed(data[at : at + size])
    assert out == [FIRST, SECOND, SECOND]
    assert frames.malformed == 0


@pytest.mark.parametrize("size", [100, 70000, 1 << 20])
def test_an_over_long_message_is_cut_and_counted(size):
    long = b"<1>" + b"x" * 200_000
    data = b"%d %s" % (len(long), long) + long + b"\n" + SECOND + b"\n"
    frames = syslog.Frames()
    out = []
    for at in range(0, len(data), size):
        out += frames.feed(data[at : at + size])
    assert max(map(len, out)) == syslog.LONGEST
    assert out[0] == long[: syslog.LONGEST]
    assert out[-1] == SECOND
    assert frames.malformed == 2
