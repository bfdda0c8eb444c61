"""Measurements made from the launches of a store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..common_mode import corrected, slowness_by_worker
from ..condition import Condition
from ..launch import Launch
from ..measurement import Measurement
from .database import Database, Row, rows_among
from .documents import Documents
from .parts import CASE_COLUMNS, Case, Link, Links, Part
from .rows import COLUMNS, LaunchRow, unpacked


@dataclass(frozen=True)
class Found:
    """A measurement, and the numbers of its operator and of its last launch."""

    measurement: Measurement
    operator: int
    last_launch: int


@dataclass(frozen=True)
class Reader:
    """Makes measurements of one condition; meant for use inside one snapshot."""

    database: Database
    documents: Documents
    condition: Condition

    def links(self) -> Links:
        """All launches of the condition, without their samples."""
        number = self.documents.condition(self.condition)
        query = f"SELECT {CASE_COLUMNS} FROM launches WHERE condition = ? ORDER BY id"
        return Links([Link(*row) for row in self.database.rows(query, number)])

    def measurements(self, links: Links, parts: Iterable[Part]) -> list[Found]:
        """The measurements of every case in `parts`, the oldest origin and case first.

        Raises:
            ArtefactError: A row is not readable.
        """
        by_origin: dict[str, dict[int, list[LaunchRow]]] = defaultdict(lambda: defaultdict(list))
        for row in self._rows(parts):
            by_origin[row.origin][row.operator].append(row)
        return [
            found
            for origin in links.origins()
            if origin in by_origin
            for found in self._corrected(by_origin[origin], links.reference(origin))
        ]

    def _rows(self, parts: Iterable[Part]) -> list[LaunchRow]:
        """Every launch in `parts`, in the order of recording."""
        cases = {case for part in parts for case in part.cases}
        query = f"SELECT {COLUMNS} FROM launches WHERE condition = ? AND operator IN ({{}})"
        rows = rows_among(
            self.database,
            query,
            sorted({case.operator for case in cases}),
            self.documents.condition(self.condition),
        )
        read = map(self._unpacked, rows)
        wanted = [row for row in read if Case(row.origin, row.operator) in cases]
        return sorted(wanted, key=lambda row: row.id)

    def _corrected(
        self, cases: dict[int, list[LaunchRow]], reference: Sequence[Link]
    ) -> list[Found]:
        """The measurements of `cases`, which are of one origin."""
        rows = [row for group in cases.values() for row in group]
        launches = {row.id: row.launch for row in sorted(rows, key=lambda row: row.id)}
        slowness = slowness_by_worker(
            list(launches.values()),
            self.condition.clock,
            self._launches([link.launch for link in reference], launches),
        )
        operators = self.documents.operators(cases)
        protocols = self.documents.protocols(group[-1].protocol for group in cases.values())
        measurements = [
            Measurement(
                operator=operators[operator],
                condition=self.condition,
                launches=tuple(row.launch for row in group),
                state_before=group[0].state,
                state_after=group[-1].state,
                origin=group[0].origin,
                slowness=_of_launches(slowness, [row.launch for row in group]),
                protocol=protocols[group[-1].protocol],
                environments=len({row.environment for row in group}),
            )
            for operator, group in cases.items()
        ]
        return [
            Found(measurement, operator, group[-1].id)
            for measurement, (operator, group) in zip(
                corrected(measurements), cases.items(), strict=True
            )
        ]

    def _launches(self, numbers: Sequence[int], known: dict[int, Launch]) -> list[Launch]:
        """The launches of `numbers`, read unless they are `known`."""
        query = f"SELECT {COLUMNS} FROM launches WHERE id IN ({{}})"
        left = [number for number in numbers if number not in known]
        rows = rows_among(self.database, query, left)
        read = {row.id: row.launch for row in map(self._unpacked, rows)}
        return [known[number] if number in known else read[number] for number in numbers]

    def _unpacked(self, row: Row) -> LaunchRow:
        return unpacked(row, self.database, self.documents)


def _of_launches(slowness: dict[str, float], launches: list[Launch]) -> tuple[float, ...]:
    """The slowness of each of `launches`; empty unless all of them have a sentinel."""
    if any(launch.worker not in slowness for launch in launches):
        return ()
    return tuple(slowness[launch.worker] for launch in launches)
