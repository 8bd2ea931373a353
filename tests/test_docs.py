"""The documents say what is so: their examples run, what they name exists, their tables agree."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import tocsin
from tocsin.rules.model import KINDS

ROOT = Path(__file__).parent.parent
DOCS = ("README.md", "CONTRIBUTING.md", "DESIGN.md")
README = (ROOT / "README.md").read_text()

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


def blocks(text):
    """(language, body, language and body of what follows directly) of every fenced block."""
    found = [(m[1], m[2], m.start(), m.end()) for m in BLOCK.finditer(text)]
    for here, after in zip(found, [*found[1:], ("", "", len(text), 0)], strict=False):
        adjoins = not text[here[3] : after[2]].strip()
        yield here[0], here[1], (after[0], after[1]) if adjoins else ("", "")


PYTHON = [(body, after) for language, body, after in blocks(README) if language == "python"]
CONSOLE = [body for language, body, _ in blocks(README) if language == "console"]
SHELL = [
    (name, body)
    for name in DOCS
    for language, body, _ in blocks((ROOT / name).read_text())
    if language in ("sh", "console")
]


@pytest.fixture
def shell(tmp_path):
    """Runs a script in bash at the project's root, where `tocsin` is the package under test."""
    program = tmp_path / "tocsin"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tocsin "$@"\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(Path(tocsin.__file__).parent.parent),
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
    }

    def run(script):
        return subprocess.run(
            ["bash", "-c", script], cwd=ROOT, env=environment, check=False, timeout=120,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ).stdout  # fmt: skip

    return run


def says(expected, got):
    """Whether `got` is `expected`, in which `...` stands for anything, also for several lines."""
    parts = (re.escape(part) for part in expected.rstrip("\n").split("..."))
    return re.fullmatch(r"[\s\S]*?".join(parts), got.rstrip("\n")) is not None


def test_three_dots_stand_for_anything():
    assert says("a ... z\n", "a b\nc z\n")
    assert not says("a ... z\n", "a b\nc\n")
    assert not says("a", "ab")


def test_the_readme_has_examples_of_each_sort():
    assert len(PYTHON) >= 3
    assert len(CONSOLE) >= 2


@pytest.mark.parametrize(("code", "after"), PYTHON)
def test_python_in_the_readme_prints_what_it_says(code, after, monkeypatch):
    monkeypatch.chdir(ROOT)
    language, expected = after
    assert language == "text", "a python block is followed by a text block: what it prints"
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "README.md", "exec"), {"__name__": "readme"})
    assert says(expected, out.getvalue()), out.getvalue()


@pytest.mark.parametrize("body", CONSOLE)
def test_commands_in_the_readme_print_what_they_say(body, shell):
    assert body.startswith("$ ")
    steps = [step.split("\n", 1) for step in body[2:].split("\n$ ")]
    # One shell runs them all, so that `$?` is the status of the command before.
    mark = "@@@ end of a command @@@"
    close = f"\nlast=$?; echo; echo '{mark}'; (exit $last)\n"
    script = "".join(command + close for command, *_ in steps)
    outputs = shell(script).split(f"\n{mark}\n")[:-1]
    assert len(outputs) == len(steps)
    for (command, *expected), got in zip(steps, outputs, strict=True):
        assert says("".join(expected), got), f"$ {command}\n{got}"


def commands():
    for name, body in SHELL:
        for line in body.splitlines():
            line = line.removeprefix("$ ").split("  #")[0]
            yield from ((name, part.strip()) for part in re.split(r"[|;]|&&", line))


def test_every_script_named_exists_and_runs():
    named = {(name, word) for name, line in commands() for word in re.findall(r"^ci/[\w-]+", line)}
    for name in DOCS:
        text = (ROOT / name).read_text()
        named |= {(name, word) for word in re.findall(r"`(ci/[a-z-]+)[ `]", text)}
    assert {word for _, word in named} >= {"ci/demo", "ci/test", "ci/score"}
    for name, word in named:
        assert os.access(ROOT / word, os.X_OK), f"{name} names {word}"


def test_every_command_and_option_named_exists(shell):
    named = {line for _, line in commands() if line.startswith("tocsin ")}
    named |= set(re.findall(r"`(tocsin [a-z][^`]*)`", README))
    assert named
    helps = {}
    for line in named:
        words = line.split()
        command = " ".join(words[1:3]) if words[1] in ("rules", "adapter") else words[1]
        if command not in helps:
            helps[command] = shell(f"tocsin {command} --help")
            assert helps[command].startswith("usage: "), line
        for option in re.findall(r"(?<= )--?[a-z][a-z-]*", line):
            assert option in helps[command], line
    for option in re.findall(r"`(--?[a-z][a-z-]*)", README):
        assert any(option in text for text in helps.values()), f"the README names {option}"


@pytest.mark.parametrize("name", DOCS)
def test_every_file_named_exists(name):
    text = (ROOT / name).read_text()
    named = set(re.findall(r"\]\((?!http)([^)#]+)\)", text))
    named |= set(re.findall(r"`((?:src|tests|ci|examples|bench)/[\w./*-]+)`", text))
    assert named
    for path in named:
        assert list(ROOT.glob(path)), f"{name} names {path}"


def table(heading):
    """First column -> row, of the first table under a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("|")
    ]
    return {row[0]: row for row in rows[2:]}


def test_the_readme_lists_the_kinds():
    cells = table("What it recognises")
    assert {kind for cell in cells for kind in re.findall(r"`([^`]+)`", cell)} == KINDS


def test_the_readme_lists_the_limits():
    rows = {name.strip("`"): row[1] for name, row in table("What you can rely on").items()}
    assert rows == {field.name: str(field.default) for field in fields(tocsin.Limits)}


def test_the_readme_lists_the_states():
    sentence = re.search(r"`scanner\.console` is one of `([^`]+)`", README)
    assert sentence[1].split() == [state.value for state in tocsin.ConsoleState]


def test_the_readme_gives_the_floors():
    floors = json.loads((ROOT / "ci" / "floors.json").read_text())
    rows = table("How good it is")
    corpora = {
        "real consoles with provoked trouble": ["consoles"],
        "syzkaller's crash-log tests": ["syzbot"],
        "syslog and authentication logs without trouble": ["noise"],
        "all of them": list(floors),
    }
    assert set(rows) == set(corpora)
    for name, sources in corpora.items():
        claims = re.findall(r"(?:^|, )([a-z ]+?) ([\d.]+) %", rows[name][1])
        assert claims
        for source in sources:
            for check, percent in claims:
                assert floors[source][check] * 100 == pytest.approx(float(percent)), (name, check)


def test_the_changelog_has_this_version():
    assert f"## [{tocsin.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
