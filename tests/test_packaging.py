"""What is packed: the files that must travel with the modules, and nothing that is asked for."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tocsin

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "tocsin"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """The Python side of a wheel, as the build backend lays it out; nothing is compiled."""
    target = tmp_path_factory.mktemp("packed")
    subprocess.run(
        [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(target)],
        cwd=ROOT, check=True, timeout=300,
    )  # fmt: skip
    return target / "tocsin"


@pytest.mark.parametrize(
    "pattern",
    ["**/*.py", "py.typed", "**/*.pyi", "**/*.pxd", "**/*.h", "rules/builtin/*.toml",
     "rules/SCHEMA.md", "sinks/*.json"],
)  # fmt: skip
def test_the_package_carries(packed, pattern):
    expected = {path.relative_to(SOURCE) for path in SOURCE.glob(pattern)}
    assert expected
    assert {path.relative_to(packed) for path in packed.glob(pattern)} == expected


def test_the_package_carries_no_sources_of_the_core(packed):
    assert not [*packed.rglob("*.pyx"), *packed.rglob("*.c")]


def test_every_core_module_has_a_stub():
    modules = {path.stem for path in (SOURCE / "_core").glob("*.pyx")}
    assert modules
    assert {path.stem for path in (SOURCE / "_core").glob("*.pyi")} == modules


def test_the_version_is_told_once():
    assert PROJECT["version"] == tocsin.__version__


def test_nothing_is_needed_at_run_time():
    assert PROJECT["dependencies"] == []
    # -S: no site-packages. What is imported comes from the package and the standard library.
    code = (
        f"import sys; sys.path.insert(0, {str(Path(tocsin.__file__).parent.parent)!r})\n"
        "import tocsin\n"
        "for name in tocsin.__all__: getattr(tocsin, name)\n"
        "assert tocsin.scan(b'Kernel panic - not syncing: x\\n')\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}"
        " - set(sys.stdlib_module_names)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code], check=True, timeout=60, capture_output=True,
        text=True,
    )  # fmt: skip
    # Cython registers what its modules share under a name of its own.
    others = {name for name in done.stdout.split() if not name.startswith("_cython_")}
    assert others <= {"tocsin", "__main__", "cython_runtime"}


def test_an_unknown_build_is_refused():
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, timeout=60, capture_output=True,
        text=True, check=False, env={**os.environ, "TOCSIN_BUILD": "fast"},
    )  # fmt: skip
    assert done.returncode != 0
    assert "TOCSIN_BUILD='fast': expected one of release, debug, sanitize" in done.stderr


def test_the_declared_pythons_are_the_tested_ones():
    classified = {
        row.rpartition(" ")[2]
        for row in PROJECT["classifiers"]
        if re.search(r":: 3\.\d+$", row)
    }
    tested = re.search(r"^for version in ([\d. ]+);", (ROOT / "ci" / "versions").read_text(), re.M)
    assert set(tested[1].split()) == classified
