"""Compressed logs: recognised by content, read to the break and no further."""

import bz2
import gzip
import importlib.util
import lzma
import random

import pytest

from tocsin.sources import archive
from tocsin.sources.archive import ArchiveError, decompress, recognise

TEXT = b"".join(b"[%5d.000000] usb 1-1: line %d\n" % (n, n * n) for n in range(20_000))


def zstd():
    for name in ("compression.zstd", "backports.zstd"):
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            continue
        if found:
            return importlib.import_module(name)
    return None


PACKERS = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}
PACKERS["zstd"] = zstd().compress if zstd() else None
NO_ZSTD = pytest.mark.skipif(zstd() is None, reason='needs Python 3.14 or the extra "zstd"')
ALL = pytest.mark.parametrize(
    "name", ["gzip", "bzip2", "xz", pytest.param("zstd", marks=NO_ZSTD)]
)


def cut(data, size):
    return (data[at : at + size] for at in range(0, len(data), size))


def unpack(packed, size=1 << 16, piece=1 << 20):
    """What came out, and what stopped it."""
    out = []
    try:
        for chunk in decompress(cut(packed, size), recognise(packed[:8]), piece):
            assert 0 < len(chunk) <= piece
            out.append(chunk)
    except ArchiveError as error:
        return b"".join(out), str(error)
    return b"".join(out), None


@ALL
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_unpacks_whatever_the_cuts(name, size):
    text = TEXT[:20_000] if size == 1 else TEXT
    assert unpack(PACKERS[name](text), size) == (text, None)


@ALL
def test_is_recognised(name):
    assert recognise(PACKERS[name](b"x")[:6]).name == name
    assert recognise(PACKERS[name](b"")[:6]).name == name


@pytest.mark.parametrize("head", [b"", b"B", b"BZh", b"BZhello\n", b"[    0.0", b"\x1f", b"PK"])
def test_text_is_not_an_archive(head):
    assert recognise(head) is None


@ALL
@pytest.mark.parametrize("size", [1, 5000, 1 << 20])
def test_members_follow_one_another(name, size):
    pack = PACKERS[name]
    packed = pack(b"one\n") + pack(b"") + pack(b"two\n") + b"\0" * 600 + pack(b"three\n")
    assert unpack(packed, size) == (b"one\ntwo\nthree\n", None)


@ALL
def test_empty_member(name):
    assert unpack(PACKERS[name](b"")) == (b"", None)


@ALL
def test_zeros_after_the_end_are_padding(name):
    assert unpack(PACKERS[name](b"one\n") + bytes(4096), 100) == (b"one\n", None)


@ALL
def test_what_follows_the_end_is_said(name):
    text, error = unpack(PACKERS[name](TEXT) + b"and then some text that is longer than a header")
    assert text == TEXT
    assert error == f"broken {name} data: something else follows its end"


@ALL
def test_a_cut_archive_gives_its_head(name):
    # Text that packs badly, so that the head is worth something whatever the block size.
    text = random.Random(5).randbytes(3_000_000)
    packed = PACKERS[name](text)
    head, error = unpack(packed[: len(packed) * 2 // 3])
    assert error == f"broken {name} data: it ends too early"
    assert text.startswith(head)
    assert len(head) > 500_000


@ALL
def test_a_damaged_archive_says_so(name):
    packed = bytearray(PACKERS[name](TEXT))
    packed[len(packed) // 2] ^= 0xFF
    packed[-9] ^= 0xFF  # the check sum, for a codec that could live with the first
    _, error = unpack(bytes(packed))
    assert error.startswith(f"broken {name} data: ")


@ALL
def test_pieces_are_bounded_however_well_it_was_packed(name):
    zeros = bytes(8 << 20)
    assert unpack(PACKERS[name](zeros), piece=4096) == (zeros, None)


@pytest.mark.parametrize(
    ("head", "what"),
    [(b"PK\x03\x04", "zip"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"\x04\x22\x4d\x18", "lz4")],
)
def test_unknown_packers_are_refused_by_name(head, what):
    text, error = unpack(head + b"rest")
    assert text == b""
    assert what in error
    assert "unpack it first" in error


def test_without_zstd_the_extra_is_named(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    _, error = unpack(b"\x28\xb5\x2f\xfd....")
    assert 'tocsin[zstd]' in error


def test_xz_that_wants_too_much_memory_is_refused(monkeypatch):
    monkeypatch.setattr(archive, "XZ_MEMORY", 1 << 20)
    _, error = unpack(lzma.compress(TEXT, preset=9))
    assert error.startswith("broken xz data: Memory usage limit")
