"""A ruleset small enough to reason about, for tests of the machine around the rules.

Its literals are short and made of few letters, so that random text of the same letters hits them.
"""

import functools
import tempfile
from pathlib import Path

import tocsin

TAIL = '''meaning = "m"
advice = []
[[rule.example]]
log = "x"
[[rule.counterexample]]
log = "x"
'''


def rule(ident, start, more="", **keys):
    rows = {"kind": "x.trouble", "severity": "err", "title": ident, **keys}
    head = "".join(f"{key} = {value!r}\n" for key, value in rows.items())
    return f"[[rule]]\nid = {ident!r}\n{head}{TAIL}[rule.start]\n{start}\n{more}\n"


RULES = "schema = 1\n" + "".join(
    [
        rule("t.report", 'literal = "OOPS"', '[rule.continue]\nshapes = ["frame", "words"]\n'
             'literal = "++++"\nlines = 5\nseconds = 10\n[rule.end]\nliteral = "END."',
             absorbs=["t.follow"]),
        rule("t.other", 'literal = "WARN"', '[rule.continue]\nshapes = ["frame"]\nlines = 5'),
        rule("t.side", 'literal = "DISC"', '[rule.continue]\nliteral = "disc"\nlines = 5',
             lane="disk"),
        rule("t.follow", 'literal = "FATAL"'),
        rule("t.line", 'literal = "DOWN"\nmatch = \'DOWN ?(?P<device>\\w*)\'',
             '[rule.fold]\nafter = "DOWN "', title="down {device}"),
        rule("t.word", 'literal = "ABAB"\nanchor = "word"'),
        rule("t.body", 'literal = "ABBA"\nanchor = "body"'),
        rule("t.tail", 'literal = "BABA"\nanchor = "end"'),
        rule("t.pair", 'literal = "AABB"\nalso = "BBB"\nnot = "AAAA"'),
        rule("t.bracket", 'literal = "dev ["\nanchor = "word"', origin="any"),
        rule("t.user", 'literal = "Traceback"', '[rule.continue]\nliteral = "  File"',
             origin="user", lane="user"),
    ]
) + '''
[[rule]]
id = "t.noise"
noise = true
reason = "r"
[rule.start]
literal = "KNOCK"
[[rule.example]]
log = "x"
[[rule.counterexample]]
log = "x"
[[console]]
state = "booting"
new_boot = true
literal = "Linux version"
[[console]]
state = "up"
literal = " login:"
anchor = "prompt"
[[console]]
state = "panicked"
literal = "PANIC"
'''  # fmt: skip


def load(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.toml")
        path.write_text(text)
        return tocsin.load_rules(path, builtin=False)


@functools.cache
def rules():
    return load(RULES)


def look(incidents):
    """All that must not depend on how a stream was cut."""
    return [
        (
            i.rule, i.kind, i.title, i.spans, i.signature, dict(i.fields), i.lines, i.count,
            i.ended, i.truncated, i.dropped_lines, i.timestamp, i.host, i.caller, i.boot,
            i.confidence, i.severity,
        )
        for i in incidents
    ]  # fmt: skip


def scan_cut(data, cuts, ruleset=None, snapshots=(), **options):
    """Fed in pieces that end at `cuts`, with a snapshot and restore before those in `snapshots`."""
    scanner = tocsin.Scanner(ruleset, **options)
    out, at = [], 0
    for number, cut in enumerate([*cuts, len(data)]):
        if number in snapshots:
            scanner = tocsin.Scanner.loads(scanner.dumps(), ruleset)
        out += scanner.feed(data[at:cut])
        at = cut
    out += scanner.flush()
    return look(out), scanner.console, scanner.offset, scanner.counts
