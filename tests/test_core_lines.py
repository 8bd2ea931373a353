"""From bytes to lines, prefixes and literals: the edges, by a small ruleset."""

import pytest

import tocsin
from tests.small import load, look, rule, rules


def titles(log, ruleset=None):
    return [i.rule for i in tocsin.scan(log, ruleset or rules())]


# -- literals and where they may stand ----------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ABAB", True), (" ABAB", True), ("x ABAB", True), ("xABAB", False), ("_ABAB", False),
        ("9ABAB", False), ("-ABAB", True), ("ABABAB", True), ("xABABAB", False),
        ("[    1.000000] ABAB", True), ("[    1.000000]ABAB", True),
    ],
)  # fmt: skip
def test_word_anchor(line, found):
    assert titles(line.encode()) == ["t.word"] * found


HEAD = (
    "schema = 1\n"
    + rule("t.head", 'literal = "BUG: BAD"\nanchor = "head"')
    + rule("t.low", 'literal = ["bad thing", "): bad"]\nanchor = "head"')
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("BUG: BAD", True), ("  BUG: BAD", True), ("watchdog: BUG: BAD", True),
        ("[x] BUG: BAD", True), ("CPU 0 BUG: BAD", True), ("was cut offBUG: BAD", True),
        ("done. BUG: BAD", True), ("> BUG: BAD", True), ("it says BUG: BAD", False),
        ("again, BUG: BAD", False), ("'BUG: BAD", False), ("`BUG: BAD`", False),
        ("<ann> BUG: BAD", False),
        ("[10:00] <@ann> BUG: BAD", False), ("<4>BUG: BAD", True), ("x <0> BUG: BAD", True),
        ("BUG: bad thing", True), ("fix BUG: bad thing", False), ("mm: INFO: bad thing", True),
        ("(sda): bad", True), ("word): bad", True),
    ],
)  # fmt: skip
def test_head_anchor(line, found):
    assert bool(titles(line.encode() + b"\n", load(HEAD))) is found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('say "BUG" and DOWN', True), ('say "BUG and DOWN"', False), ('a="b" c="x DOWN', False),
        ('{"log":"DOWN"}', True), (' {"log":"DOWN"}', True), ('{"log":"say \\"DOWN\\""}', False),
        ('{"log":"[    1.000000] DOWN"}', True), ('{"logs":["[    1.000000] DOWN"]}', False),
        ('x line="[    1.000000] DOWN"', False), ('x ="y" [    1.000000] DOWN', True),
        ("[Mon Nov 23 01:02:03 2026] DOWN", True), ("[Mon Nov 23 01:02:03.5 2026] DOWN", False),
        ("[Mon Nov 23 01:02:03 2026] [error] DOWN", False),
        ("[Mon Nov 23 01:02:03 2026] [core:notice] DOWN", False),
        ("[Mon Nov 23 01:02:03 2026] [drm] DOWN", True),
        ("[Mon Nov 23 01:02:03 2026] [errors] DOWN", True),
    ],
)  # fmt: skip
def test_what_is_quoted_begins_nothing(line, found):
    assert (titles(line.encode() + b"\n") == ["t.line"]) is found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ABBA", True), ("  ABBA", True), ("\tABBA", True), ("xABBA", False),
        ("[    1.000000] ABBA", True), ("[    1.000000]   ABBA", True), ("<3>ABBA", True),
        ("Nov 23 01:02:03 web-1 kernel: ABBA", True), ("\x1b[0mABBA", True),
        ("[    1.000000] x ABBA", False),
    ],
)  # fmt: skip
def test_body_anchor(line, found):
    assert titles(line.encode()) == ["t.body"] * found


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("BABA", True), ("x BABA", True), ("BABA  ", True), ("BABA\r", True), ("BABA \r\r", True),
        ("BABA x", False), ("BABA.", False),
    ],
)  # fmt: skip
def test_end_anchor(line, found):
    assert titles(line.encode() + b"\n") == ["t.tail"] * found


@pytest.mark.parametrize(
    ("line", "found"),
    [("AABB BBB", True), ("AABB", False), ("BBB AABB", True), ("AABB BBB AAAA", False)],
)
def test_also_and_not(line, found):
    assert titles(line.encode()) == ["t.pair"] * found


WEAKER = load(
    "schema = 1\n"
    + rule("t.far", 'literal = "AAAAAA"\nmatch = "AAAAAA far"')
    + rule("t.near", 'literal = "AAAAA"\nmatch = "AAAAAA? (?P<where>far|near)"', title="{where}")
    + rule("t.opening", 'literal = "AAAA"', '[rule.continue]\nliteral = "CCCC"', provisional=True)
    .replace("True", "true")
    + rule("t.any", 'literal = "AAA "', rank=-1)
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("AAAAAA far", ["t.far"]), ("AAAAAA near", ["t.near"]), ("AAAAAA nowhere", ["t.any"]),
        ("AAAAAA", []),
    ],
)  # fmt: skip
def test_a_start_that_does_not_match_leaves_the_line_to_the_next(line, found):
    log = f"{line}\n".encode()
    assert titles(log, WEAKER) == found
    scanner = tocsin.Scanner(WEAKER)
    scanner.feed(log + b"BBB\n")
    scanner = tocsin.Scanner.loads(scanner.dumps(), WEAKER)
    assert [i.rule for i in scanner.flush()] == found


def test_a_literal_in_the_prefix_is_no_hit():
    assert titles(b"Nov 23 01:02:03 DOWN kernel: all is well\n") == []
    assert titles(b"Nov 23 01:02:03 web DOWN: all is well\n") == []


def test_a_literal_across_a_line_end_is_no_hit():
    assert titles(b"OO\nPS\nDO\r\nWN\n") == []


def test_a_literal_that_runs_into_a_glued_stamp():
    """`dev [` ends with the bracket that begins the next message's stamp."""
    log = b"dev [    1.234567] text\n" * 3 + b"prompt$ dev [    1.234567] dev [7]\n"
    assert titles(log) in ([], ["t.bracket"])
    assert titles(b"xx dev [    1.234567] ABBA\n") == ["t.body"]


# -- origins -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("OOPS", ["t.report"]),
        ("[    1.000000] OOPS", ["t.report"]),
        ("<3>OOPS", ["t.report"]),
        ("Nov 23 01:02:03 h kernel: OOPS", ["t.report"]),
        ("Nov 23 01:02:03 h kernel: [    1.000000] OOPS", ["t.report"]),
        ("Nov 23 01:02:03 h app[3]: OOPS", []),
        ("Nov 23 01:02:03 h app[3]: [    1.000000] OOPS", []),
        ("2026-11-23T01:02:03.123456+00:00 h kernel: OOPS", ["t.report"]),
        ("2026-11-23T01:02:03.123456+00:00 h sshd[7]: OOPS", []),
        ("3,1234,5678901,-;OOPS", ["t.report"]),
        ("11,1234,5678901,-;OOPS", []),
        ("kern  :err   : [    1.000000] OOPS", ["t.report"]),
        ("daemon:err   : [    1.000000] OOPS", []),
        ("user  :notice: [    1.000000] OOPS", []),
        ("<6>1 2026-11-23T01:02:03Z h kernel - - - OOPS", ["t.report"]),
        ("<14>1 2026-11-23T01:02:03Z h app - - - OOPS", []),
        ("Nov 23 01:02:03 h app[3]: Traceback", ["t.user"]),
        ("Traceback", ["t.user"]),
        ("[    1.000000] Traceback", ["t.user"]),  # programs write to /dev/kmsg as well
        ("[    1.000000] app[3]: OOPS", []),
        ("[    1.000000] (sd-umount)[3]: OOPS", []),
        ("[    1.000000] app[3]: Traceback", ["t.user"]),
        ("[    1.000000] app: OOPS", ["t.report"]),  # a driver's name looks like that
        ("[    1.000000] sd 0:0:0:0: [sda]: OOPS", ["t.report"]),
        ("Nov 23 01:02:03 h app: kernel: OOPS", []),
        ("Nov 23 01:02:03 h app[3]: kernel: OOPS", []),
        ("Nov 23 01:02:03 h kern.err kernel: OOPS", ["t.report"]),
        ("Nov 23 01:02:03 h daemon.err app[3]: OOPS", []),
        ("Nov 23 01:02:03 relay Nov 23 01:02:02 h kernel: OOPS", ["t.report"]),
        ("Nov 23 01:02:03 relay Nov 23 01:02:02 h app[3]: OOPS", []),
        # A time with no host and tag was put there by whoever took the line down.
        ("2026-11-23T01:02:03Z OOPS", ["t.report"]),
        ("2026-11-23T01:02:03Z [    1.000000] OOPS", ["t.report"]),
        ("2026-11-23T01:02:03.123456789Z stdout F OOPS", ["t.report"]),
        ("2026-11-23 01:02:03 app[3]: OOPS", []),
        ("2026-11-23 01:02:03,123 ERROR app: OOPS", []),
        ("Nov 23 01:02:03 [    1.000000] OOPS", ["t.report"]),
        ("[2026-11-23 01:02:03] OOPS", ["t.report"]),
        ("[2026-11-23 01:02:03] [    1.000000] app[3]: OOPS", []),
        ("01:02:03.123 OOPS", ["t.report"]),
    ],
)
def test_who_may_print_a_start(line, found):
    assert titles(line.encode() + b"\n") == found


@pytest.mark.parametrize(
    ("front", "confidence"),
    [
        (b"", "certain"),
        (b"h login: ", "certain"),
        (b"# ", "certain"),
        (b"Starting the log: 20% ", "certain"),
        (b"> ", "likely"),
        (b"> > ", "likely"),
        (b"| ", "likely"),
        (b"+", "likely"),
        (b"12: ", "likely"),
    ],
)
def test_a_quoted_line_is_less_sure(front, confidence):
    (incident,) = tocsin.scan(front + b"[    1.000000] OOPS\n", rules())
    assert incident.confidence == confidence
    stamped = b"".join(b"[    0.%06d] all is well\n" % n for n in range(20))
    (incident,) = tocsin.scan(stamped + front + b"[    1.000000] OOPS\n", rules())
    assert incident.confidence == ("certain" if confidence == "certain" else "unverified")


# -- prefixes ------------------------------------------------------------------------------------

EPOCH = 1795395723.0  # 2026-11-23 01:02:03 UTC, by GNU date


@pytest.mark.parametrize(
    ("prefix", "time", "clock", "host", "caller", "level"),
    [
        ("", None, None, None, None, None),
        ("[    1.250000] ", 1.25, "kernel", None, None, None),
        ("[20.610934] ", 20.610934, "kernel", None, None, None),
        ("[4430031.262899] ", 4430031.262899, "kernel", None, None, None),
        ("<3>[    1.250000] ", 1.25, "kernel", None, None, 3),
        ("[    1.250000][  T117] ", 1.25, "kernel", None, "T117", None),
        ("[    1.250000][    C3] ", 1.25, "kernel", None, "C3", None),
        ("<4>[    1.250000][T1] ", 1.25, "kernel", None, "T1", 4),
        ("Nov 23 01:02:03 web-1 kernel: ", None, None, "web-1", None, None),
        ("Nov  3 01:02:03 web-1 kernel: [    1.250000] ", 1.25, "kernel", "web-1", None, None),
        ("Nov 23 01:02:03 web-1 kernel: [    1.250000][T9] ", 1.25, "kernel", "web-1", "T9", None),
        ("2026-11-23T01:02:03+00:00 db kernel: ", EPOCH, "wall", "db", None, None),
        ("2026-11-23T02:02:03+01:00 db kernel: ", EPOCH, "wall", "db", None, None),
        ("2026-11-23T01:02:03.500Z db kernel: ", EPOCH + 0.5, "wall", "db", None, None),
        ("2026-11-23 01:02:03 db kernel: ", EPOCH, "wall", "db", None, None),
        ("[Mon Nov 23 01:02:03 2026] ", EPOCH, "wall", None, None, None),
        ("[    1.250000 <    0.000125>] ", 1.25, "kernel", None, None, None),
        ("[    1.250000 <    0.000125 >] web-1 kernel: ", 1.25, "kernel", "web-1", None, None),
        ("[Nov23 01:02] ", None, None, None, None, None),
        ("[  +0.000125] ", None, None, None, None, None),
        ("2026-11-23T01:02:03,000000+00:00 ", EPOCH, "wall", None, None, None),
        ("kern  :err   : 2026-11-23T01:02:03,000000+00:00 ", EPOCH, "wall", None, None, 3),
        ("1795395723.000000 db kernel: ", EPOCH, "wall", "db", None, None),
        ("Mon 2026-11-23 01:02:03 UTC db kernel: ", EPOCH, "wall", "db", None, None),
        ("Mon Nov 23 01:02:03 2026 kern.err kernel: ", None, None, None, None, 3),
        ("Mon Nov 23 01:02:03 2026 kern.err kernel: [  1.250000] ", 1.25, "kernel", None, None, 3),
        ("Nov 23 01:02:03 db kern.warn kernel: ", None, None, "db", None, 4),
        ("Nov 23 01:02:03 db kern.info kernel: ", None, None, "db", None, 6),
        ("Nov 23 2026 01:02:03 db kernel: ", None, None, "db", None, None),
        ("Nov 23 01:02:04 relay Nov 23 01:02:03 db kernel: ", None, None, "db", None, None),
        ("98 <3>1 2026-11-23T01:02:03Z db kernel - - - ", EPOCH, "wall", "db", None, 3),
        ("2026-11-23T01:02:03Z ", EPOCH, "wall", None, None, None),
        ("2026-11-23T01:02:03Z [    1.250000] ", 1.25, "kernel", None, None, None),
        ("2026-11-23T01:02:03.000Z stderr P ", EPOCH, "wall", None, None, None),
        ("2026-11-23 01:02:03.000+0000: ", EPOCH, "wall", None, None, None),
        ("[2026-11-23 01:02:03] ", EPOCH, "wall", None, None, None),
        ("[2026-11-23T01:02:03Z] [    1.250000][    C2] ", 1.25, "kernel", None, "C2", None),
        ("Nov 23 01:02:03 [    1.250000] ", 1.25, "kernel", None, None, None),
        ("01:02:03.123456 > ", None, None, None, None, None),
        ("<3>1 2026-11-23T01:02:03Z db kernel - - - ", EPOCH, "wall", "db", None, 3),
        ("3,1234,1250000,-;", 1.25, "kernel", None, None, 3),
        ("3,1234,1250000,-,caller=T12;", 1.25, "kernel", None, "T12", 3),
        ("[    1.250000] [    T12] ", 1.25, "kernel", None, "T12", None),  # util-linux 2.40
        ("kern  :err   : [    1.250000] [     C1] ", 1.25, "kernel", None, "C1", 3),
        ("Nov 23 01:02:03 web kernel: [    1.250000] [T12] ", 1.25, "kernel", "web", "T12", None),
        ("[Mon Nov 23 01:02:03 2026] [    T12] ", 1795395723, "wall", None, "T12", None),
        ("[Mon Nov 23 01:02:03 2026][    1.250000] ", 1.25, "kernel", None, None, None),
        ("6.1.0-18-amd64,3,1234,1250000,-,caller=C1;", 1.25, "kernel", None, "C1", 3),
        ("kern  :err   : [    1.250000] ", 1.25, "kernel", None, None, 3),
        ("kern  :crit  : ", None, None, None, None, 2),
        ("[    1.250000] web-1 kernel: ", 1.25, "kernel", "web-1", None, None),
        ("kern  :debug : [    1.250000][  T117] ", 1.25, "kernel", None, "T117", 7),
        ("\x1b[0;1;31m[    1.250000] ", 1.25, "kernel", None, None, None),
        ("\r\x00[    1.250000] ", 1.25, "kernel", None, None, None),
    ],
)
def test_prefixes(prefix, time, clock, host, caller, level):
    line = prefix.encode() + b"ABBA"
    (incident,) = tocsin.scan(line + b"\n", rules())
    got = (incident.timestamp, incident.clock, incident.host, incident.caller, incident.level)
    assert got == (time if time is None else pytest.approx(time), clock, host, caller, level)
    assert line.endswith(incident.lines[0])


@pytest.mark.parametrize(
    "prefix",
    [
        "[", "[]", "[1", "[1.", "[1.2", "[1.23456", "[  ", "<", "<>", "<3", "<9999>", "Nov", "Nov ",
        "Nov 2", "Nov 23 01", "Nov 23 01:02:03", "Nov 99 01:02:03 h kernel: ", "2026-11-23T01:02",
        "2026-13-23T01:02:03Z h kernel: ", "3,1,2", "3,1,2,-", "kern  :", "kern  :odd   : ",
        "<3>1", "<3>1 ", "<3>1 -", "<3>1 - - - - - [", "<3>1 - - - - - [a\\",
        "[99999999999999999999",
        "[Mon Nov 23 01:02:03 2026", "[Mon Nov", "\x1b", "\x1b[", "\x1b[3", "[    1.000000][",
        "[    1.000000][T", "[    1.000000][T1", "7" * 300, ",,,;", "3,1,2,-,caller=;",
    ],
)  # fmt: skip
def test_torn_prefixes_are_text(prefix):
    """Nothing is raised whatever is cut off, and what follows is judged all the same."""
    for end in ("", "\n", " \n", "OOPS\n", " OOPS\n"):
        tocsin.scan((prefix + end).encode(), rules())
    assert titles(prefix.encode() + b"\nABBA\n") == ["t.body"]


# -- line ends and glued lines -------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n", b"\r\r\r\n"])
def test_line_ends(end):
    log = end.join([b"x", b"[    1.000000] OOPS", b"[    1.000001]  f+0x1/0x2", b""])
    (incident,) = tocsin.scan(log, rules())
    assert [line.rstrip(b"\r") for line in incident.lines] == [
        b"[    1.000000] OOPS", b"[    1.000001]  f+0x1/0x2",
    ]  # fmt: skip
    assert incident.start == 1 + len(end)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r\r\n"])
@pytest.mark.parametrize("between", [b"", b"x", b"xy", b"xyz"])
def test_spans_hold_no_foreign_line(between, end):
    first, last = b"[    1.000001] OOPS", b"[    1.000002]  f+0x1/0x2"
    middle = [between] if between else []
    log = end.join([first, *middle, last, b""])
    (incident,) = tocsin.scan(log, rules())
    # A line without a stamp is of another context than the report's.
    if between:
        assert incident.spans == (
            (0, len(first)), (log.index(last), log.index(last) + len(last)),
        )  # fmt: skip
    else:
        assert incident.spans == ((0, len(log) - len(end)),)


def test_a_kernel_line_behind_a_prompt():
    log = b"web login: [  126.707900] OOPS\n[  126.707901]  f+0x1/0x2\n"
    (incident,) = tocsin.scan(log, rules())
    assert incident.lines[0] == b"[  126.707900] OOPS"
    assert incident.start == 11
    assert incident.timestamp == pytest.approx(126.7079)


def test_two_kernel_lines_on_one():
    log = b"abc[    4.000001] DOWN sda[    4.000002] DOWN sdb\n"
    assert [i.title for i in tocsin.scan(log, rules())] == ["down sda", "down sdb"]


def test_a_stamp_inside_a_text_of_a_program_is_still_a_kernel_line():
    # Who prints kernel lines on its terminal can forge them: known, and said in `confidence`
    # only where no stamp is forged.
    log = b"x" * 40 + b"[    4.000001] DOWN sda\n"
    assert [i.title for i in tocsin.scan(log, rules())] == ["down sda"]


@pytest.mark.parametrize("tail", [b"", b"\n"])
def test_the_last_line_needs_no_line_end(tail):
    assert titles(b"x\nOOPS" + tail) == ["t.report"]


def test_nothing_at_all():
    for log in (b"", b"\n", b"\n\n", b"\r\n", b"\x00"):
        assert titles(log) == []


# -- over-long lines -----------------------------------------------------------------------------

LINE = 256


def scan_limited(log, **limits):
    scanner = tocsin.Scanner(rules(), limits=tocsin.Limits(line_bytes=LINE, **limits))
    return scanner.feed(log) + scanner.flush(), scanner.counts


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [LINE - 2, LINE - 1, LINE, LINE + 1, LINE + 2, 2 * LINE, 5 * LINE])
def test_a_line_around_the_limit(size, end):
    line = b"ABBA " + b"-" * (size - 5)
    incidents, counts = scan_limited(line + end + b"ABBA\n")
    # The carriage return is a byte of the line like any other until the line end is there.
    long = size + len(end.rstrip(b"\n")) > LINE
    if not end:
        line += b"ABBA"
        long = len(line) > LINE
    assert counts["overlong_lines"] == long
    first = incidents[0]
    assert first.start == 0
    assert first.truncated == long
    assert first.lines[0] == line[: LINE if long else None]
    assert len(incidents) == 1 or incidents[1].start >= size


def test_pieces_do_not_depend_on_cuts():
    log = b"OOPS" + b"-" * 251 + b"ABBA" + b"-" * 600 + b"DOWN x\n" + b"ABBA\n"
    whole = look(scan_limited(log)[0])
    for step in (1, 2, 3, 255, 256, 257, 1000):
        scanner = tocsin.Scanner(rules(), limits=tocsin.Limits(line_bytes=LINE))
        out = []
        for at in range(0, len(log), step):
            out += scanner.feed(log[at : at + step])
            scanner = tocsin.Scanner.loads(scanner.dumps(), rules())
        assert look(out + scanner.flush()) == whole


def test_many_hits_in_one_line_take_linear_time():
    """`also` and `end` look at the whole line: not once more for every hit."""
    ruleset = load("schema = 1\n" + rule("t.a", 'literal = "abcd"\nalso = "zzzz"')
                   + rule("t.e", 'literal = "bcda"\nanchor = "end"'))  # fmt: skip
    import time

    def seconds(log):
        best = 9.0
        for _ in range(3):
            begin = time.perf_counter()
            tocsin.scan(log, ruleset)
            best = min(best, time.perf_counter() - begin)
        return best

    few = seconds((b"abcd" * 15 + b" " * 4 + b"\n") * 16_000)
    many = seconds((b"abcd" * 7_500 + b" " * 30_000 + b"\n") * 17)
    assert many < 12 * few + 0.05
