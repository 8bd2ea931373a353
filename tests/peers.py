"""Real programs and libraries that tests run against, and what it means that one is not there.

`ci/setup` installs them. Where CI=true a missing one is a failure; elsewhere its tests are skipped,
and the summary of the run says what was not tested (tests/conftest.py).
"""

import importlib
import os
import shutil
from pathlib import Path

import pytest

NOT_TESTED = "NOT TESTED against "
# Not on every user's PATH: what an administrator runs, and what ci/setup only unpacked.
PLACES = ("/usr/sbin", "/sbin", "/lib/systemd", str(Path(__file__).parent.parent / "build/peers"))


def missing(what):
    text = f"{NOT_TESTED}{what}: not installed (ci/setup does that)"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)


def program(name):
    """Its path."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *PLACES])
    return shutil.which(name, path=path) or missing(name)


def module(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return missing(name)
