"""tocsin rules, explain and --version."""

import json
import subprocess
import sys
import time

import pytest

from tests.cli_program import RULES, run


@pytest.fixture(name="rules")
def _rules(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(RULES)
    return path


def alone(path):
    return "--no-builtin", "--rules", path


def test_list(rules):
    done = run("rules", "list", *alone(rules))
    assert done.returncode == 0
    assert done.stdout == """\
ID       KIND           SEVERITY  TITLE
t.clock  virt.clock     warning   The clock went back
t.disk   storage.block  err       I/O error on {device}
t.oom    memory.oom     crit      Out of memory: killed {victim}
t.noise  -              noise     (Knocks at the door.)
"""


def test_list_takes_paths_too(rules):
    assert "t.oom" in run("rules", "list", "--no-builtin", rules).stdout


def test_list_jsonl(rules):
    done = run("rules", "list", "--format", "jsonl", *alone(rules))
    rows = {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert set(rows) == {"t.clock", "t.disk", "t.oom", "t.noise"}
    assert rows["t.oom"]["kind"] == "memory.oom"
    assert rows["t.oom"]["severity"] == "crit"
    assert rows["t.oom"]["advice"][1] == "Give the machine more memory."
    assert rows["t.noise"]["reason"] == "Knocks at the door."


def test_list_of_the_builtin_rules():
    done = run("rules", "list")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 4


def test_check_of_good_rules(rules):
    done = run("rules", "check", rules)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{rules}: no errors\n"
    assert run("rules", "check", "-q", rules).stdout == ""


def test_check_says_file_rule_key_and_what(rules, tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(RULES.replace("severity", "sevrity", 1))
    torn = tmp_path / "torn.toml"
    torn.write_text("[[rule]\n")
    done = run("rules", "check", bad, rules, torn, tmp_path / "none.toml")
    assert done.returncode == 2
    assert done.stdout == f"{rules}: no errors\n"
    first, second, third = done.stderr.splitlines()
    assert "bad.toml" in first
    assert ': rule "t.oom": sevrity: ' in first
    assert "torn.toml: " in second
    assert "none.toml: No such file or directory" in third


def test_test_runs_the_examples(rules):
    done = run("rules", "test", *alone(rules))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "4 rules, 4 examples, 4 counterexamples: all as expected\n"
    assert run("rules", "test", "-q", *alone(rules)).stdout == ""


def test_test_prints_failures(rules):
    text = RULES.replace('title = "I/O error on sda"', 'title = "I/O error on sdz"')
    text = text.replace("[    1.0] clocksource: tsc", "[    1.0] clocksource: went back")
    rules.write_text(text)
    done = run("rules", "test", *alone(rules))
    assert done.returncode == 1
    *failures, verdict = done.stdout.splitlines()
    assert verdict == "4 rules, 4 examples, 4 counterexamples: 2 failures"
    assert sum("t.disk" in line for line in failures) >= 1
    assert sum("t.clock" in line for line in failures) >= 1


def test_explain_a_rule(rules):
    done = run("explain", "t.oom", *alone(rules))
    assert done.returncode == 0
    assert done.stdout == """\
t.oom  memory.oom, crit
  Title: Out of memory: killed {victim}
  Meaning: The kernel ran out of memory and killed a program.
  What to do:
    - Look at the table of tasks.
    - Give the machine more memory.
  Looks for: "Out of memory: Killed process "
  Example:
    [    1.0] Out of memory: Killed process 412 (mysqld) total-vm:1kB
"""


@pytest.mark.parametrize("name", ["storage.block", "storage", "t.disk"])
def test_explain_a_kind_or_its_family(rules, name):
    done = run("explain", name, *alone(rules))
    assert done.stdout.startswith("t.disk  storage.block, err\n")
    assert "t.oom" not in done.stdout


def test_explain_noise(rules):
    done = run("explain", "t.noise", *alone(rules))
    assert done.stdout.startswith("t.noise  (noise: these lines are left out)\n  Why: Knocks at")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("t.oomm", "; did you mean t.oom"), ("memory.ooms", "; did you mean memory.oom"),
     ("stor", ""), ("xyzzy", "")],
)  # fmt: skip
def test_explain_what_nobody_knows(rules, name, hint):
    done = run("explain", name, *alone(rules))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"tocsin: no rule and no kind is called '{name}'{hint}")
    assert len(done.stderr.splitlines()) == 1


def test_explain_wraps_prose_and_collapses_line_ends(rules):
    long = 'meaning = "' + "long words\\n" * 20 + '"\n#'
    rules.write_text(RULES.replace('meaning = "Time is', long))
    done = run("explain", "t.clock", *alone(rules))
    rows = done.stdout.splitlines()
    start = next(n for n, text in enumerate(rows) if text.startswith("  Meaning: "))
    meaning = [rows[start].removeprefix("  Meaning: "), rows[start + 1], rows[start + 2]]
    assert " ".join(meaning).split() == ["long", "words"] * 20
    assert max(map(len, rows)) <= 100


def test_explain_in_colour(rules):
    done = run("explain", "t.oom", "--color", "always", *alone(rules))
    assert "\x1b[1mt.oom\x1b[0m" in done.stdout
    assert "\x1b[36mMeaning:\x1b[0m The kernel" in done.stdout


def test_version():
    done = run("--version")
    assert done.returncode == 0
    word, _, number = done.stdout.rstrip("\n").partition(" ")
    assert word == "tocsin"
    assert number[0].isdigit()


# `tocsin/__init__.py` imports everything as soon as any module of tocsin is asked for. Strict: the
# marks must go when its names come by module __getattr__ instead.
def test_version_loads_neither_core_nor_rules():
    code = (
        "import sys\nfrom tocsin.cli.main import main\n"
        "try: main(['--version'])\nexcept SystemExit: pass\n"
        "print(*(n for n in sys.modules if n.startswith('tocsin')))"
    )
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[1]
    heavy = [n for n in loaded.split() if n.startswith(("tocsin._core", "tocsin.rules"))]
    assert heavy == []


# Not strict: on an idle machine the eager import is just inside the limit.
@pytest.mark.slow
def test_version_is_quick():
    def best(*command):
        times = []
        for _ in range(9):
            began = time.perf_counter()
            subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - began)
        return min(times)

    assert best("-m", "tocsin.cli.main", "--version") - best("-c", "") < 0.08
