"""Compressed logs, recognised by their first bytes.

Names lie (`kern.log.1` may be gzip, `console.gz` may be plain text), so only content is asked.
Everything decompressed before a break is handed out before the break is raised: the head of a
damaged archive is often the part somebody needs. Output comes in bounded pieces, however well
the input was packed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

__all__ = ["CODECS", "ArchiveError", "Codec", "decompress", "recognise"]

# A dictionary this large is more than any archiver asks for by default (xz -9 takes 65 MiB);
# a file that wants more is refused, because its memory would be ours.
XZ_MEMORY = 256 << 20


class ArchiveError(Exception):
    """A compressed log that cannot be read, or not to its end."""


class Decompressor(Protocol):
    """What bz2, lzma and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Codec(NamedTuple):
    name: str
    signatures: tuple[bytes, ...]
    start: Callable[[], Decompressor]  # imports the codec: nobody pays for one that is not met


class _Gunzip:
    """zlib's object with the manners of the other three."""

    def __init__(self) -> None:
        import zlib

        self._member = zlib.decompressobj(wbits=31)  # 31: a gzip header and its check sum

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def needs_input(self) -> bool:
        return not self._member.unconsumed_tail and not self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail + data, max_length)


def _bunzip2() -> Decompressor:
    import bz2

    return bz2.BZ2Decompressor()


def _unxz() -> Decompressor:
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)


def _unzstd() -> Decompressor:
    return _zstd().ZstdDecompressor()  # type: ignore[no-any-return]


def _zstd() -> Any:
    import importlib

    for name in ("compression.zstd", "backports.zstd"):  # the first is in Python from 3.14 on
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ArchiveError(
        'zstd needs Python 3.14 or the extra "zstd": pip install "tocsin[zstd]", or use zstdcat'
    )


def _refuse(what: str) -> Callable[[], Decompressor]:
    def start() -> Decompressor:
        raise ArchiveError(f"{what} cannot be read; unpack it first")

    return start


# The refused ones are listed because scanning their packed bytes would find nothing and call a
# full log clean.
CODECS = (
    Codec("gzip", (b"\x1f\x8b",), _Gunzip),
    # "BZh", the block size, and the first bytes of pi (a block) or of its root (no block at all):
    # three letters alone could begin a line of text.
    Codec(
        "bzip2",
        tuple(b"BZh%d%b" % (size, mark) for size in range(1, 10) for mark in (b"1A", b"\x17r")),
        _bunzip2,
    ),
    Codec("xz", (b"\xfd7zXZ\x00",), _unxz),
    # A zstd file may begin with a skippable frame (pzstd writes one): any of sixteen numbers.
    Codec(
        "zstd",
        (b"\x28\xb5\x2f\xfd", *(bytes((n, 0x2A, 0x4D, 0x18)) for n in range(0x50, 0x60))),
        _unzstd,
    ),
    Codec("zip", (b"PK\x03\x04",), _refuse("a zip archive")),
    Codec("7z", (b"7z\xbc\xaf\x27\x1c",), _refuse("a 7z archive")),
    Codec("lz4", (b"\x04\x22\x4d\x18",), _refuse("an lz4 file")),
    Codec("compress", (b"\x1f\x9d",), _refuse("a file packed by compress(1)")),
)


def recognise(head: bytes) -> Codec | None:
    """The codec whose signature `head` begins with; None for anything else, so for plain text."""
    for codec in CODECS:
        if head.startswith(codec.signatures):
            return codec
    return None


def decompress(chunks: Iterable[bytes], codec: Codec, piece: int = 1 << 20) -> Iterator[bytes]:
    """The content of every member, in pieces of at most `piece` bytes.

    Raises ArchiveError when the input is damaged, cut off, or followed by something else; all
    that could be read has been yielded by then.
    """
    member = codec.start()
    between = False  # a member has ended and the next has not shown that it is one
    for chunk in chunks:
        data = chunk
        while True:
            if member.eof:
                # Members may follow one another, and tapes pad the last one with zeros.
                data = (member.unused_data + data).lstrip(b"\0")
                if not data:
                    break
                member, between = codec.start(), True
            try:
                out = member.decompress(data, piece)
            except MemoryError:
                raise
            except Exception as error:  # every codec has a class of its own for this
                what = "something else follows its end" if between else str(error)
                raise ArchiveError(f"broken {codec.name} data: {what}") from error
            data = b""
            if out:
                between = False
                yield out
            if not member.eof and member.needs_input:
                break
    if not member.eof:
        raise ArchiveError(f"broken {codec.name} data: it ends too early")
