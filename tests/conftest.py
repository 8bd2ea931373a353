"""What all tests share: rules, a program to watch with, and where logs of other people may lie."""

import os
from pathlib import Path

import pytest

import tocsin
from tests import peers
from tests.cli_program import RULES
from tests.watch_program import Background

HERE = Path(__file__).parent
# Logs and knowledge that are not the project's own lie beside it, where they lie at all.
SHARED = HERE.parent.parent / "shared"


def pytest_addoption(parser):
    parser.addoption(
        "--update",
        action="store_true",
        default=os.environ.get("TOCSIN_UPDATE_CASES") == "1",
        help="rewrite the headers of the case files by what the scanner says now",
    )


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", ())
    reasons = {report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)}
    for reason in sorted(reason for reason in reasons if peers.NOT_TESTED in reason):
        terminalreporter.write_line(reason.removeprefix("Skipped: "), yellow=True)


@pytest.fixture(scope="session")
def builtin():
    return tocsin.load_rules()


@pytest.fixture(scope="session")
def shared():
    """The folder of other people's logs; a test that needs one is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the project")
    return SHARED


@pytest.fixture(scope="session")
def rules(tmp_path_factory):
    """Arguments for the rules of tests/cli_program.py instead of the built-in ones."""
    path = tmp_path_factory.mktemp("rules") / "t.toml"
    path.write_text(RULES)
    return ["--no-builtin", "--rules", path]


@pytest.fixture
def watch(tmp_path, rules):
    """Starts `tocsin watch ARGUMENTS`, its JSON lines in tmp_path/OUT; kills it in the end."""
    running = []

    def start(*arguments, out="out", **options):
        arguments = ["watch", *rules, "--format", "jsonl", *arguments]
        running.append(Background(tmp_path / out, *arguments, **options))
        return running[-1]

    yield start
    for program in running:
        program.kill()
