"""Text of a log made harmless for a terminal.

A console log holds whatever somebody managed to print: escape sequences, invalid UTF-8,
characters that reverse the reading order. Everything that is not a printable character or a tab
is shown by its number.
"""

from __future__ import annotations

import re

__all__ = ["printable"]

# All characters isprintable() might refuse; a cheap filter in front of it.
_SUSPECT = re.compile(r"[^\t -~]")


def printable(value: bytes | str) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if value.isprintable():
        return value
    return _SUSPECT.sub(_show, value)


def _show(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable():
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    if 0xDC80 <= number < 0xDD00:  # a byte of a file name that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
