"""The state directory: where every stream stands, and what no sink has taken yet.

One transaction holds together what must not come apart: the scanner's state, the position it
belongs to, and the alarms found up to there. A process killed at any instant leaves the last
whole transaction; what was read after it is read again and gives the same alarms, once. SQLite
does the atomic writes and the fsync; `journal` keeps the bytes that cannot be read again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from tocsin.watch.alarms import Alarm, restore
from tocsin.watch.journal import HEADER, Journal
from tocsin.watch.streams import Saved

__all__ = ["DATABASE", "VERSION", "BadState", "Store"]

DATABASE = "state.sqlite"
VERSION = 1
# Told alarms are kept for `tocsin check` and to answer "did you tell me?".
KEPT_SECONDS = 30 * 86400
KEPT_ALARMS = 10000
TABLES = """
CREATE TABLE streams (
  name TEXT PRIMARY KEY, path TEXT, began REAL, base INTEGER, scanner BLOB, early TEXT,
  position TEXT, heard REAL, console TEXT, offset INTEGER, host TEXT) WITHOUT ROWID;
CREATE TABLE alarms (
  id INTEGER PRIMARY KEY, uid TEXT, observed REAL, severity INTEGER, kind TEXT, title TEXT,
  source TEXT, body TEXT);
CREATE TABLE waiting (sink TEXT, alarm INTEGER, PRIMARY KEY (sink, alarm)) WITHOUT ROWID;
CREATE TABLE sinks (name TEXT PRIMARY KEY, mark INTEGER) WITHOUT ROWID;
CREATE TABLE journal (epoch INTEGER, size INTEGER);
CREATE INDEX alarms_observed ON alarms (observed);
"""


class BadState(Exception):
    """A state directory that cannot be used, and why."""


class Store:
    def __init__(self, directory: str) -> None:
        self._lock = -1
        self._path = os.path.join(directory, DATABASE)
        try:
            _make(directory)
            self._lock = _lock(directory)
            with self._sound():
                self._db = _connect(self._path)
                row = self._db.execute("SELECT epoch, size FROM journal").fetchone()
                self._db.execute("SELECT count(*) FROM streams, waiting, sinks, alarms LIMIT 1")
            self.journal = Journal(os.path.join(directory, "journal"))
        except (OSError, BadState) as error:
            if self._lock >= 0:
                os.close(self._lock)
            if isinstance(error, BadState):
                raise
            where = error.filename or directory
            raise BadState(f"{where}: {error.strerror or error}") from error
        self._epoch: int = row[0] if row else self.journal.epoch
        self._journalled: int = row[1] if row else HEADER.size
        self._new = row is None

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        """Around what reads the database: what is no state of ours is said, with its place."""
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError, KeyError) as error:
            hint = ""
            if not isinstance(error, sqlite3.OperationalError):
                hint = "; it is damaged: move the directory away, and tocsin begins anew"
            raise BadState(f"{self._path}: {error}{hint}") from error

    def saved(self, name: str) -> Saved | None:
        with self._sound():
            row = self._db.execute("SELECT * FROM streams WHERE name = ?", (_sql(name),))
            found = row.fetchone()
            return None if found is None else _saved(found)

    def streams(self) -> Iterator[Saved]:
        with self._sound():
            for row in self._db.execute("SELECT * FROM streams").fetchall():
                yield _saved(row)

    def replay(self) -> Iterator[tuple[str, bytes]]:
        """What streams were fed after the last commit and nobody can read again."""
        if self.journal.epoch == self._epoch:
            yield from self.journal.replay(self._journalled)
        else:  # died between a commit that covered the whole journal and its restart
            self.journal.restart(self._epoch)

    def waiting(self, sink: str) -> list[tuple[int, Alarm]]:
        with self._sound():
            rows = self._db.execute(
                "SELECT id, body FROM waiting JOIN alarms ON id = alarm WHERE sink = ? ORDER BY id",
                (sink,),
            )
            return [(number, restore(body)) for number, body in rows]

    def mark(self, sink: str) -> int | None:
        with self._sound():
            row = self._db.execute("SELECT mark FROM sinks WHERE name = ?", (sink,)).fetchone()
            return None if row is None else row[0]

    def last_alarm(self) -> int:
        with self._sound():
            row = self._db.execute("SELECT ifnull(max(id), 0) FROM alarms").fetchone()
            return int(row[0])

    def commit(
        self,
        streams: Iterable[Saved] = (),
        alarms: Sequence[tuple[int, Alarm]] = (),
        sinks: Sequence[str] = (),
        taken: Iterable[tuple[str, int]] = (),
        marks: Mapping[str, int | None] | None = None,
        closed: Iterable[str] = (),
        *,
        sure: bool = True,
    ) -> None:
        """All of it or nothing. `sure`: on the disc when this returns, not just the kernel's.
        Raises OSError."""
        try:
            self._commit(streams, alarms, sinks, taken, marks, closed, sure=sure)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, str(error)) from error

    def _commit(
        self,
        streams: Iterable[Saved],
        alarms: Sequence[tuple[int, Alarm]],
        sinks: Sequence[str],
        taken: Iterable[tuple[str, int]],
        marks: Mapping[str, int | None] | None,
        closed: Iterable[str],
        *,
        sure: bool,
    ) -> None:
        db = self._db
        epoch, size = self.journal.epoch, self.journal.size
        restart = self.journal.is_long
        if restart:
            epoch, size = epoch + 1, HEADER.size
        db.execute(f"PRAGMA synchronous = {'FULL' if sure else 'NORMAL'}")
        with db:
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT OR REPLACE INTO streams VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (_row(stream) for stream in streams),
            )
            db.executemany("DELETE FROM streams WHERE name = ?", ((_sql(name),) for name in closed))
            for number, alarm in alarms:
                db.execute(
                    "INSERT INTO alarms VALUES (?,?,?,?,?,?,?,?)",
                    (number, alarm.uid, alarm.observed, alarm.severity, alarm.kind,
                     _sql(alarm.title), _sql(alarm.source), alarm.saved()),
                )  # fmt: skip
                db.executemany(
                    "INSERT INTO waiting VALUES (?,?)", ((sink, number) for sink in sinks)
                )
            db.executemany("DELETE FROM waiting WHERE sink = ? AND alarm = ?", taken)
            if marks:
                db.executemany("INSERT OR REPLACE INTO sinks VALUES (?,?)", marks.items())
            if self._new:
                db.execute("INSERT INTO journal VALUES (?,?)", (epoch, size))
            elif (epoch, size) != (self._epoch, self._journalled):
                db.execute("UPDATE journal SET epoch = ?, size = ?", (epoch, size))
        self._new = False
        if restart:
            self.journal.restart(epoch)
        self._epoch, self._journalled = epoch, size

    def prune(self) -> None:
        """Forget alarms that every sink has and that are old, or too many."""
        # On a disc that is full or fails: the next hour may be better, and commits say so.
        with contextlib.suppress(sqlite3.Error), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(
                "DELETE FROM alarms WHERE (observed < ? OR id <= (SELECT max(id) FROM alarms) - ?)"
                " AND id NOT IN (SELECT alarm FROM waiting)",
                (time.time() - KEPT_SECONDS, KEPT_ALARMS),
            )

    def close(self) -> None:
        self.journal.close()
        self._db.close()
        os.close(self._lock)


def _make(directory: str) -> None:
    try:
        os.makedirs(directory, 0o700, exist_ok=True)
    except FileExistsError:
        raise BadState(f"{directory}: a file, where a directory was expected") from None


def _lock(directory: str) -> int:
    """Two processes on one state would tell everything twice."""
    import fcntl

    fd = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline = time.monotonic() + 5  # one that is just being killed lets go in time
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(fd)
                raise BadState(f"{directory}: in use by another tocsin") from None
            time.sleep(0.02)
        else:
            return fd


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        db.executescript(f"BEGIN;{TABLES}PRAGMA user_version = {VERSION};COMMIT;")
    elif version != VERSION:
        db.close()
        raise BadState(f"{path}: state of version {version}; this tocsin writes {VERSION}")
    return db


def _sql(text: str) -> str:
    """File names carry bytes that are no UTF-8 as surrogates, which SQLite refuses."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _row(saved: Saved) -> tuple[object, ...]:
    return (
        _sql(saved.name), None if saved.path is None else _sql(saved.path), saved.began,
        saved.base, saved.scanner, json.dumps(saved.early), json.dumps(saved.position),
        saved.heard, saved.console, saved.offset,
        None if saved.host is None else _sql(saved.host),
    )  # fmt: skip


def _saved(row: tuple[object, ...]) -> Saved:
    saved = Saved(*row)  # type: ignore[arg-type]
    return saved._replace(
        early=json.loads(str(saved.early)), position=json.loads(str(saved.position))
    )
