"""One ruleset for many scanners, one scanner for one thread at a time."""

import threading

import pytest

import tocsin
from tests.small import look, rules

LOG = b"[    1.000001] OOPS\n[    1.000002]  f+0x1/0x2\n[    1.000003] DOWN sda\n" * 400


def test_one_ruleset_many_scanners():
    expected = look(tocsin.scan(LOG, rules()))
    assert expected
    got = [None] * 8

    def work(n):
        scanner = tocsin.Scanner(rules())
        out = []
        for at in range(0, len(LOG), 9973 + n):
            out += scanner.feed(LOG[at : at + 9973 + n])
        got[n] = look(out + scanner.flush())

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(got))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * len(got)


USES = {
    "feed": lambda scanner: scanner.feed(b"x\n"),
    "flush": lambda scanner: scanner.flush(),
    "close": lambda scanner: scanner.close(),
    "dumps": lambda scanner: scanner.dumps(),
    "console": lambda scanner: scanner.console,
    "pending": lambda scanner: scanner.pending,
    "offset": lambda scanner: scanner.offset,
}


@pytest.mark.parametrize("name", USES)
def test_a_scanner_being_fed_refuses_another_thread(name):
    scanner = tocsin.Scanner(rules())
    big = (b"x" * 99 + b"\n") * 200_000 + b"OOPS\n" * 20_000
    refused = []
    for _ in range(20):
        feeding = threading.Event()

        def feed(feeding=feeding):
            feeding.set()
            scanner.feed(big)

        thread = threading.Thread(target=feed)
        thread.start()
        feeding.wait()
        while thread.is_alive() and not refused:
            try:
                USES[name](scanner)
            except RuntimeError as error:
                refused.append(str(error))
        thread.join()
        if refused:
            break
    assert refused
    assert "another thread" in refused[0]
