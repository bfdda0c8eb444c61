"""What the store needs of a database, so that one code serves SQLite and PostgreSQL.

Statements are written in the SQL that both understand, with `?` for parameters; where the two
differ (types, locks, errors) the final classes in `sqlite.py` and `postgresql.py` do. This is all
that a general library would add here, and none has to be imported.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import Any

from ...core.errors import ArtefactError

Row = tuple[Any, ...]

BUSY_TIMEOUT_S = 60.0
_VALUES_AT_ONCE = 1000


class Database(ABC):
    """An open database whose tables are those of the store's latest schema.

    Every method raises `ArtefactError` where the database is damaged, full or locked, and
    `UnavailableError` where it cannot be reached any more; the message says what to do.
    """

    @property
    @abstractmethod
    def location(self) -> str:
        """The path or URL that opens it again, without a password."""

    @abstractmethod
    def rows(self, query: str, *parameters: Any) -> list[Row]:
        """Every row that `query` finds."""

    @abstractmethod
    def change(self, statement: str, *parameters: Any) -> int:
        """Run `statement` inside a transaction; returns how many rows it changed."""

    @abstractmethod
    def change_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run `statement` once for each of `rows`, inside a transaction."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """Changes inside are kept all or none; only one process at a time is inside.

        As nobody else is, ids rise in the order in which rows become visible.
        """

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[None]:
        """Reads inside see one state of the database, whatever others write meanwhile."""

    @abstractmethod
    def corrupt(self, reason: str) -> ArtefactError:
        """The error for rows that are not readable, with the repair."""


def rows_among(
    database: Database, query: str, values: Iterable[Any], *parameters: Any
) -> Iterator[Row]:
    """The rows of `query`, whose last condition reads `IN ({})`, for any number of `values`.

    Rows come in no particular order.
    """
    left = iter(values)
    while some := tuple(islice(left, _VALUES_AT_ONCE)):
        marks = ", ".join("?" * len(some))
        yield from database.rows(query.format(marks), *parameters, *some)
