"""Bytes that nobody can read again, kept from before they are used until the next checkpoint.

An append-only file of records (lengths, check sum, name, data). Each checkpoint in the database
says up to where it covers the journal, by epoch and offset; what is behind that is fed again
after a crash. A record that a crash tore is the last one, and was not used yet.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator

__all__ = ["Journal"]

HEADER = struct.Struct("<8sQ")
RECORD = struct.Struct("<III")
MAGIC = b"tocsinJ1"
# Begun anew at the next checkpoint when it is longer than this.
LONG = 4 << 20
KEYS = 1024


class Journal:
    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        head = os.pread(self._fd, HEADER.size, 0)
        self._keys: dict[str, tuple[bytes, int]] = {}  # names as bytes, and their check sums
        self.epoch = 0
        self.size = HEADER.size
        if len(head) == HEADER.size and head.startswith(MAGIC):
            self.epoch = HEADER.unpack(head)[1]
        else:
            self.restart(0)

    def close(self) -> None:
        os.close(self._fd)

    @property
    def is_long(self) -> bool:
        return self.size > LONG

    def append(self, name: str, data: bytes) -> None:
        known = self._keys.get(name)
        if known is None:
            key = name.encode("utf-8", "surrogateescape")
            if len(self._keys) >= KEYS:
                self._keys.clear()
            known = self._keys[name] = key, zlib.crc32(key)
        key, start = known
        record = RECORD.pack(len(key), len(data), zlib.crc32(data, start)) + key + data
        # One call: after it the record is the kernel's, and survives the death of this process.
        done = os.pwrite(self._fd, record, self.size)
        while done < len(record):
            done += os.pwrite(self._fd, record[done:], self.size + done)
        self.size += len(record)

    def replay(self, offset: int) -> Iterator[tuple[str, bytes]]:
        """The whole records from `offset` on; appending goes on behind them."""
        at = max(offset, HEADER.size)
        while True:
            head = os.pread(self._fd, RECORD.size, at)
            if len(head) < RECORD.size:
                break
            key_size, data_size, sum_ = RECORD.unpack(head)
            body = os.pread(self._fd, key_size + data_size, at + RECORD.size)
            if len(body) < key_size + data_size or zlib.crc32(body) != sum_ or not key_size:
                break
            at += RECORD.size + len(body)
            self.size = at
            yield body[:key_size].decode("utf-8", "surrogateescape"), body[key_size:]
        self.size = at
        os.ftruncate(self._fd, at)

    def restart(self, epoch: int) -> None:
        """Empty, for a checkpoint that covers everything."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, HEADER.pack(MAGIC, epoch), 0)
        self.epoch = epoch
        self.size = HEADER.size
