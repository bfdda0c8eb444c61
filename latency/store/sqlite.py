"""The store in one SQLite file: opened, checked, brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...core.errors import ArtefactError
from .database import BUSY_TIMEOUT_S, Database, Row
from .schema import APPLICATION_ID, MIGRATIONS

# Reading a whole file to check it takes a second for each half gigabyte. In a larger one damage
# is found where it is read.
_CHECKED_BYTES = 64 * 2**20


class SqliteDatabase(Database):
    """One file in WAL mode: a process killed at any moment loses nothing that was committed.

    Made by `open_sqlite`.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    @property
    def location(self) -> str:
        return str(self._path)

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        with _translated(self._path):
            return self._connection.execute(query, parameters).fetchall()

    def change(self, statement: str, *parameters: Any) -> int:
        with _translated(self._path):
            return self._connection.execute(statement, parameters).rowcount

    def change_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with _translated(self._path):
            self._connection.executemany(statement, rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._between("BEGIN IMMEDIATE"):
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        with self._between("BEGIN"):
            yield

    def corrupt(self, reason: str) -> ArtefactError:
        return _corrupt(self._path, reason)

    @contextmanager
    def _between(self, begin: str) -> Iterator[None]:
        self.change(begin)
        try:
            yield
            self.change("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.rollback()


@contextmanager
def open_sqlite(path: Path, create: bool) -> Iterator[SqliteDatabase]:
    """The store at `path`, made if it is new and `create` is set.

    Raises:
        ArtefactError: The file is missing, corrupt, truncated, no store, or of a newer elat.
    """
    if not path.exists():
        if not create:
            raise ArtefactError(f"{path} does not exist; make it with: {_command(path)}")
        path.parent.mkdir(parents=True, exist_ok=True)
    with _translated(path):
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        with _translated(path):
            _prepare(path, connection)
        yield SqliteDatabase(path, connection)
    finally:
        connection.close()


def _prepare(path: Path, db: sqlite3.Connection) -> None:
    """Check that the file is a whole store, and bring its schema up to date."""
    tables = _number(db, "SELECT count(*) FROM sqlite_master")
    if tables and _number(db, "PRAGMA application_id") != APPLICATION_ID:
        raise ArtefactError(
            f"{path} is a database of something else, not a measurement store; give another "
            "--store FILE."
        )
    _check(path, db)
    version = _number(db, "PRAGMA user_version")
    if version > len(MIGRATIONS):
        raise ArtefactError(
            f"{path} has schema {version}, this elat reads up to {len(MIGRATIONS)}; upgrade it "
            "with: pip install --upgrade elat"
        )
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA journal_mode = WAL")
    # A killed process loses no committed transaction in WAL mode at NORMAL; only a power cut may
    # take the last ones back, and it corrupts nothing. FULL would sync the disk for every launch,
    # beside the case that is being timed.
    db.execute("PRAGMA synchronous = NORMAL")
    if version < len(MIGRATIONS):
        _migrate(db)


def _check(path: Path, db: sqlite3.Connection) -> None:
    if path.stat().st_size <= _CHECKED_BYTES:
        problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if problem != "ok":
            raise _corrupt(path, problem)


def _migrate(db: sqlite3.Connection) -> None:
    """Apply the missing migrations in one transaction; another process may have been faster."""
    db.execute("BEGIN IMMEDIATE")
    version = _number(db, "PRAGMA user_version")
    for script in MIGRATIONS[version:]:
        for statement in script:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute("COMMIT")


def _number(db: sqlite3.Connection, query: str) -> int:
    return int(db.execute(query).fetchone()[0])


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into ones that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        reason = str(error)
        if "locked" in reason or "busy" in reason:
            raise ArtefactError(
                f"{path} was locked by another process for {BUSY_TIMEOUT_S:.0f} s; end that one, "
                "then run the same command again."
            ) from error
        if "full" in reason:
            raise ArtefactError(
                f"There is no space left for {path}; what was recorded is safe: make space, then "
                "run the same command again."
            ) from error
        raise ArtefactError(f"{path} cannot be used as a store: {reason}.") from error
    except sqlite3.DatabaseError as error:
        raise _corrupt(path, str(error)) from error


def _corrupt(path: Path, reason: str) -> ArtefactError:
    return ArtefactError(
        f"{path} is no readable measurement store ({reason}); restore a copy, or move it away and "
        f"measure again with: {_command(path)}"
    )


def _command(path: Path) -> str:
    return f"elat measure --device DEVICE --space SPACE --store {path}"
