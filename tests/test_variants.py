"""Every variant, forced by name, at every length and offset, against a guard page and the oracles.

A variant that this processor could run but that the build lacks is a failure, not a skip.
"""

import ctypes
import mmap
import platform
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.reference.automaton import Textbook, naive
from tocsin._core.automaton import Automaton
from tocsin._core.variant import KNOWN, built_variants, usable_variants

VARIANTS = usable_variants()
PAGE = mmap.PAGESIZE

# Lengths 1 to 12 around the window's five bytes, prefixes and suffixes of one another, equal ones,
# bytes that differ in the top bit only, NULs (which the variants see beyond the data's end).
PATTERNS = [
    b"a",
    b"ab",
    b"ba\0",
    b"\0\0",
    b"abab",
    b"babab",
    b"ababab",
    b"aXbYcZd",
    b"Ybab",
    b"bababababa",
    b"\xe1bab",
    b"ab\xe1\xe2ab",
    b"abab",
    b"XYZZYabXYZZY",
]
LONG = [pattern for pattern in PATTERNS if len(pattern) >= 4]
ALPHABET = b"aabbXY\0Z\xe1"


def flags_of_this_processor():
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            return set(line.split(":")[1].split())
    return None


def test_no_variant_is_missing():
    flags = flags_of_this_processor()
    machine = platform.machine().lower()
    expected = {"scalar", "dfa"}
    if machine in ("x86_64", "amd64", "i686"):
        assert flags is not None, "cannot tell what this processor can do"
        if {"avx512f", "avx512bw", "avx512vl", "avx512vbmi", "bmi2"} <= flags:
            expected.add("avx512vbmi")
        if {"avx2", "bmi2"} <= flags:
            expected.add("avx2")
        if "ssse3" in flags:
            expected.add("ssse3")
    elif machine in ("aarch64", "arm64"):
        expected.add("neon")
    assert set(VARIANTS) == expected
    assert set(VARIANTS) <= set(built_variants()) <= set(KNOWN)
    # Best first, the one without any trick last.
    assert [name for name in KNOWN if name in VARIANTS] == list(VARIANTS)


def spam(choose, words, size):
    out = bytearray()
    while len(out) < size:
        out += choose.choice(words)
    return bytes(out)


class Guarded:
    """Two pages, neither of which may be touched, around some that may."""

    def __init__(self, pages: int):
        self.map = mmap.mmap(-1, (pages + 2) * PAGE)
        self.size = pages * PAGE
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        for page in (address, address + PAGE + self.size):
            assert libc.mprotect(page, PAGE, 0) == 0, ctypes.get_errno()
        self.view = memoryview(self.map)[PAGE : PAGE + self.size]

    def at_end(self, data: bytes) -> memoryview:
        self.view[self.size - len(data) :] = data
        return self.view[self.size - len(data) :]

    def at_start(self, data: bytes, offset: int = 0) -> memoryview:
        self.view[offset : offset + len(data)] = data
        return self.view[offset : offset + len(data)]


GUARDED = Guarded(4)


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.fixture(params=[0, 200, 700], ids=["few", "some", "many"])
def patterns(request):
    """Few literals fill one set of tables, some need two, many need a wider window."""
    choose = random.Random(5)
    more = [bytes(choose.choices(ALPHABET, k=choose.randint(6, 12))) for _ in range(request.param)]
    return PATTERNS + more


@pytest.mark.skipif(platform.system() != "Linux", reason="guard pages are set up for Linux")
@pytest.mark.parametrize("only_long", [False, True])
def test_every_length_and_offset_beside_a_guard_page(variant, patterns, only_long):
    if only_long:
        patterns = [pattern for pattern in patterns if len(pattern) >= 4]
    automaton = Automaton(patterns, variant=variant)
    oracle = Textbook(patterns)
    choose = random.Random(variant)
    text = spam(choose, [*PATTERNS, b"a", b"b", b"\0"], 260)[:260]
    found = 0
    for length in range(261):
        data = text[:length]
        expected = oracle.find_all(data)
        found += len(expected)
        assert list(automaton.find_all(GUARDED.at_end(data))) == expected, length
        assert list(automaton.find_all(GUARDED.at_start(data))) == expected, length
        assert automaton.count(GUARDED.at_end(data)) == len(expected)
        assert automaton.is_match(GUARDED.at_end(data)) is bool(expected)
    for offset in range(64):
        length = choose.randrange(200, 261)
        data = text[:length]
        expected = oracle.find_all(data)
        assert list(automaton.find_all(GUARDED.at_start(data, offset))) == expected, offset
    assert found > 1000


@pytest.mark.parametrize("place", range(132))
def test_one_literal_at_every_place(variant, place):
    """Filler that is no literal's, so that a filter cannot but filter."""
    automaton = Automaton(LONG, variant=variant)
    for literal in LONG:
        for after in (0, 1, 2, 3, 4, 63, 64, 65):
            data = b"." * place + literal + b"." * after
            assert list(automaton.find_all(data)) == naive(LONG, data)


KERNEL = [
    b"BUG: soft lockup", b"BUG: ", b"BUG: unable to handle", b"Kernel panic - not syncing",
    b"Oops: ", b"Oops", b"general protection fault", b"oom-kill:", b"Out of memory: Killed",
    b"I/O error, dev ", b"Call Trace:", b"RIP: 0010:", b"---[ end trace", b"EXT4-fs error",
    b"aaaaaaaa", b"baaaaaaaa", b"aaaaaaaab", b"rcu: INFO: rcu_sched", b"watchdog: ",
]  # fmt: skip


def dense_inputs():
    choose = random.Random(11)
    near = []
    for word in KERNEL:
        cut = choose.randrange(1, len(word))
        near += [word[:cut], word[1:], word[:cut] + b"~" + word[cut + 1 :], word[:-1]]
    quiet = b"[    1.234567] usb 1-1: new high-speed device number 2 using xhci_hcd\n"
    return {
        "aaaa": b"a" * 50000,
        "near-miss": spam(choose, near, 60000),
        "spam": spam(choose, KERNEL, 60000),
        "quiet, spam, quiet": quiet * 600 + spam(choose, KERNEL, 40000) + quiet * 600,
        "spam at block ends": b"".join(
            (quiet * 300)[: 16384 - 40] + spam(choose, KERNEL, 80)[:80] for _ in range(6)
        ),
        "random": choose.randbytes(40000),
        "zeros": bytes(40000),
    }


@pytest.mark.parametrize("name", dense_inputs())
@pytest.mark.parametrize("ignore_case", [False, True])
def test_dense_inputs(name, ignore_case, variant):
    data = dense_inputs()[name]
    if ignore_case:
        data = data.swapcase()
    expected = naive(KERNEL, data, ignore_case=ignore_case)
    automaton = Automaton(KERNEL, ignore_case=ignore_case, variant=variant)
    assert list(automaton.find_all(data)) == expected
    assert automaton.count(data) == len(expected)
    assert automaton.is_match(data) is bool(expected)


def test_literals_longer_than_a_block(variant):
    long = bytes(random.Random(3).choices(b"ab", k=40000))
    patterns = [long, long[100:20100], b"a" * 3000, b"abba" * 5]
    data = long[5:] + long + b"a" * 3100 + b"abba" * 5 + long[:39999] + long + b"x"
    expected = naive(patterns, data)
    assert len(expected) > 100
    automaton = Automaton(patterns, variant=variant)
    assert list(automaton.find_all(data)) == expected
    assert automaton.count(data) == len(expected)


def test_long_literals_in_quiet_text_are_ordered(variant):
    """A hit of a later block may end before one of an earlier block."""
    outer = b"[outer" + b"." * 20000 + b"outer]"
    patterns = [outer, b"inner one", b"inner two"]
    data = b"-" * 16000 + outer[:400] + b"inner one" + outer[409:19000] + b"inner two"
    data += outer[19009:] + b"-" * 99 + outer + b"inner one"
    patterns.append(data[16000 : 16000 + len(outer)])
    expected = naive(patterns, data)
    assert len(expected) == 5
    assert list(Automaton(patterns, variant=variant).find_all(data)) == expected


@pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64")),
    reason="no aarch64 compiler and emulator",
)
def test_neon_under_emulation(tmp_path):
    """The NEON variant finds the candidates that a plain loop over the tables finds."""
    source = Path(__file__).parent / "neon_check.c"
    program = tmp_path / "neon_check"
    headers = Path(__file__).parents[1] / "src/tocsin/_core/simd"
    subprocess.run(
        ["aarch64-linux-gnu-gcc", "-O2", "-Wall", "-Wno-unused-function", "-static",
         f"-I{headers}", str(source), "-o", str(program)],
        check=True,
    )  # fmt: skip
    run = subprocess.run(
        ["qemu-aarch64", str(program)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "candidates agree" in run.stdout
