"""The SQLite file of the measurement store: opened, checked, brought up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core.errors import ArtefactError
from .store_schema import APPLICATION_ID, MIGRATIONS

_BUSY_TIMEOUT_S = 60.0


@contextmanager
def open_file(path: Path, create: bool) -> Iterator[sqlite3.Connection]:
    """A connection to the store at `path`, made if it is new and `create` is set.

    Raises:
        ArtefactError: The file is missing, corrupt, truncated, no store, or of a newer elat.
    """
    if not path.exists():
        if not create:
            raise ArtefactError(f"{path} does not exist; make it with: {_command(path)}")
        path.parent.mkdir(parents=True, exist_ok=True)
    with translated(path):
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        with translated(path):
            _prepare(path, connection)
        yield connection
    finally:
        connection.close()


def _prepare(path: Path, db: sqlite3.Connection) -> None:
    """Check that the file is a whole store, and bring its schema up to date."""
    tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise ArtefactError(
            f"{path} is a database of something else, not a measurement store; give another "
            "--store FILE."
        )
    problem = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if problem != "ok":
        raise corrupt(path, problem)
    version = db.execute("PRAGMA user_version").fetchone()[0]
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


def _migrate(db: sqlite3.Connection) -> None:
    """Apply the missing migrations in one transaction; another process may have been faster."""
    db.execute("BEGIN IMMEDIATE")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    for script in MIGRATIONS[version:]:
        for statement in script:
            db.execute(statement)
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    db.execute("COMMIT")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into ones that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise ArtefactError(
                f"{path} was locked by another process for {_BUSY_TIMEOUT_S:.0f} s; end that one, "
                "then run the same command again."
            ) from error
        raise ArtefactError(f"{path} cannot be used as a store: {error}.") from error
    except sqlite3.DatabaseError as error:
        raise corrupt(path, str(error)) from error


def corrupt(path: Path, reason: str) -> ArtefactError:
    """The error for a store that is not readable."""
    return ArtefactError(
        f"{path} is no readable measurement store ({reason}); restore a copy, or move it away and "
        f"measure again with: {_command(path)}"
    )


def _command(path: Path) -> str:
    return f"elat measure --device DEVICE --space SPACE --store {path}"
