"""The way in for C: the extensions of examples/extension, built and run as a user would."""

import contextlib
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

import tocsin

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples" / "extension"
LOGS = sorted((ROOT / "examples").glob("*.log"))
LOG = (ROOT / "examples" / "five-troubles.log").read_bytes()  # some close before its end
PACKAGE = Path(tocsin.__file__).parent
HEADER = Path(tocsin.get_include()) / "tocsin.h"
SOURCES = ("setup.py", "tap.c", "lines.pyx")


def build(folder, **environment):
    """The extensions of `folder`, compiled there by setuptools against the tocsin under test."""
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", name="built")
def _built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extension")
    for name in SOURCES:
        shutil.copy(EXAMPLE / name, folder)
    # A header that does not stand alone, or warns, is a nuisance in somebody else's build.
    build(folder, CFLAGS="-Wall -Wextra -Werror=implicit-function-declaration")
    return folder


@pytest.fixture(scope="module", name="modules")
def _modules(built):
    sys.path.insert(0, str(built))
    try:
        yield importlib.import_module("tap"), importlib.import_module("lines")
    finally:
        sys.path.remove(str(built))


@pytest.fixture(name="tap")
def _tap(modules):
    return modules[0]


@pytest.fixture(name="lines")
def _lines(modules):
    return modules[1]


def test_the_header_lies_in_the_package():
    assert HEADER.is_file()
    assert HEADER.is_relative_to(PACKAGE)


# -- a scanner ---------------------------------------------------------------------------------


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.stem)
def test_a_console_read_in_c_gives_the_same_incidents(tap, log):
    data = log.read_bytes()
    here, there = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(there, data), os.close(there)))
    writer.start()
    scanner, found = tocsin.Scanner(), []
    while (incidents := tap.listen(scanner, here)) is not None:
        assert incidents
        found += incidents
    found += scanner.flush()
    writer.join()
    os.close(here)
    assert found == tocsin.scan(data)


@pytest.mark.parametrize("step", [1, 97, 4096])
def test_chunks_fed_by_cython_give_the_same_incidents(lines, step):
    data = LOG
    scanner, found = tocsin.Scanner(), []
    for at in range(0, len(data), step):
        found += lines.feed(scanner, data[at : at + step])
    assert found
    assert found + scanner.flush() == tocsin.scan(data)
    assert scanner.offset == len(data)


def test_what_was_fed_in_c_is_in_the_state(lines):
    data = LOG
    scanner = tocsin.Scanner()
    found = lines.feed(scanner, data[:1000])
    scanner = tocsin.Scanner.loads(scanner.dumps())
    found += lines.feed(scanner, data[1000:])
    assert found
    assert found + scanner.flush() == tocsin.scan(data)


@pytest.mark.parametrize("wrong", [None, 1, "scanner", tocsin.Automaton([b"x"]), tocsin.Scanner])
def test_only_a_scanner_is_one(lines, tap, wrong):
    with pytest.raises(TypeError, match=r"expected a tocsin\.Scanner, got "):
        lines.feed(wrong, b"x")
    with pytest.raises(TypeError, match=r"expected a tocsin\.Scanner, got "):
        tap.listen(wrong, 0)


def test_a_closed_scanner_takes_nothing(lines):
    scanner = tocsin.Scanner()
    scanner.close()
    with pytest.raises(ValueError, match="this scanner is closed"):
        lines.feed(scanner, b"x")


def test_an_error_of_the_reading_is_told(tap):
    with pytest.raises(OSError, match="Bad file descriptor"):
        tap.listen(tocsin.Scanner(), 10_000)


# -- an automaton ------------------------------------------------------------------------------

WORDS = tocsin.Automaton([b"kernel", b"error", b"or", b"panic"])


def test_lines_are_searched_without_the_gil(lines):
    data = LOG
    expected = [n for n, line in enumerate(data.split(b"\n")) if WORDS.is_match(line)]
    assert expected
    assert lines.matching(WORDS, data) == (len(expected), expected[0])
    assert lines.matching(WORDS, b"") == (0, None)
    assert lines.matching(WORDS, b"quiet\n\nquiet") == (0, None)


def test_matches_are_written_where_the_caller_wants_them(lines):
    data = LOG
    found = WORDS.find_all(data)
    assert lines.first_match(WORDS, data) == (found[0], len(found))
    assert lines.first_match(WORDS, b"nothing") is None
    assert lines.first_match(WORDS, b"an error") == ((1, 3, 8), 2)


def test_only_an_automaton_is_one(lines):
    with pytest.raises(TypeError, match=r"expected a tocsin\.Automaton, got Scanner"):
        lines.matching(tocsin.Scanner(), b"x")


# -- versions and misuse -----------------------------------------------------------------------


def compile_against(folder, header, **environment):
    """tap.c against another header, imported by an interpreter of its own: what that says."""
    (folder / "other").mkdir()
    (folder / "other" / "tocsin.h").write_text(header)
    shutil.copy(EXAMPLE / "tap.c", folder)
    (folder / "setup.py").write_text(
        "from setuptools import Extension, setup\n"
        "setup(name='tap', ext_modules=[Extension('tap', ['tap.c'], include_dirs=['other'])])\n"
    )
    build(folder, **environment)
    return subprocess.run(
        [sys.executable, "-c", "import tap"], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)}, timeout=60, check=False,
    )  # fmt: skip


def test_the_limited_api_of_python_is_enough(tmp_path):
    done = compile_against(
        tmp_path, HEADER.read_text(), CFLAGS="-DPy_LIMITED_API=0x030B0000 -Werror"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_extension_of_another_version_says_so(tmp_path):
    header, changed = re.subn(
        r"#define TOCSIN_ABI \d+", "#define TOCSIN_ABI 99", HEADER.read_text()
    )
    assert changed == 1
    done = compile_against(tmp_path, header)
    assert done.returncode == 1
    version = re.escape(tocsin.__version__)
    assert re.search(
        r"ImportError: this extension was built for version 99 of tocsin's C interface, but the "
        rf"installed tocsin {version} has version \d+: build the extension again for it",
        done.stderr,
    )


def test_an_extension_that_wants_newer_functions_says_so(tmp_path):
    header, changed = re.subn(
        r"^} tocsin_api;", "    int (*later)(void);\n} tocsin_api;", HEADER.read_text(),
        flags=re.M,
    )  # fmt: skip
    assert changed == 1
    done = compile_against(tmp_path, header)
    assert done.returncode == 1
    assert re.search(
        r"ImportError: this extension was built with the header of a newer tocsin than the "
        rf"installed {re.escape(tocsin.__version__)} \(\d+ bytes of functions, there are \d+\)",
        done.stderr,
    )


CHECKS = r"""
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include "tocsin.h"

/* What no well-behaved extension does: feed and leave the incidents, feed a busy scanner. */
static PyObject *feed(PyObject *m, PyObject *args)
{
    const tocsin_api *api = tocsin_import();
    PyObject *scanner;
    const char *data;
    Py_ssize_t size;
    tocsin_scanner *stream;
    if (api == NULL || !PyArg_ParseTuple(args, "Oy#", &scanner, &data, &size))
        return NULL;
    stream = api->scanner(scanner);
    if (stream == NULL)
        return NULL;
    return PyLong_FromSsize_t(api->feed(stream, (const unsigned char *)data, (size_t)size));
}

static PyObject *find(PyObject *m, PyObject *args)
{
    const tocsin_api *api = tocsin_import();
    PyObject *object, *out;
    const char *data;
    Py_ssize_t size, room;
    ptrdiff_t total;
    const tocsin_automaton *automaton;
    tocsin_match matches[16];
    if (api == NULL || !PyArg_ParseTuple(args, "Oy#n", &object, &data, &size, &room))
        return NULL;
    automaton = api->automaton(object);
    if (automaton == NULL)
        return NULL;
    total = api->find(automaton, (const unsigned char *)data, (size_t)size,
                      room ? matches : NULL, (size_t)room);
    out = PyList_New(0);
    for (ptrdiff_t i = 0; i < total && i < room; i++) {
        PyObject *row = Py_BuildValue("KKK", matches[i].pattern, matches[i].start, matches[i].end);
        PyList_Append(out, row);
        Py_DECREF(row);
    }
    return Py_BuildValue("nnN", (Py_ssize_t)total,
                         (Py_ssize_t)api->count(automaton, (const unsigned char *)data, size), out);
}

static PyMethodDef methods[] = {
    {"feed", feed, METH_VARARGS, NULL}, {"find", find, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "checks", NULL, -1, methods};
PyMODINIT_FUNC PyInit_checks(void) { return PyModule_Create(&definition); }
"""


@pytest.fixture(scope="module", name="checks")
def _checks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checks")
    (folder / "checks.c").write_text(CHECKS)
    (folder / "setup.py").write_text(
        "import tocsin\nfrom setuptools import Extension, setup\n"
        "setup(name='checks', ext_modules=[Extension('checks', ['checks.c'], "
        "include_dirs=[tocsin.get_include()])])\n"
    )
    build(folder)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    spec = importlib.util.spec_from_file_location("checks", folder / f"checks{suffix}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module




def test_incidents_wait_until_they_are_taken(checks):
    log = LOG
    scanner = tocsin.Scanner()
    assert checks.feed(scanner, b"") == 0
    waiting = checks.feed(scanner, log)
    assert waiting > 0
    assert checks.feed(scanner, b"") == waiting
    with pytest.raises(RuntimeError, match="incidents wait in this scanner"):
        scanner.dumps()
    found = scanner.feed(b"")
    assert len(found) <= waiting
    assert checks.feed(scanner, b"") == 0
    scanner.dumps()
    assert found + scanner.flush() == tocsin.scan(log)


def test_room_for_matches_is_kept_to(checks):
    data = b"kernel error: panic, error"
    rows = list(WORDS.find_all(data))
    assert len(rows) == 6
    for room in (0, 1, 5, 6, 16):
        assert checks.find(WORDS, data, room) == (6, 6, rows[:room])
    assert checks.find(WORDS, b"", 16) == (0, 0, [])


def test_a_second_thread_is_refused(checks, lines):
    scanner = tocsin.Scanner()
    quiet = b"[    1.000000] usb 1-1: new device\n" * 1_000_000
    answers, done = [], threading.Event()

    def other():
        while not done.is_set():
            with contextlib.suppress(RuntimeError):  # the main thread's turn
                lines.feed(scanner, quiet)

    thread = threading.Thread(target=other)
    thread.start()
    try:
        while -2 not in answers[-1:] and len(answers) < 100_000:
            answers.append(checks.feed(scanner, b"x\n"))
    finally:
        done.set()
        thread.join()
    assert set(answers) <= {0, -2}
    assert answers[-1] == -2
    assert checks.feed(scanner, b"x\n") == 0
