"""Line numbers: right, or absent."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.sources import numbering
from tocsin.sources.numbering import RereadNumbering, StreamNumbering


def oracle(data, offset):
    return 1 + data[:offset].count(b"\n")


def some_log(size, seed=3):
    random_ = random.Random(seed)
    return b"".join(b"x" * random_.randrange(90) + b"\n" for _ in range(size // 45))


def reread(data):
    return RereadNumbering(lambda offset, size: data[offset : offset + size])


def test_reread_answers_in_any_order():
    data = some_log(3 << 20)
    lines = reread(data)
    offsets = random.Random(1).sample(range(len(data)), 300)
    assert [lines.line_at(at) for at in offsets] == [oracle(data, at) for at in offsets]


@pytest.mark.parametrize("offset", [0, 1, 4095, 4096, 4097, 8191, 8192])
def test_reread_at_the_edges_of_strides(offset):
    data = b"\n" * 8193
    assert reread(data).line_at(offset) == offset + 1


def test_reread_reads_nothing_until_asked():
    def never(offset, size):
        raise AssertionError

    lines = RereadNumbering(never)
    lines.feed(b"one\ntwo\n")


def test_reread_of_a_file_that_shrank_is_unknown():
    lines = reread(b"one\n" * 3000)
    assert lines.line_at(11_999) == 3000
    assert lines.line_at(12_001) is None
    assert lines.line_at(1 << 30) is None


def test_reread_marks_are_bounded(monkeypatch):
    monkeypatch.setattr(numbering, "MARKS", 8)
    data = some_log(1 << 20)
    lines = reread(data)
    for at in (100, 50_000, 33_000, len(data) - 1, 7, 500_001, 4096):
        assert lines.line_at(at) == oracle(data, at)
        assert len(lines._marks) <= 9


@given(st.lists(st.sampled_from([b"\n", b"a", b"bb\n", b"\r\n", b"ccc"])), st.integers(1, 12))
def test_stream_is_right_or_says_nothing(pieces, window):
    lines = StreamNumbering(window)
    data = b""
    for piece in pieces:
        lines.feed(piece)
        data += piece
        for at in range(len(data)):
            assert lines.line_at(at) in (oracle(data, at), None)
        for at in range(max(0, len(data) - window), len(data)):
            assert lines.line_at(at) == oracle(data, at)
    assert lines.line_at(len(data)) is None


def test_stream_holds_a_bounded_window():
    lines = StreamNumbering(100_000)
    for _ in range(1000):
        lines.feed(b"y" * 9999 + b"\n")
    assert sum(len(chunk) for _, _, chunk in lines._held) < 120_000
    assert lines.line_at(0) is None
    assert lines.line_at(9_999_999) == 1000
