"""The automaton against two oracles, on inputs that make matches likely."""

import mmap
import pickle
import random
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.reference.automaton import Textbook, naive
from tocsin._core.automaton import Automaton
from tocsin._core.variant import KNOWN, usable_variants

VARIANTS = usable_variants()

# name: patterns, data
CASES = {
    "the paper's own": ([b"he", b"she", b"his", b"hers"], b"ushers hishe"),
    "one byte": ([b"a"], b"banana"),
    "equal patterns": ([b"ab", b"ab", b"b", b"ab"], b"abxabab"),
    "suffixes of one another": ([b"abcd", b"bcd", b"cd", b"d"], b"xabcdabcdd"),
    "prefixes of one another": ([b"a", b"ab", b"abc", b"abcd"], b"abcdabcabaa"),
    "runs": ([b"a" * n for n in range(1, 9)], b"a" * 40),
    "every byte value": ([bytes([n]) for n in range(256)], bytes(range(256)) * 2),
    "high bytes": ([b"\xff\xfe", b"\x80\x81\x82\x83\x84", b"\x7f\x00"], bytes(range(256)) * 3),
    "bytes equal but for the top bit": ([b"abcdef"], b"abcdef\xe1\xe2\xe3\xe4\xe5\xe6abcde\xe6"),
    "NUL": ([b"\0", b"\0\0\0\0\0"], b"\0" * 12),
    "kernel": (
        [b"BUG: soft lockup", b"BUG: ", b"soft", b"Oops", b"oom-kill:", b"Killed process"],
        b"[1.0] BUG: soft lockup - CPU#1\noom-kill:x\n[2.0] Oops: Oops: Killed process 1",
    ),
    "no pattern": ([], b"anything"),
    "longer than the data": ([b"abcdefgh" * 40], b"abcdefgh" * 39),
    "as long as the data": ([b"abcdefgh" * 40], b"abcdefgh" * 40),
}


@pytest.fixture(params=VARIANTS)
def variant(request):
    return request.param


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ignore_case", [False, True])
def test_cases(name, ignore_case, variant):
    patterns, data = CASES[name]
    automaton = Automaton(patterns, ignore_case=ignore_case, variant=variant)
    expected = naive(patterns, data, ignore_case=ignore_case)
    assert Textbook(patterns, ignore_case=ignore_case).find_all(data) == expected
    assert list(automaton.find_all(data)) == expected
    assert automaton.count(data) == len(expected)
    assert automaton.is_match(data) is bool(expected)


def some_patterns(alphabet, longest):
    one = st.lists(st.sampled_from(alphabet), min_size=1, max_size=longest).map(bytes)
    return st.lists(one, max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    data=st.data(),
    alphabet=st.sampled_from([b"ab", b"abc", b"aAbB", b"a\xe1b\xe2", b"\0\x80 "]),
    ignore_case=st.booleans(),
    variant=st.sampled_from(VARIANTS),
)
def test_small_alphabets(data, alphabet, ignore_case, variant):
    patterns = data.draw(some_patterns(alphabet, 9))
    text = bytes(data.draw(st.lists(st.sampled_from(alphabet), max_size=200)))
    found = Automaton(patterns, ignore_case=ignore_case, variant=variant).find_all(text)
    assert list(found) == naive(patterns, text, ignore_case=ignore_case)


@settings(max_examples=200, deadline=None)
@given(
    patterns=st.lists(st.binary(min_size=1, max_size=12), max_size=30),
    glue=st.lists(st.tuples(st.binary(max_size=8), st.integers(0, 29)), max_size=60),
    variant=st.sampled_from(VARIANTS),
)
def test_any_bytes_with_patterns_strewn_in(patterns, glue, variant):
    text = b"".join(
        between + (patterns[n % len(patterns)] if patterns else b"") for between, n in glue
    )
    assert list(Automaton(patterns, variant=variant).find_all(text)) == naive(patterns, text)


@pytest.mark.parametrize("patterns", [300, 3000])
def test_many_patterns(patterns, variant):
    choose = random.Random(patterns)
    words = [bytes(choose.choices(b"abcdefgh ", k=choose.randint(3, 20))) for _ in range(patterns)]
    text = b"".join(choose.choice(words) + b"xyz"[: choose.randint(0, 3)] for _ in range(4000))
    assert list(Automaton(words, variant=variant).find_all(text)) == Textbook(words).find_all(text)


class TestMatches:
    DATA = b"ushers" * 100
    FOUND = Automaton([b"he", b"she", b"his", b"hers"]).find_all(DATA)
    ROWS = naive([b"he", b"she", b"his", b"hers"], DATA)

    def test_is_a_sequence(self):
        assert len(self.FOUND) == len(self.ROWS) == 300
        assert [self.FOUND[n] for n in range(300)] == self.ROWS
        assert self.FOUND[-1] == self.ROWS[-1]
        assert self.FOUND[5:9] == self.ROWS[5:9]
        assert self.FOUND[::-7] == self.ROWS[::-7]
        for outside in (300, -301):
            with pytest.raises(IndexError):
                self.FOUND[outside]

    def test_is_a_buffer(self):
        view = memoryview(self.FOUND)
        assert view.readonly
        assert view.shape == (300, 3)
        assert view.format == "I"
        assert [tuple(row) for row in view.tolist()] == self.ROWS
        assert len(bytes(self.FOUND)) == 300 * 12

    def test_columns(self):
        columns = zip(self.FOUND.patterns, self.FOUND.starts, self.FOUND.ends, strict=True)
        assert list(columns) == self.ROWS

    def test_empty(self):
        none = Automaton([b"x"]).find_all(b"")
        assert len(none) == 0
        assert list(none) == []
        assert memoryview(none).shape == (0, 3)
        assert list(none.starts) == []

    def test_numpy_shares_the_memory(self):
        numpy = pytest.importorskip("numpy")
        array = numpy.asarray(self.FOUND)
        assert array.dtype == numpy.uint32
        assert array.tolist() == [list(row) for row in self.ROWS]
        assert numpy.shares_memory(array, numpy.asarray(self.FOUND))


class TestInput:
    def test_buffers(self, variant, tmp_path):
        automaton = Automaton([b"he", b"she"], variant=variant)
        data = b"ushers" * 5000
        path = tmp_path / "log"
        path.write_bytes(data)
        expected = list(automaton.find_all(data))
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as map_:
            for buffer in (bytearray(data), memoryview(data), map_):
                assert list(automaton.find_all(buffer)) == expected
                assert automaton.count(buffer) == len(expected) == 10000
                assert automaton.is_match(buffer) is True

    @pytest.mark.parametrize("method", ["find_all", "count", "is_match"])
    def test_text_is_refused(self, method):
        with pytest.raises(TypeError, match="str"):
            getattr(Automaton([b"a"]), method)("text")

    def test_bad_patterns_are_named(self):
        with pytest.raises(ValueError, match="pattern 1 is empty"):
            Automaton([b"a", b""])
        with pytest.raises(TypeError, match="pattern 2 is str, not bytes"):
            Automaton([b"a", b"b", "c"])
        with pytest.raises(TypeError, match="sequence of bytes objects, not bytes"):
            Automaton(b"abc")
        with pytest.raises(TypeError):
            Automaton(7)

    def test_variants_are_named(self):
        with pytest.raises(ValueError, match=r"known are .*dfa"):
            Automaton([b"a"], variant="sse9")
        for name in set(KNOWN) - set(VARIANTS):
            with pytest.raises(ValueError, match=rf"{name}.* not usable here: usable are .*dfa"):
                Automaton([b"a"], variant=name)
        for name in VARIANTS:
            assert Automaton([b"a"], variant=name).variant == name
        assert Automaton([b"a"]).variant == VARIANTS[0]

    def test_is_immutable(self):
        automaton = Automaton([b"a"])
        with pytest.raises(TypeError, match="immutable"):
            automaton.__init__([b"b"])
        with pytest.raises(AttributeError):
            automaton.patterns = ()


def test_pickle():
    automaton = Automaton([b"he", b"She"], ignore_case=True, variant=VARIANTS[-1])
    copy = pickle.loads(pickle.dumps(automaton))
    assert copy.patterns == automaton.patterns == (b"he", b"She")
    assert copy.ignore_case is True
    assert copy.variant == VARIANTS[0]
    assert list(copy.find_all(b"SHE")) == list(automaton.find_all(b"SHE")) == [(1, 0, 3), (0, 1, 3)]
    assert len(copy) == 2


def test_threads_share_an_automaton(variant):
    automaton = Automaton([b"he", b"she", b"hers"], variant=variant)
    texts = [(b"x" * n + b"ushers") * 3000 for n in range(6)]
    expected = [automaton.count(text) for text in texts]
    assert expected == [9000] * 6
    wrong = []

    def work(seed):
        choose = random.Random(seed)
        for _ in range(60):
            n = choose.randrange(6)
            if automaton.count(texts[n]) != 9000 or len(automaton.find_all(texts[n])) != 9000:
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.slow
@pytest.mark.skipif(sys.maxsize < 1 << 32, reason="needs 64 bits")
def test_beyond_4_gib():
    """Anonymous memory that is never written reads as one shared page of zeros.

    With the best variant only: crossing 4 GiB is the automaton's work, above all of them.
    """
    words = [b"needle in the hay", b"\0hay", b"nee"]
    size = (4 << 30) + 12345
    places = [0, (1 << 30) - 5, (2 << 30) - 17, (3 << 30), (4 << 30) - 3, size - 17]
    # So dense that the table is walked, in text that no 32 bits reach.
    size += 200_000
    places += range((4 << 30) + 12345, size - 17, 17)
    with mmap.mmap(-1, size) as data:
        for place in places:
            data[place : place + 17] = words[0]
        automaton = Automaton(words)
        found = automaton.find_all(data)
        expected = []
        for place in places:
            expected += [(2, place, place + 3), (0, place, place + 17)]
        assert list(found) == expected
        assert memoryview(found).format == "Q"
        assert automaton.count(data) == 2 * len(places)


@settings(max_examples=150, deadline=None)
@given(
    lines=st.lists(st.text("abcde", max_size=60).map(str.encode), max_size=80),
    patterns=st.lists(st.text("abc", min_size=1, max_size=6).map(str.encode), min_size=1),
    variant=st.sampled_from(VARIANTS),
)
def test_scan_lines_says_of_each_line_what_find_all_says(lines, patterns, variant):
    automaton = Automaton(patterns, variant=variant)
    expected = [
        (*match, number) for number, line in enumerate(lines) for match in automaton.find_all(line)
    ]
    assert list(automaton.scan_lines(lines)) == expected
    assert list(automaton.scan_lines(tuple(lines))) == expected


def test_scan_lines_beyond_a_batch():
    automaton = Automaton([b"panic", b"oops", b"csp"])
    # Longer than a batch, empty, more lines than one batch holds; none may run into the next.
    long = b"." * 20_000 + b"panic" + b"." * 40_000 + b"oops"
    lines = [b"pani", b"c", b"", long, *[b"a panic", b"", b"oop"] * 3000, b"s", long]
    expected = [
        (*match, number) for number, line in enumerate(lines) for match in automaton.find_all(line)
    ]
    found = automaton.scan_lines(lines)
    assert len(found) == len(expected) == 3004
    assert list(found) == expected
    assert found[-1] == expected[-1]
    assert found[:2] == expected[:2]
    table = memoryview(found)
    assert table.shape == (3004, 4)
    assert table.tolist() == [list(row) for row in expected]
    assert found.lines.tolist() == [row[3] for row in expected]
    assert found.patterns.tolist() == [row[0] for row in expected]
    assert list(automaton.scan_lines([])) == []


def test_scan_lines_refuses_what_is_no_list_of_bytes():
    automaton = Automaton([b"x"])
    with pytest.raises(TypeError, match=r"lines must be a list or tuple of bytes, not bytes"):
        automaton.scan_lines(b"x")
    with pytest.raises(TypeError, match=r"line 1 is str, not bytes"):
        automaton.scan_lines([b"x", "x"])
