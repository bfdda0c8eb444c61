"""A store opened by its path or URL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from ...core.errors import ConfigError
from .database import Database
from .postgresql import URL_STARTS, open_postgresql
from .sqlite import open_sqlite
from .store import MeasurementStore


@contextmanager
def open_store(where: Path | str, create: bool = True) -> Iterator[MeasurementStore]:
    """The store at `where`, made if it is new and `create` is set; closed at the end.

    Args:
        where: The path of an SQLite file, or the URL of a PostgreSQL database,
            `postgresql://USER@HOST:PORT/DATABASE`.
        create: Whether to make the store where there is none.

    Raises:
        ConfigError: A URL of another kind, or one that is not well formed.
        UnavailableError: The database cannot be reached.
        ArtefactError: The store is missing, corrupt, truncated, none at all, or of a newer elat.
    """
    given = str(where)
    if given.startswith(URL_STARTS):
        opened: AbstractContextManager[Database] = open_postgresql(given, create)
    elif "://" in given:
        raise ConfigError(
            f"A store is an SQLite file or a postgresql:// URL; found {given.split('://')[0]}://."
        )
    else:
        opened = open_sqlite(Path(where), create)
    with opened as database:
        yield MeasurementStore(database)
