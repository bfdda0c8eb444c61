"""What was measured, imported and profiled, by operator and condition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...core.artefact import canonical_json
from ...core.errors import ConfigError
from ..condition import Condition
from ..launch import Launch
from ..measurement import Failure, Measurement
from ..operators import Operator
from ..protocol import SCREEN, Protocol
from ..summary import Summary
from .database import Database
from .documents import Documents
from .measurements import Reader
from .rows import COLUMNS, Record, packed, unpacked
from .summaries import Summaries

if TYPE_CHECKING:
    from ..imports import Imported


_ROWS_AT_ONCE = 1000
_INSERT_LAUNCH = (
    "INSERT INTO launches (operator, condition, protocol, environment, origin, worker, meta,"
    " samples, sentinel, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


class MeasurementStore:
    """Launches by operator and condition, imports and profiles; append-only.

    Made by `open_store`. Each launch is one transaction: a process killed at any moment loses
    nothing that was recorded.
    """

    def __init__(self, database: Database) -> None:
        self._db = database
        self._documents = Documents(database)

    @property
    def location(self) -> str:
        """What `--store` opens it with again: its path, or its URL without a password."""
        return self._db.location

    @property
    def name(self) -> str:
        """The name of its file or database: the end of the location."""
        return self.location.partition("?")[0].rpartition("/")[2]

    def record_launch(
        self,
        operator: Operator,
        condition: Condition,
        launch: Launch,
        state: Mapping[str, Any],
        origin: str,
        *,
        protocol: Protocol = SCREEN,
        environment: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Add one launch, as `record_launches` does."""
        self.record_launches(
            [Record(operator, condition, launch, state, origin, protocol, environment)]
        )

    def record_launches(self, records: Iterable[Record]) -> None:
        """Add launches, all or none; they are safe on return.

        Others that write wait for the end: a million launches take about a minute.
        """
        with self._transaction():
            left = iter(records)
            while some := [self._row(record) for record in islice(left, _ROWS_AT_ONCE)]:
                self._db.change_many(_INSERT_LAUNCH, some)

    def record_failure(
        self, operator: Operator, condition: Condition, error_class: str, message: str
    ) -> None:
        """Note that `operator` gave no launch under `condition`, and why."""
        with self._transaction():
            case = self._case(operator, condition)
            launches = self._db.rows(
                "SELECT count(*) FROM launches WHERE operator = ? AND condition = ?", *case
            )[0][0]
            self._db.change(
                "INSERT INTO failures"
                " (operator, condition, launches, class, message, recorded_utc)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                *case,
                launches,
                error_class,
                _storable(message),
                _now_utc(),
            )

    def record_completion(
        self, operator: Operator, condition: Condition, protocol: Protocol
    ) -> None:
        """Note that `operator` needs no further launch by `protocol`."""
        with self._transaction():
            self._db.change(
                "INSERT INTO completions (operator, condition, protocol) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                *self._case(operator, condition),
                self._documents.add_protocol(protocol),
            )

    def record_import(self, imported: Imported) -> bool:
        """Keep what a file of another tool says; False where the same bytes were kept before."""
        from ..imports.serial import to_json

        with self._transaction():
            added = self._db.change(
                "INSERT INTO imports (sha256, json, recorded_utc) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                imported.sha256,
                canonical_json(to_json(imported)),
                _now_utc(),
            )
        return added > 0

    def imports(self) -> list[Imported]:
        """Everything that was imported, oldest first.

        Raises:
            ArtefactError: A row is not readable.
        """
        from ..imports.serial import from_json

        rows = self._db.rows("SELECT json FROM imports ORDER BY id")
        return [from_json(self._documents.parsed(text)) for (text,) in rows]

    def record_profile(
        self,
        operator: Operator,
        condition: Condition,
        profile: Mapping[str, Any],
        environment: Mapping[str, Any],
    ) -> None:
        """Keep a profile of `operator` (a JSON object), taken under `condition`."""
        text = canonical_json(dict(profile))
        with self._transaction():
            self._db.change(
                "INSERT INTO profiles (operator, condition, environment, json, recorded_utc)"
                " VALUES (?, ?, ?, ?, ?)",
                *self._case(operator, condition),
                self._documents.add_environment(environment),
                text,
                _now_utc(),
            )

    def profiles(self, condition: Condition) -> dict[Operator, list[dict[str, Any]]]:
        """Profiles of each operator under `condition`, the newest last."""
        rows = self._db.rows(
            "SELECT operator, json FROM profiles WHERE condition = ? ORDER BY id",
            self._documents.condition(condition),
        )
        operators = self._documents.operators(row[0] for row in rows)
        found: dict[Operator, list[dict[str, Any]]] = defaultdict(list)
        for operator, text in rows:
            found[operators[operator]].append(self._documents.parsed(text))
        return dict(found)

    def completed(self, condition: Condition, protocol: Protocol) -> frozenset[Operator]:
        """The operators that need no further launch by `protocol`."""
        rows = self._db.rows(
            "SELECT operator FROM completions WHERE condition = ? AND protocol = ?",
            self._documents.condition(condition),
            self._documents.protocol(protocol),
        )
        return frozenset(self._documents.operators(row[0] for row in rows).values())

    def failures(self, condition: Condition) -> dict[Operator, tuple[Failure, ...]]:
        """Failures of each operator under `condition`, oldest first, since its last launch."""
        rows = self._db.rows(
            "SELECT f.operator, f.class, f.message FROM failures f WHERE f.condition = ?"
            " AND f.launches = (SELECT count(*) FROM launches l"
            " WHERE l.operator = f.operator AND l.condition = f.condition) ORDER BY f.id",
            self._documents.condition(condition),
        )
        operators = self._documents.operators(row[0] for row in rows)
        found: dict[Operator, list[Failure]] = defaultdict(list)
        for operator, error_class, message in rows:
            found[operators[operator]].append(Failure(error_class, message))
        return {operator: tuple(failures) for operator, failures in found.items()}

    def measurements(
        self, condition: Condition, operators: Iterable[Operator] | None = None
    ) -> list[Measurement]:
        """What is known under `condition`, one measurement for each operator and origin.

        The reference speed and the workers' drift rest on other launches of the condition, too:
        measurements of a few `operators` are the same as if all were asked for, but read only
        what theirs rest on.

        Raises:
            ArtefactError: A row is not readable.
        """
        reader = Reader(self._db, self._documents, condition)
        with self._db.snapshot():
            links = reader.links()
            if operators is None:
                return [found.measurement for found in reader.measurements(links, links.parts())]
            wanted = self._documents.numbers_of(operators)
            parts = links.parts_with(wanted)
            return [
                found.measurement
                for found in reader.measurements(links, parts)
                if found.operator in wanted
            ]

    def summaries(
        self, condition: Condition, operators: Iterable[Operator] | None = None
    ) -> dict[Operator, list[Summary]]:
        """The statistics of `measurements`, by operator, one for each of its origins.

        They are kept beside the launches: where none came since they were last asked for, no
        launch is read.

        Raises:
            ArtefactError: A row is not readable.
        """
        kept = Summaries(self._db, self._documents, condition)
        kept.refresh()
        wanted = None if operators is None else self._documents.numbers_of(operators)
        found: dict[Operator, list[Summary]] = defaultdict(list)
        for summary in kept.read(wanted):
            found[summary.operator].append(summary)
        return dict(found)

    def measurement(self, operator: Operator, condition: Condition) -> Measurement | None:
        """What is known of `operator` under `condition`, or None.

        Raises:
            ConfigError: There are launches of several origins.
        """
        found = self.measurements(condition, [operator])
        if len(found) > 1:
            origins = " and ".join(m.origin for m in found)
            raise ConfigError(f"{operator} has {origins} launches under {condition}: choose one.")
        return found[0] if found else None

    def records(self, condition: Condition) -> Iterator[Record]:
        """Every launch under `condition` with all that is kept of it, the oldest first.

        Raises:
            ArtefactError: A row is not readable.
        """
        number = self._documents.condition(condition)
        with self._db.snapshot():
            query = f"SELECT {COLUMNS} FROM launches WHERE condition = ? ORDER BY id"
            rows = [
                unpacked(row, self._db, self._documents) for row in self._db.rows(query, number)
            ]
            environments = self._documents.environments(row.environment for row in rows)
            protocols = self._documents.protocols(row.protocol for row in rows)
            operators = self._documents.operators(row.operator for row in rows)
        for row in rows:
            yield Record(
                operators[row.operator],
                condition,
                row.launch,
                row.state,
                row.origin,
                protocols[row.protocol],
                environments[row.environment],
            )

    def conditions(self, device: str | None = None) -> list[Condition]:
        """Every condition that has launches, the oldest first; of one device where it is named."""
        rows = self._db.rows(
            "SELECT json FROM conditions c WHERE EXISTS"
            " (SELECT 1 FROM launches l WHERE l.condition = c.id) ORDER BY id"
        )
        conditions = [self._documents.parsed_condition(row[0]) for row in rows]
        return [c for c in conditions if device is None or c.device == device]

    def launch_counts(self, condition: Condition) -> dict[Operator, int]:
        """Number of launches of each operator under `condition`."""
        rows = self._db.rows(
            "SELECT operator, count(*) FROM launches WHERE condition = ? GROUP BY operator",
            self._documents.condition(condition),
        )
        operators = self._documents.operators(row[0] for row in rows)
        return {operators[operator]: count for operator, count in rows}

    def environments(self, condition: Condition) -> list[dict[str, Any]]:
        """The distinct fingerprints under which launches of `condition` were taken.

        Raises:
            ArtefactError: One is not there, or not readable.
        """
        rows = self._db.rows(
            "SELECT DISTINCT environment FROM launches WHERE condition = ?",
            self._documents.condition(condition),
        )
        return list(self._documents.environments(row[0] for row in rows).values())

    def _row(self, record: Record) -> tuple[Any, ...]:
        return (
            self._documents.add_operator(record.operator),
            self._documents.add_condition(record.condition),
            self._documents.add_protocol(record.protocol),
            self._documents.add_environment(record.environment),
            record.origin,
            *packed(record.launch, record.state),
        )

    def _case(self, operator: Operator, condition: Condition) -> tuple[int, int]:
        return self._documents.add_operator(operator), self._documents.add_condition(condition)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._db.transaction():
                yield
        except BaseException:
            self._documents.forget()
            raise


def _storable(text: str) -> str:
    """`text` without what no database takes: NUL, and halves of characters."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _now_utc() -> str:
    return datetime.now(UTC).isoformat()
