"""Files, directories and standard input."""

import gzip
import os

import pytest

from tocsin.sources.archive import ArchiveError
from tocsin.sources.files import CHUNK, Log, Unreadable, expand, open_log


def read(name):
    with open_log(str(name)) as log:
        return b"".join(log.chunks())


def piped(data):
    """A Log on the reading end of a pipe that holds `data`."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return Log("pipe", None, reader)


def test_a_directory_is_walked_in_order(tmp_path):
    for name in ("b.log", "a/z.log", "a/b/c.log", "a.log", "z/1", "z/10", "z/2"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x\n")
    (tmp_path / ".hidden").write_bytes(b"x\n")
    (tmp_path / "a" / "circle").symlink_to(tmp_path)
    (tmp_path / "link.log").symlink_to(tmp_path / "b.log")
    os.mkfifo(tmp_path / "fifo")
    want = sorted(str(p) for p in tmp_path.rglob("*") if p.is_file() and p.name != ".hidden")
    got = list(expand([str(tmp_path)]))
    assert sorted(got) == want
    assert [os.path.relpath(p, tmp_path) for p in got] == [
        "a/b/c.log", "a/z.log", "a.log", "b.log", "link.log", "z/1", "z/10", "z/2",
    ]  # fmt: skip


def test_names_that_are_no_directories_pass(tmp_path):
    names = ["-", "nosuch", str(tmp_path / "x")]
    assert list(expand(names)) == names


@pytest.mark.parametrize("content", [(), (".hidden",), ("sub/",)])
def test_a_directory_without_logs_is_said(tmp_path, content):
    for name in content:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    assert list(expand([str(tmp_path)])) == [Unreadable(str(tmp_path), "no logs in this directory")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_locked_directory_is_said(tmp_path):
    (tmp_path / "a.log").touch()
    (tmp_path / "b").mkdir(mode=0)
    locked = Unreadable(str(tmp_path / "b"), "Permission denied")
    assert list(expand([str(tmp_path)])) == [str(tmp_path / "a.log"), locked]


@pytest.mark.parametrize("size", [0, 1, 5, CHUNK - 1, CHUNK, 3 * CHUNK + 7])
def test_a_file_comes_whole_in_bounded_chunks(tmp_path, size):
    path = tmp_path / "log"
    data = os.urandom(size).replace(b"\x1f\x8b", b"..")
    path.write_bytes(data)
    with open_log(str(path)) as log:
        chunks = list(log.chunks())
    assert b"".join(chunks) == data
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)


def test_the_name_says_nothing_about_the_content(tmp_path):
    (tmp_path / "packed.log").write_bytes(gzip.compress(b"hello\n"))
    (tmp_path / "plain.gz").write_bytes(b"hello\n")
    assert read(tmp_path / "packed.log") == read(tmp_path / "plain.gz") == b"hello\n"


@pytest.mark.parametrize("how", ["plain", "packed", "pipe"])
def test_line_numbers(tmp_path, how):
    data = b"one\ntwo\n\nfour\n" * 10
    if how == "pipe":
        log = piped(data)
    else:
        (tmp_path / "log").write_bytes(gzip.compress(data) if how == "packed" else data)
        log = open_log(str(tmp_path / "log"))
    with log:
        assert b"".join(log.chunks()) == data
        assert [log.line_at(at) for at in (0, 3, 4, 8, 9, 14, len(data) - 1)] == [
            1, 1, 2, 3, 4, 5, 40,
        ]  # fmt: skip


def test_a_redirected_file_is_counted_from_where_reading_began(tmp_path):
    (tmp_path / "log").write_bytes(b"skipped\none\ntwo\n")
    fd = os.open(tmp_path / "log", os.O_RDONLY)
    os.read(fd, 8)
    with Log("log", None, fd) as log:
        assert b"".join(log.chunks()) == b"one\ntwo\n"
        assert log.line_at(4) == 2


def test_a_signature_that_comes_in_drops_is_seen():
    packed = gzip.compress(b"hello\n")
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        for byte in packed:
            os.write(writer, bytes((byte,)))
            os.sched_yield()
        os._exit(0)
    os.close(writer)
    with Log("pipe", None, reader) as log:
        assert b"".join(log.chunks()) == b"hello\n"
    os.waitpid(pid, 0)


def test_the_first_line_of_a_live_pipe_is_not_waited_for_twice():
    reader, writer = os.pipe()
    os.write(writer, b"hi\n")  # shorter than a signature, and no beginning of one
    with Log("pipe", None, reader) as log:
        assert next(log.chunks()) == b"hi\n"
    os.close(writer)


def test_a_binary_journal_is_refused_with_the_way_round(tmp_path):
    (tmp_path / "system.journal").write_bytes(b"LPKSHHRH" + bytes(200))
    with pytest.raises(ArchiveError, match="journalctl --file"):
        open_log(str(tmp_path / "system.journal"))


def test_a_refused_log_leaves_no_descriptor_open(tmp_path):
    (tmp_path / "x").write_bytes(b"LPKSHHRH")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ArchiveError):
        open_log(str(tmp_path / "x"))
    assert len(os.listdir("/proc/self/fd")) == before
