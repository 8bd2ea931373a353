"""Every case file gives what its headers say.

`pytest --update` rewrites the headers: read the diff.
"""

import re
import shutil

import pytest

from tests import cases

PATHS = cases.paths()


@pytest.mark.parametrize("path", PATHS, ids=cases.name)
def test_case(path, request):
    case = cases.Case(path)
    if request.config.getoption("--update"):
        case.update()
        case = cases.Case(path)
    assert case.mismatches() == []


def test_there_are_cases_of_every_family():
    # A corpus that is not found must not pass as a corpus without faults.
    assert len(PATHS) >= 150
    families = {path.parent.name for path in PATHS}
    assert families >= {
        "boot", "console", "contexts", "disk", "filesystem", "forged", "hardware", "kernel",
        "limits", "memory", "noise", "prefix", "requested", "userspace",
    }  # fmt: skip
    assert sum(cases.Case(path).quiet for path in PATHS) >= 30


def test_names_are_sentences():
    for path in PATHS:
        assert re.fullmatch(r"[a-z0-9.]+(-[a-z0-9.]+)+", path.stem), path
    stems = [path.stem for path in PATHS]
    assert len(set(stems)) == len(stems)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"kind: x\nlines: 1", "no blank line"),
        (b"kind: x\ncolour: red\n\nlog", "unknown header 'colour: red'"),
        (b"kind x\n\nlog", "unknown header 'kind x'"),
        (b"title: x\n\nlog", "title before any kind"),
        (b"kind: x\ntitle: a\ntitle: b\n\nlog", "title stands twice"),
        (b"console: up\n\nlog", "either incidents or quiet"),
        (b"kind: x\nquiet: yes\n\nlog", "either incidents or quiet"),
        (b"quiet: no\n\nlog", "expected yes"),
    ],
)
def test_a_bad_case_is_refused(tmp_path, text, what):
    path = tmp_path / "a.log"
    path.write_bytes(text)
    with pytest.raises(cases.BadCase, match=re.escape(what)):
        cases.Case(path)


def test_wrong_headers_are_found(tmp_path):
    path = tmp_path / "a.log"
    log = b"x\n[    1.000000] Out of memory: Killed process 412 (mysqld)\n"
    for head, parts in {
        "kind: memory.oom\nfields: victim=mysqld pid=412\nlines: 2": [],
        "kind: storage.raid": ["kind: expected 'storage.raid'"],
        "kind: memory.oom\nfields: pid=413 victim=x": ["pid: expected '413'", "victim: expected"],
        "kind: memory.oom\nlines: 1-2": ["lines: expected '1-2', got '2'"],
        "quiet: yes": ["not quiet: memory.oom"],
        "kind: memory.oom\nkind: memory.oom": ["expected 2 incidents, got 1", "memory.oom"],
        "kind: memory.oom\nconsole: up": ["console: expected up, got unknown"],
    }.items():
        path.write_bytes(head.encode() + b"\n\n" + log)
        found = cases.Case(path).mismatches()
        assert len(found) == len(parts), found
        for line, part in zip(found, parts, strict=True):
            assert part in line


def test_an_update_makes_a_case_right(tmp_path):
    path = tmp_path / "a.log"
    log = b"x\n[    1.000000] Out of memory: Killed process 412 (mysqld)\n\nrest\r\n"
    path.write_bytes(b"why: to see\nkind: x.y\nfields: pid=1\n\n" + log)
    cases.Case(path).update()
    case = cases.Case(path)
    assert case.mismatches() == []
    assert case.log == log
    assert case.of_log["why"] == "to see"
    assert case.incidents[0]["fields"] == "pid=412"
    again = tmp_path / "b.log"
    shutil.copy(path, again)
    cases.Case(again).update()
    assert again.read_bytes() == path.read_bytes()
