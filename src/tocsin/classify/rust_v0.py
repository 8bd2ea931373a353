"""Read a Rust symbol (mangling scheme v0, `_RNv...`) as a path: `<thing::Node>::update`.

Kernels print Rust functions by their symbols. Crate hashes and disambiguators, which change from
build to build, are left out, so that a title stays the same. What is not a v0 symbol, or one that
uses more of the grammar than names of functions do (constants, function types), comes back as it
went in: a title with a raw symbol is better than a wrong one.

The scheme: RFC 2603. Offsets of back references count from behind `_R`.
"""

from __future__ import annotations

from collections.abc import Callable

BASIC = {
    "a": "i8", "b": "bool", "c": "char", "d": "f64", "e": "str", "f": "f32", "h": "u8",
    "i": "isize", "j": "usize", "l": "i32", "m": "u32", "n": "i128", "o": "u128", "s": "i16",
    "t": "u16", "u": "()", "v": "...", "x": "i64", "y": "u64", "z": "!", "p": "_",
}  # fmt: skip
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A symbol can refer back into itself: without these a short one could name an endless path.
DEPTH = 32
STEPS = 2000


class _UnreadError(Exception):
    """Not a symbol that this module reads."""


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.steps = 0

    def next(self) -> str:
        if self.at >= len(self.text):
            raise _UnreadError
        self.at += 1
        return self.text[self.at - 1]

    def take(self, tag: str) -> bool:
        found = self.text.startswith(tag, self.at)
        self.at += found
        return found

    def base62(self) -> int:
        if self.take("_"):
            return 0
        number = 0
        while (digit := self.next()) != "_":
            if digit not in DIGITS:
                raise _UnreadError
            number = number * 62 + DIGITS.index(digit)
        return number + 1

    def disambiguator(self) -> int:
        return self.base62() + 1 if self.take("s") else 0

    def identifier(self) -> str:
        if self.take("u"):  # Punycode: no kernel function has one
            raise _UnreadError
        first = self.at
        while self.at < len(self.text) and self.text[self.at] in "0123456789":
            self.at += 1
        if self.at == first or self.at - first > 4:
            raise _UnreadError
        size = int(self.text[first : self.at])
        self.take("_")
        name = self.text[self.at : self.at + size]
        self.at += size
        if len(name) != size:
            raise _UnreadError
        return name

    def back(self, where: int, in_type: bool) -> str:
        target = self.base62()
        if target >= where:
            raise _UnreadError
        here, self.at = self.at, target
        text = self.type() if in_type else self.path(False)
        self.at = here
        return text

    def enter(self) -> None:
        self.depth += 1
        self.steps += 1
        if self.depth > DEPTH or self.steps > STEPS:
            raise _UnreadError

    def path(self, in_type: bool) -> str:
        self.enter()
        where = self.at
        tag = self.next()
        if tag == "C":
            self.disambiguator()
            text = self.identifier()
        elif tag == "N":
            space = self.next()
            parent = self.path(in_type)
            number = self.disambiguator()
            name = self.identifier()
            if space in "CS":
                kind = "closure" if space == "C" else "shim"
                name = f"{{{kind}{':' + name if name else ''}#{number}}}"
            text = f"{parent}::{name}" if name else parent
        elif tag in "MX":
            self.disambiguator()
            self.path(False)  # where the impl stands: not part of its name
            own = self.type()
            text = f"<{own}>" if tag == "M" else f"<{own} as {self.path(True)}>"
        elif tag == "Y":
            text = f"<{self.type()} as {self.path(True)}>"
        elif tag == "I":
            text = self.path(in_type)
            listed = self.until_end(self.argument)
            text += f"{'' if in_type else '::'}<{', '.join(a for a in listed if a)}>"
        elif tag == "B":
            text = self.back(where, False)
        else:
            raise _UnreadError
        self.depth -= 1
        return text

    def until_end(self, read: Callable[[], str]) -> list[str]:
        out = []
        while not self.take("E"):
            out.append(read())
        return out

    def argument(self) -> str:
        if self.take("L"):
            self.base62()
            return ""  # lifetimes say nothing about which function it is
        return self.type()

    def type(self) -> str:
        self.enter()
        where = self.at
        tag = self.next()
        if tag in BASIC:
            text = BASIC[tag]
        elif tag == "S":
            text = f"[{self.type()}]"
        elif tag == "T":
            inner = self.until_end(self.type)
            text = f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
        elif tag in "RQ":
            if self.take("L"):
                self.base62()
            text = f"&{'mut ' if tag == 'Q' else ''}{self.type()}"
        elif tag in "PO":
            text = f"*{'const' if tag == 'P' else 'mut'} {self.type()}"
        elif tag == "B":
            text = self.back(where, True)
        elif tag in "CNMXYI":
            self.at = where
            text = self.path(True)
        else:
            raise _UnreadError
        self.depth -= 1
        return text


def path_of(symbol: str) -> str:
    """The path that a v0 symbol stands for; any other symbol as it is."""
    if not symbol.startswith("_R"):
        return symbol
    reader = _Reader(symbol[2:])
    try:
        text = reader.path(False)
    except _UnreadError:
        return symbol
    # What may follow: the crate that instantiated it, or a compiler's suffix.
    rest = reader.text[reader.at :]
    return text if not rest or rest[0] in ".$C" else symbol
