"""What all tests share: the ruleset, and where logs of other people may lie."""

import os
from pathlib import Path

import pytest

import tocsin

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


@pytest.fixture(scope="session")
def builtin():
    return tocsin.load_rules()


@pytest.fixture(scope="session")
def shared():
    """The folder of other people's logs; a test that needs one is skipped without it."""
    if not SHARED.is_dir():
        pytest.skip("no ../shared beside the project")
    return SHARED
