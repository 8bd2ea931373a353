"""What the engines search, and for what: pattern sets and haystacks, made from a seed.

With the shared corpus beside the project, quiet and mixed text is put together from real logs and
the patterns are the corpus's; without it, from lines written in make_sample.py and from the
built-in rules' literals. Nothing repeats: digits are dealt anew for every stretch of lines, so
that neither a cache nor a branch predictor can learn the text by heart.
"""

import random
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

from bench.make_sample import DAEMONS, daemon_line
from tocsin._core.automaton import Automaton

HERE = Path(__file__).parent
CORPUS = HERE.parents[1] / "shared" / "corpus"
# "corpus" or "made": which of the two a result was measured on. Counts differ between them.
SOURCES = ("corpus", "made")


def source() -> str:
    return "corpus" if (CORPUS / "bench").is_dir() else "made"


def patterns(count: int, where: str) -> list[bytes]:
    if where == "corpus":
        text = (CORPUS / "bench" / f"patterns-{count}.txt").read_bytes()
        return [line for line in text.split(b"\n") if line]
    own = (HERE / "patterns" / "literals.txt").read_bytes().splitlines()
    choose = random.Random(count)
    if count <= len(own):
        return choose.sample(own, count)
    # Beyond the rules' own: their words, put together anew.
    words = sorted({word for line in own for word in line.split() if len(word) > 3})
    more = dict.fromkeys(own)
    while len(more) < count:
        glue = choose.choice([b" ", b" ", b"_", b": ", b" - "])
        more[glue.join(choose.sample(words, choose.randint(1, 3)))] = None
    return list(more)[:count]


def log_files(*folders: str) -> list[list[bytes]]:
    paths = [path for name in folders for path in sorted((CORPUS / name).iterdir())]
    return [
        [line + b"\n" for line in path.read_bytes().split(b"\n") if line]
        for path in paths
        if path.suffix != ".jsonl"
    ]


def kernel_line(choose: random.Random) -> bytes:
    stamp = f"[{choose.randrange(10**5):6}.{choose.randrange(10**6):06}] "
    rest = choose.choice(
        [
            "usb 1-{0}: new high-speed device number {0} using xhci_hcd",
            "e1000 0000:00:0{0}.0 eth{0}: (PCI:33MHz:32-bit) 52:54:00:12:34:{1:02x}",
            "pci 0000:00:{1:02x}.0: BAR {0}: assigned [mem 0x{2:08x}-0x{2:08x}]",
            "audit: initializing netlink subsys (disabled)",
            "sd {0}:0:0:0: [sd{3}] {2} 512-byte logical blocks: ({1} GB/{1} GiB)",
            "systemd[1]: Started Daily apt download activities number {2}.",
            "IPv6: ADDRCONF(NETDEV_CHANGE): eth{0}: link becomes ready",
            " ? do_syscall_64+0x{1:x}/0x{2:x}",
        ]
    ).format(choose.randrange(1, 9), choose.randrange(256), choose.getrandbits(24), "abcd"[1])
    return (stamp + rest + "\n").encode()


def dealt(choose: random.Random) -> list[bytes]:
    """Translations that swap digits."""
    tables = []
    for _ in range(1000):
        digits = list(b"0123456789")
        choose.shuffle(digits)
        tables.append(bytes.maketrans(b"0123456789", bytes(digits)))
    return tables


def stretches(
    choose: random.Random, words: list[bytes], where: str, *folders: str
) -> Iterator[list[bytes]]:
    """Lines without a hit, some in a row, as logs have them."""
    if where == "corpus":
        lines = [line for file in log_files(*folders) for line in file]
    else:
        lines = [
            daemon_line(choose) if choose.random() < 0.4 else kernel_line(choose)
            for _ in range(20 * len(DAEMONS) * 10)
        ]
    has = Automaton(words, variant="dfa").is_match
    lines = [line for line in lines if not has(line)]
    tables = dealt(choose)
    while True:
        start = choose.randrange(len(lines))
        yield [
            line.translate(choose.choice(tables))
            for line in lines[start : start + choose.randint(5, 40)]
        ]


def quiet(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    """No hits, but for one line in about 100 KB."""
    for lines in stretches(choose, words, where, "boots", "noise", "consoles"):
        yield from lines
        if choose.random() < 0.016:
            yield b"[   12.345678] %s of cpu 3\n" % choose.choice(words)


def innocent(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    """Lines of boots and daemons without a hit."""
    return chain.from_iterable(stretches(choose, words, where, "boots", "noise"))


def ordinary(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    """Healthy boots and noise, whole, as they are: what a rule set has to be silent on."""
    if where == "corpus":
        logs = [b"".join(lines) for lines in log_files("boots", "noise")]
    else:
        logs = [b"".join(islice(innocent(choose, words, where), 2000))]
    while True:
        yield choose.choice(logs)


def mixed(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    """Crash reports, one after the other."""
    tables = dealt(choose)
    if where == "corpus":
        reports = log_files("syzbot")
        while True:
            for line in choose.choice(reports):
                yield line.translate(choose.choice(tables))
    while True:
        for _ in range(choose.randint(4, 10)):
            yield kernel_line(choose).translate(choose.choice(tables))
        yield b"[%6d.%06d] %s in %s+0x%x\n" % (
            choose.randrange(10**5), choose.randrange(10**6), choose.choice(words),
            choose.choice(words).split()[0].lower(), choose.getrandbits(12),
        )  # fmt: skip


def near(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    """Pieces that are almost patterns."""
    while True:
        word = choose.choice(words)
        at = choose.randrange(len(word))
        yield choose.choice(
            [word[:-1], word[1:], word[:at] + b"~" + word[at + 1 :], word[:at] + word[at + 1 :]]
        )
        yield choose.choice([b" ", b"\n", b": ", b"x"])


def spam(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    """A hit in nearly every line."""
    while True:
        if choose.random() < 0.9:
            yield b"BUG: unable to handle 0x%x\n" % choose.getrandbits(16)
        else:
            yield choose.choice(words) + b"\n"


def aaaa(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    while True:
        yield b"a" * 65536


def noise(choose: random.Random, words: list[bytes], where: str) -> Iterator[bytes]:
    while True:
        yield choose.randbytes(65536)


KINDS: dict[str, Callable[[random.Random, list[bytes], str], Iterator[bytes]]] = {
    "quiet": quiet, "innocent": innocent, "ordinary": ordinary,
    "mixed": mixed, "near": near, "spam": spam, "aaaa": aaaa, "random": noise,
}  # fmt: skip


def haystack(kind: str, size: int, words: list[bytes], where: str) -> bytes:
    pieces = []
    length = 0
    for piece in KINDS[kind](random.Random(kind), words, where):
        pieces.append(piece)
        length += len(piece)
        if length >= size:
            break
    return b"".join(pieces)[:size]
