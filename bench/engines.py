"""Everybody who is measured, behind one protocol.

An engine is built with the patterns and asked for a number. What the number must be depends on
`answers`:
    "all"       every overlapping match (what tocsin finds)
    "leftmost"  matches that do not overlap: at most as many
    "lines"     lines with a match
    "ids"       how many of the patterns occur at all
    None        nothing is looked for (the memory limit)
An engine that cannot be had says why: UNAVAILABLE is a result of the bench, not a silence.
"""

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tocsin._core.automaton import Automaton
from tocsin._core.variant import usable_variants

HERE = Path(__file__).parent
# A line that no set of patterns is about.
LINE = (
    b"Mar  7 10:10:10 storage sshd[4711]: Accepted publickey for admin from 10.1.2.3 port 4711 ssh2"
)


class Unavailable(Exception):
    pass


class Empty:
    """What a call costs that does nothing."""

    def is_match(self, data: bytes) -> bool:
        return False


class Engine:
    name: ClassVar[str]
    answers: ClassVar[str | None] = "all"
    # Slow engines see only the first so many bytes.
    most: ClassVar[int] = 1 << 40
    peer: ClassVar[bool] = True
    # The cheapest call that tells whether a short line has a match; its result is true if it has.
    ask: Callable[[bytes], object] | None = None

    def __init__(self, patterns: list[bytes]):
        raise NotImplementedError

    def prepare(self, data: bytes) -> object:
        """The data in the form the engine wants it; not timed."""
        return data

    def count(self, data) -> int:
        raise NotImplementedError


def tocsin_engine(variant: str) -> type[Engine]:
    class Tocsin(Engine):
        """Counts, as Hyperscan's C program does."""

        name = f"tocsin-{variant}"
        peer = False

        def __init__(self, patterns: list[bytes]):
            self.automaton = Automaton(patterns, variant=variant)

        def count(self, data: bytes) -> int:
            return self.automaton.count(data)

    return Tocsin


class FindAll(Engine):
    """Keeps every match, as the other libraries for Python do."""

    name = "tocsin find_all"
    peer = False

    def __init__(self, patterns: list[bytes]):
        self.automaton = Automaton(patterns)

    def count(self, data: bytes) -> int:
        return len(self.automaton.find_all(data))


def native(source: str, *libraries: str) -> ctypes.CDLL:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if not compiler:
        raise Unavailable("no C compiler")
    folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    command = [compiler, "-O3", "-shared", "-fPIC", str(HERE / "native" / source), "-o",
               str(folder / "native.so"), *(f"-l{name}" for name in libraries)]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise Unavailable(f"{source} does not compile: {run.stderr.splitlines()[:1]}")
    library = ctypes.CDLL(str(folder / "native.so"))
    shutil.rmtree(folder)
    return library


class Memory(Engine):
    name = "memory read"
    answers = None
    peer = False

    def __init__(self, patterns: list[bytes]):
        self.read = native("memory.c").read_all
        self.read.restype = ctypes.c_uint64
        self.read.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def count(self, data: bytes) -> int:
        self.read(data, len(data))
        return 0


class HyperscanC(Engine):
    name = "hyperscan-c"

    def __init__(self, patterns: list[bytes]):
        library = native("hyperscan.c", "hs")
        array = (ctypes.c_char_p * len(patterns))(*patterns)
        lengths = (ctypes.c_size_t * len(patterns))(*map(len, patterns))
        if library.bench_build(array, lengths, len(patterns)):
            raise Unavailable("hs_compile_lit_multi failed")
        self.scan = library.bench_count
        self.scan.restype = ctypes.c_uint64
        self.scan.argtypes = [ctypes.c_char_p, ctypes.c_size_t]

    def count(self, data: bytes) -> int:
        return self.scan(data, len(data))


class Hyperscan(Engine):
    name = "hyperscan"

    def __init__(self, patterns: list[bytes]):
        try:
            import hyperscan
        except ImportError as error:
            raise Unavailable(str(error)) from error
        self.database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        self.database.compile(
            expressions=patterns, ids=list(range(len(patterns))), elements=len(patterns),
            flags=0, literal=True,
        )  # fmt: skip
        self.seen: list[int] = []
        self.ask = self.first

    def first(self, data: bytes) -> bool:
        self.seen.clear()
        self.database.scan(data, match_event_handler=lambda *match: self.seen.append(match[0]))
        return bool(self.seen)

    def count(self, data: bytes) -> int:
        found = 0

        def on_match(*_: object) -> None:
            nonlocal found
            found += 1

        self.database.scan(data, match_event_handler=on_match)
        return found


class AhoCorasickRs(Engine):
    name = "ahocorasick_rs"
    most = 64 << 20

    def __init__(self, patterns: list[bytes]):
        try:
            import ahocorasick_rs
        except ImportError as error:
            raise Unavailable(str(error)) from error
        self.automaton = ahocorasick_rs.BytesAhoCorasick(
            patterns, implementation=ahocorasick_rs.Implementation.DFA
        )
        self.ask = self.automaton.find_matches_as_indexes

    def count(self, data: bytes) -> int:
        return len(self.automaton.find_matches_as_indexes(data, overlapping=True))


class Daachorse(Engine):
    name = "daachorse"
    most = 16 << 20

    def __init__(self, patterns: list[bytes]):
        try:
            import daachorse
        except ImportError as error:
            raise Unavailable(str(error)) from error
        if len(set(patterns)) != len(patterns):
            raise Unavailable("daachorse wants every pattern once")
        self.automaton = daachorse.DoubleArrayAhoCorasick(patterns)
        self.ask = self.automaton.find

    def count(self, data: bytes) -> int:
        return len(self.automaton.find_overlapping(data))


class Pyahocorasick(Engine):
    name = "pyahocorasick"
    most = 8 << 20

    def __init__(self, patterns: list[bytes]):
        try:
            import ahocorasick
        except ImportError as error:
            raise Unavailable(str(error)) from error
        self.automaton = ahocorasick.Automaton()
        times: dict[bytes, int] = {}
        for pattern in patterns:
            times[pattern] = times.get(pattern, 0) + 1
        for pattern, number in times.items():
            self.automaton.add_word(pattern.decode("latin-1"), number)
        self.automaton.make_automaton()
        self.ask = self.first

    def first(self, data: bytes) -> bool:
        return next(self.automaton.iter(data.decode("latin-1")), None) is not None

    def prepare(self, data: bytes) -> str:
        return data.decode("latin-1")

    def count(self, data: str) -> int:
        return sum(number for _, number in self.automaton.iter(data))


class Re2(Engine):
    name = "google-re2"
    answers = "ids"
    most = 16 << 20

    def __init__(self, patterns: list[bytes]):
        try:
            import re2
        except ImportError as error:
            raise Unavailable(str(error)) from error
        self.set = re2.Set.SearchSet()
        for pattern in patterns:
            self.set.Add(re2.escape(pattern))
        self.set.Compile()
        self.ask = self.set.Match

    def count(self, data: bytes) -> int:
        return len(self.set.Match(data) or ())


class Re(Engine):
    name = "re"
    answers = "leftmost"
    most = 64 << 10

    def __init__(self, patterns: list[bytes]):
        self.expression = re.compile(b"|".join(map(re.escape, patterns)))
        self.ask = self.expression.search

    def count(self, data: bytes) -> int:
        return sum(1 for _ in self.expression.finditer(data))


class Naive(Engine):
    name = "naive"
    most = 1 << 20

    def __init__(self, patterns: list[bytes]):
        self.patterns = patterns

    def count(self, data: bytes) -> int:
        found = 0
        for pattern in self.patterns:
            at = data.find(pattern)
            while at >= 0:
                found += 1
                at = data.find(pattern, at + 1)
        return found


def grep_engine(called: str, command: list[str]) -> type[Engine]:
    class Grep(Engine):
        """A process of its own, reading a file from the page cache."""

        name = called
        answers = "lines"
        most = 64 << 20

        def __init__(self, patterns: list[bytes]):
            if not shutil.which(command[0]):
                raise Unavailable(f"no {command[0]} here")
            self.folder = tempfile.TemporaryDirectory(prefix="tocsin-bench-")
            self.file = Path(self.folder.name) / "haystack"
            self.words = Path(self.folder.name) / "patterns"
            self.words.write_bytes(b"\n".join(patterns) + b"\n")

        def prepare(self, data: bytes) -> Path:
            self.file.write_bytes(data)
            return self.file

        def count(self, data: Path) -> int:
            run = subprocess.run(
                [*command, "-f", str(self.words), str(data)], capture_output=True,
                env={"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/local/bin"}, check=False,
            )  # fmt: skip
            return int(run.stdout or 0)

    return Grep


ENGINES: list[type[Engine]] = [
    Memory,
    *(tocsin_engine(variant) for variant in usable_variants()),
    FindAll, HyperscanC, Hyperscan, AhoCorasickRs, Daachorse, Pyahocorasick, Re2,
    grep_engine("ripgrep -F", ["rg", "-a", "-c", "-F", "--no-config"]),
    grep_engine("grep -F", ["grep", "-a", "-c", "-F"]),
    Re, Naive,
]  # fmt: skip


def expected(engine: type[Engine], patterns: list[bytes], data: bytes) -> Callable[[int], bool]:
    """A check of the engine's answer on this data."""
    automaton = Automaton(patterns, variant="dfa")
    if engine.answers == "all":
        right = automaton.count(data)
        return lambda answer: answer == right
    if engine.answers == "leftmost":
        most = automaton.count(data)
        return lambda answer: answer <= most and bool(answer) == bool(most)
    if engine.answers == "ids":
        ids = len({number for number, _, _ in automaton.find_all(data)})
        return lambda answer: answer == ids
    if engine.answers == "lines":
        lines = sum(map(automaton.is_match, data.split(b"\n")))
        return lambda answer: answer == lines
    return lambda answer: True
