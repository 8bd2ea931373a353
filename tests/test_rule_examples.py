"""Every rule does what its own examples say, among all the others."""

from collections import defaultdict

import pytest

import tocsin
from tocsin.examples import run_examples
from tocsin.rules.compiled import TABLES
from tocsin.rules.loader import BUILTIN

FILES = sorted(path.name for path in BUILTIN.glob("*.toml") if path.name not in TABLES)


@pytest.fixture(scope="module", name="failures")
def _failures(builtin):
    by_file = defaultdict(list)
    for failure in run_examples(builtin):
        file = failure.split(":", 1)[0].rsplit("/", 1)[-1]
        by_file[file if file in FILES else "console.toml"].append(failure)
    return by_file


def test_there_are_rules_to_test(builtin):
    assert len(FILES) >= 15
    assert len(builtin) >= 300
    assert {rule.source.rsplit("/", 1)[-1] for rule in builtin} | {"console.toml"} >= set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_examples(file, failures):
    assert failures[file] == [], "\n" + "\n".join(failures[file])


RULES = r'''
schema = 1

[[rule]]
id = "t.pipe"
kind = "hardware.device"
severity = "err"
title = "Pipe {pipe} burst"
signature = ["pipe"]
meaning = "m"
advice = ["a"]
[rule.start]
literal = ["pipe burst: "]
match = 'pipe burst: (?P<pipe>\w+)'
[[rule.example]]
log = "pipe burst: north\n"
%s
[[rule.counterexample]]
log = "%s\n"
%s

[[rule]]
id = "t.drip"
noise = true
reason = "Drips."
[rule.start]
literal = ["drip-drip"]
[[rule.example]]
log = "%s\n"
[[rule.counterexample]]
log = "%s\n"

[[console]]
state = "up"
literal = ["house is open"]
[[console.example]]
log = "%s\n"
[[console.counterexample]]
log = "%s\n"
'''
RIGHT = (
    'title = "Pipe north burst"\nfields = { pipe = "north" }\ncount = 1\nkind = "hardware.device"',
    "a burst of laughter", "", "drip-drip pipe burst: south", "pipe burst: east", "house is open",
    "house is shut",
)  # fmt: skip


def run(tmp_path, **changes):
    parts = [changes.get(f"part{n}", text) for n, text in enumerate(RIGHT)]
    path = tmp_path / "t.toml"
    path.write_text(RULES % tuple(parts))
    return run_examples(tocsin.load_rules(path, builtin=False))


def test_right_examples_give_no_failures(tmp_path):
    assert run(tmp_path) == []


@pytest.mark.parametrize(
    ("part", "text", "failure"),
    [
        (0, 'title = "Pipe south burst"',
         "pipe: example[0]: title: expected 'Pipe south burst', got 'Pipe north burst'"),
        (0, 'fields = { pipe = "x" }', "pipe: example[0]: field pipe: expected 'x', got 'north'"),
        (0, "count = 2", "pipe: example[0]: count: expected 2, got 1"),
        (0, 'severity = "crit"', "pipe: example[0]: severity: expected 'crit', got 'err'"),
        (0, 'kind = "boot"',
         "pipe: example[0]: no incident of kind boot; got t.pipe 'Pipe north burst'"),
        (1, "pipe burst: up",
         "pipe: counterexample[0]: this rule must stay silent, got t.pipe 'Pipe up burst'"),
        (2, 'title = "Pipe"', "pipe: counterexample[0]: must still give an incident, got none"),
        (3, "pipe burst: south",
         "drip: example[0]: noise must stay silent, got t.pipe 'Pipe south burst'"),
        (4, "drip-drip pipe burst: x",
         "drip: counterexample[0]: must still give an incident, got none"),
        (5, "house", "console ['house is open']: example[0]: expected up, got unknown"),
        (6, "house is open",
         "console ['house is open']: counterexample[0]: expected another state, got up"),
    ],
)  # fmt: skip
def test_a_wrong_example_is_said(tmp_path, part, text, failure):
    failures = run(tmp_path, **{f"part{part}": text})
    assert len(failures) == 1
    got = failures[0].removeprefix(f"{tmp_path / 't.toml'}: ")
    assert got == failure if failure.startswith("console") else got == (
        'rule "t.' + failure.replace(":", '":', 1)
    )
