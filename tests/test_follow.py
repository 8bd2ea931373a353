"""One followed log, look by look: what a program that is told late makes of it."""

import pytest

from tests.watch_program import append
from tocsin.sources.follow import Followed


class Heard:
    """A stream that keeps what it is fed."""

    def __init__(self):
        self.position = None
        self.where = None
        self.base = 0
        self.data = b""
        self.gaps = []

    @property
    def offset(self):
        return len(self.data)

    def feed(self, data):
        self.data += data

    def gap(self, reason, lost=0):
        self.gaps.append(reason)

    def moved(self):
        pass


class Alone:
    """No other log is followed."""

    def is_read_elsewhere(self, path, file):
        return False

    def is_read_as(self, path, file):
        return False

    def is_wanted(self, path):
        return False

    def is_output(self, status):
        return False


@pytest.fixture
def log(tmp_path):
    return tmp_path / "a.log"


def followed(log, heard, others=None):
    append(log, b"first\n")
    out = Followed(str(log), lambda _: heard, print, others or Alone(), from_end=False)
    while out.look(0.0, appeared=0):
        pass
    return out


def rotate(log, number, data):
    log.rename(f"{log}.{number}")
    append(log, data)


@pytest.mark.parametrize("told", [(1, 1), (0, 1, 1), (0, 2), (2,)])
def test_two_rotations_told_one_after_the_other(log, told):
    heard = Heard()
    one = followed(log, heard)
    rotate(log, 1, b"second\n")
    rotate(log, 2, b"third\n")
    for appeared in told:
        one.look(1.0, appeared=appeared)
    while one.look(1.0, appeared=0):
        pass
    assert heard.data == b"first\nsecond\nthird\n"
    assert heard.gaps == []
    one.close()


def test_two_rotations_of_which_one_is_told_too_late(log):
    heard = Heard()
    one = followed(log, heard)
    rotate(log, 1, b"second\n")
    rotate(log, 2, b"third\n")
    for appeared in (1, 0, 1):  # the kernel has put it into the queue after the file was seen
        one.look(1.0, appeared=appeared)
    assert heard.data == b"first\nthird\nsecond\n"  # out of its turn, yet not lost
    assert heard.gaps == []
    one.close()


def test_one_rotation_told_before_the_file_is_there(log):
    heard = Heard()
    one = followed(log, heard)
    log.rename(f"{log}.1")
    assert not one.look(1.0, appeared=0)
    append(log, b"second\n")
    assert one.look(1.0, appeared=1)
    assert heard.data == b"first\n"
    one.look(1.0, appeared=0)
    assert heard.data == b"first\nsecond\n"
    one.close()


def test_what_another_reads_is_no_part_of_this_log(log):
    heard = Heard()
    others = Alone()
    others.is_read_as = lambda path, file: path.endswith(".own")
    one = followed(log, heard, others)
    append(f"{log}.own", b"its own\n")
    rotate(log, 1, b"second\n")
    one.look(1.0, appeared=2)
    assert heard.data == b"first\nsecond\n"
    one.close()


def test_a_new_log_beside_an_empty_one_is_no_copy_of_it(log):
    heard = Heard()
    others = Alone()
    others.is_wanted = lambda path: path.endswith(".own")
    one = followed(log, heard, others)
    rotate(log, 1, b"")
    one.look(1.0, appeared=2)
    append(f"{log}.own", b"its own\n")
    one.look(2.0, appeared=0)
    assert heard.data == b"first\n"
    assert heard.gaps == []
    one.close()


def test_a_log_that_is_deleted_gives_its_room_back(log):
    append(log, b"one\n")
    stream = Heard()
    followed = Followed(str(log), lambda _: stream, print, Alone(), from_end=False)
    followed.look(1.0)
    writer = open(log, "ab", buffering=0)  # noqa: SIM115
    log.unlink()
    followed.look(2.0)
    writer.write(b"two\n")
    writer.close()
    followed.look(5.0)
    assert followed.is_open  # its writer may not know yet
    followed.look(13.0)
    assert not followed.is_open
    assert followed.gone_for == 11.0
    append(log, b"three\n")
    while followed.look(14.0):
        pass
    assert (stream.data, stream.gaps) == (b"one\ntwo\nthree\n", [])
