"""Summaries of measurements, kept beside the launches so that a table is read without samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from ...core.artefact import canonical_json
from ..condition import Condition
from ..operators import Operator
from ..summary import Summary
from .database import Database, rows_among
from .documents import Documents
from .measurements import Found, Reader
from .parts import Part

_LAUNCHES_AT_ONCE = 5000


@dataclass(frozen=True)
class _Stamp:
    """Of which launches, by which statistics the summaries of a condition were made."""

    last_launch: int
    statistics: str


_NEVER = _Stamp(0, "")


@dataclass(frozen=True)
class Summaries:
    """The summaries of one condition.

    They are made again where they are read and a launch came since, but only those that it can
    have changed (`parts.py`), and all of them after a change of elat's statistics.
    """

    database: Database
    documents: Documents
    condition: Condition

    def read(self, operators: Mapping[int, Operator] | None = None) -> list[Summary]:
        """Those of `operators`, given by number, or of all, as they are stored.

        Raises:
            ArtefactError: A row is not readable.
        """
        query = "SELECT operator, origin, last_launch, json FROM summaries WHERE condition = ?"
        if operators is None:
            rows = self.database.rows(query, self._number)
            operators = self.documents.operators(row[0] for row in rows)
        else:
            chosen = f"{query} AND operator IN ({{}})"
            rows = list(rows_among(self.database, chosen, operators, self._number))
        try:
            return [
                Summary.from_json(
                    self.documents.parsed(text), operators[number], self.condition, origin, last
                )
                for number, origin, last, text in sorted(rows, key=lambda row: row[:2])
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise self.database.corrupt(f"a summary is not readable: {error}") from error

    def refresh(self) -> None:
        """Make those again that are out of date, as of now or later."""
        last = self._last_launch()
        while not self._is_made(last):
            self._make()

    def _make(self) -> None:
        """Summarise what changed; does nothing where another process was faster."""
        reader = Reader(self.database, self.documents, self.condition)
        made: list[tuple[int, str, int, str]] = []
        with self.database.snapshot():
            before = self._stamp()
            stamp = _Stamp(self._last_launch(), statistics_version())
            known = before.last_launch if before.statistics == stamp.statistics else 0
            links = reader.links()
            for parts in _batches(links.parts_changed_since(known)):
                made += map(_row, reader.measurements(links, parts))
        with self.database.transaction():
            if self._stamp() == before:
                self._write(made, stamp)

    def _write(self, rows: Sequence[tuple[int, str, int, str]], stamp: _Stamp) -> None:
        self.database.change_many(
            "INSERT INTO summaries (condition, operator, origin, last_launch, json)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (condition, operator, origin)"
            " DO UPDATE SET last_launch = excluded.last_launch, json = excluded.json",
            [(self._number, *row) for row in rows],
        )
        self.database.change(
            "INSERT INTO summarised (condition, last_launch, statistics) VALUES (?, ?, ?)"
            " ON CONFLICT (condition) DO UPDATE SET last_launch = excluded.last_launch,"
            " statistics = excluded.statistics",
            self._number,
            stamp.last_launch,
            stamp.statistics,
        )

    def _is_made(self, last_launch: int) -> bool:
        stamp = self._stamp()
        is_current = stamp.statistics == statistics_version()
        return last_launch == 0 or (is_current and stamp.last_launch >= last_launch)

    def _stamp(self) -> _Stamp:
        query = "SELECT last_launch, statistics FROM summarised WHERE condition = ?"
        rows = self.database.rows(query, self._number)
        return _Stamp(*rows[0]) if rows else _NEVER

    def _last_launch(self) -> int:
        query = "SELECT id FROM launches WHERE condition = ? ORDER BY id DESC LIMIT 1"
        rows = self.database.rows(query, self._number)
        return int(rows[0][0]) if rows else 0

    @property
    def _number(self) -> int:
        return self.documents.condition(self.condition)


@lru_cache
def statistics_version() -> str:
    """A hash of the code by which a measurement follows from launches.

    It is that of every module beside `measurement.py` and of the store, which decides what a
    measurement rests on: a version number in its place would have to be raised by hand, and where
    that is forgotten a table would hold the old figures for good.
    """
    digest = sha256()
    here = Path(__file__).parent
    for path in (*sorted(here.parent.glob("*.py")), *sorted(here.glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _row(found: Found) -> tuple[int, str, int, str]:
    summary = Summary.of(found.measurement, found.last_launch)
    return found.operator, summary.origin, found.last_launch, canonical_json(summary.to_json())


def _batches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """`parts` in groups of so few launches that their samples fit into memory."""
    batch: list[Part] = []
    launches = 0
    for part in parts:
        batch.append(part)
        launches += part.launches
        if launches >= _LAUNCHES_AT_ONCE:
            yield batch
            batch, launches = [], 0
    if batch:
        yield batch
