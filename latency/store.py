"""Every launch ever taken, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..core.artefact import canonical_json, sha256_of
from ..core.errors import ConfigError
from .common_mode import corrected, slowness_by_worker
from .condition import Condition
from .launch import Launch
from .measurement import ORIGINS, Failure, Measurement
from .operators import Operator
from .operators.serial import from_json, to_json
from .protocol import SCREEN, Protocol
from .sample import Clock, Sample
from .store_file import corrupt, open_file, translated


@dataclass(frozen=True)
class _Row:
    """One launch as read, with what a measurement takes from it."""

    launch: Launch
    state: dict[str, Any]
    environment: int
    protocol: int


class MeasurementStore:
    """Launches by operator and condition, append-only. Made by `open_store`.

    Each launch is one transaction: a process killed at any moment loses nothing that was recorded.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

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
        """Add one launch; it is safe on return.

        Args:
            operator: What was timed.
            condition: Under what.
            launch: What one worker found.
            state: The machine's state at the launch (`devices.state.state`).
            origin: `measured`, `imported` or `simulated`.
            protocol: Under which it was taken.
            environment: The machine's fingerprint, stored once however many launches share it.
        """
        if origin not in ORIGINS:
            raise ConfigError(f"Origin {origin!r} is unknown. Known: {', '.join(ORIGINS)}.")
        meta = launch.to_json()
        samples, sentinel = meta.pop("samples"), meta.pop("sentinel")
        with self._transaction():
            self._db.execute(
                "INSERT INTO launches (operator, condition, protocol, environment, origin, worker,"
                " meta, samples, sentinel, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    self._id("operators", to_json(operator)),
                    self._id("conditions", condition.to_json()),
                    self._id("protocols", protocol.to_json()),
                    self._id("environments", dict(environment)),
                    origin,
                    launch.worker,
                    canonical_json(meta),
                    _packed(samples),
                    _packed(sentinel),
                    canonical_json(dict(state)),
                ),
            )

    def record_failure(
        self, operator: Operator, condition: Condition, error_class: str, message: str
    ) -> None:
        """Note that `operator` gave no launch under `condition`, and why."""
        with self._transaction():
            case = self._case(operator, condition)
            self._db.execute(
                "INSERT INTO failures"
                " (operator, condition, launches, class, message, recorded_utc)"
                " SELECT ?1, ?2, count(*), ?3, ?4, ?5 FROM launches"
                " WHERE operator = ?1 AND condition = ?2",
                (*case, error_class, message, datetime.now(UTC).isoformat()),
            )

    def record_completion(
        self, operator: Operator, condition: Condition, protocol: Protocol
    ) -> None:
        """Note that `operator` needs no further launch by `protocol`."""
        with self._transaction():
            case = (
                *self._case(operator, condition),
                self._id("protocols", protocol.to_json()),
            )
            self._db.execute("INSERT OR IGNORE INTO completions VALUES (?, ?, ?)", case)

    def completed(self, condition: Condition, protocol: Protocol) -> frozenset[Operator]:
        """The operators that need no further launch by `protocol`."""
        found = self._all(
            "SELECT operator FROM completions WHERE condition = ? AND protocol = ?",
            self._known("conditions", condition.to_json()),
            self._known("protocols", protocol.to_json()),
        )
        return frozenset(self._operators(row[0] for row in found).values())

    def failures(self, condition: Condition) -> dict[Operator, tuple[Failure, ...]]:
        """Failures of each operator under `condition`, oldest first, since its last launch."""
        rows = self._all(
            "SELECT f.operator, f.class, f.message FROM failures f WHERE f.condition = ?1"
            " AND f.launches = (SELECT count(*) FROM launches l"
            " WHERE l.operator = f.operator AND l.condition = f.condition) ORDER BY f.id",
            self._known("conditions", condition.to_json()),
        )
        operators = self._operators(row[0] for row in rows)
        found: dict[Operator, list[Failure]] = defaultdict(list)
        for operator, error_class, message in rows:
            found[operators[operator]].append(Failure(error_class, message))
        return {operator: tuple(failures) for operator, failures in found.items()}

    def measurements(self, condition: Condition) -> list[Measurement]:
        """Everything known under `condition`, one measurement for each operator and origin.

        The reference speed and the workers' drift rest on all launches of the condition.

        Raises:
            ArtefactError: A row is not readable.
        """
        rows = self._all(
            "SELECT operator, origin, meta, samples, sentinel, state, environment, protocol"
            " FROM launches WHERE condition = ? ORDER BY id",
            self._known("conditions", condition.to_json()),
        )
        read = [(operator, origin, self._row(*columns)) for operator, origin, *columns in rows]
        grouped: dict[str, dict[int, list[_Row]]] = defaultdict(lambda: defaultdict(list))
        for operator, origin, row in read:
            grouped[origin][operator].append(row)
        operators = self._operators(row[0] for row in rows)
        protocols = {
            key: Protocol.from_json(data) for key, data in self._read("protocols").items()
        }
        found: list[Measurement] = []
        for origin, cases in grouped.items():
            slowness = slowness_by_worker(
                [row.launch for _, found_origin, row in read if found_origin == origin],
                Clock.of(condition.threads),
            )
            measurements = [
                Measurement(
                    operator=operators[operator],
                    condition=condition,
                    launches=tuple(row.launch for row in group),
                    state_before=group[0].state,
                    state_after=group[-1].state,
                    origin=origin,
                    slowness=_of_launches(slowness, [row.launch for row in group]),
                    protocol=protocols[group[-1].protocol],
                    environments=len({row.environment for row in group}),
                )
                for operator, group in cases.items()
            ]
            found += corrected(measurements)
        return found

    def measurement(self, operator: Operator, condition: Condition) -> Measurement | None:
        """What is known of `operator` under `condition`, or None.

        Raises:
            ConfigError: There are launches of several origins.
        """
        found = [m for m in self.measurements(condition) if m.operator == operator]
        if len(found) > 1:
            origins = " and ".join(m.origin for m in found)
            raise ConfigError(f"{operator} has {origins} launches under {condition}: choose one.")
        return found[0] if found else None

    def conditions(self, device: str | None = None) -> list[Condition]:
        """Every condition that has launches, the oldest first; of one device where it is named."""
        rows = self._all(
            "SELECT json FROM conditions c WHERE EXISTS"
            " (SELECT 1 FROM launches l WHERE l.condition = c.id) ORDER BY id"
        )
        conditions = [self._condition(row[0]) for row in rows]
        return [c for c in conditions if device is None or c.device == device]

    def launch_counts(self, condition: Condition) -> dict[Operator, int]:
        """Number of launches of each operator under `condition`."""
        rows = self._all(
            "SELECT operator, count(*) FROM launches WHERE condition = ? GROUP BY operator",
            self._known("conditions", condition.to_json()),
        )
        operators = self._operators(row[0] for row in rows)
        return {operators[operator]: count for operator, count in rows}

    def environments(self, condition: Condition) -> list[dict[str, Any]]:
        """The distinct fingerprints under which launches of `condition` were taken."""
        rows = self._all(
            "SELECT DISTINCT e.json FROM environments e JOIN launches l ON l.environment = e.id"
            " WHERE l.condition = ? ORDER BY e.id",
            self._known("conditions", condition.to_json()),
        )
        return [json.loads(row[0]) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _all(self, query: str, *parameters: int) -> list[Any]:
        with translated(self.path):
            return self._db.execute(query, parameters).fetchall()

    def _case(self, operator: Operator, condition: Condition) -> tuple[int, int]:
        return (
            self._id("operators", to_json(operator)),
            self._id("conditions", condition.to_json()),
        )

    def _id(self, table: str, data: dict[str, Any]) -> int:
        """The row of `data` in `table`, added where it is new; inside a transaction."""
        text = canonical_json(data)
        self._db.execute(
            f"INSERT OR IGNORE INTO {table} (sha256, json) VALUES (?, ?)", (sha256_of(text), text)
        )
        return self._known(table, data)

    def _known(self, table: str, data: dict[str, Any]) -> int:
        """The row of `data` in `table`, or -1."""
        key = sha256_of(canonical_json(data))
        with translated(self.path):
            row = self._db.execute(f"SELECT id FROM {table} WHERE sha256 = ?", (key,)).fetchone()
        return int(row[0]) if row else -1

    def _read(self, table: str) -> dict[int, Any]:
        return {key: self._json(text) for key, text in self._all(f"SELECT id, json FROM {table}")}

    def _operators(self, ids: Iterator[int]) -> dict[int, Operator]:
        wanted = set(ids)
        rows = self._all("SELECT id, json FROM operators")
        return {key: from_json(self._json(text)) for key, text in rows if key in wanted}

    def _condition(self, text: str) -> Condition:
        try:
            return Condition.from_json(self._json(text))
        except (KeyError, TypeError, ValueError) as error:
            raise corrupt(self.path, f"a condition is not readable: {error}") from error

    def _row(
        self,
        meta: str,
        samples: bytes,
        sentinel: bytes,
        state: str,
        environment: int,
        protocol: int,
    ) -> _Row:
        try:
            launch = Launch(
                **self._json(meta), samples=_unpacked(samples), sentinel=_unpacked(sentinel)
            )
        except (TypeError, ValueError) as error:
            raise corrupt(self.path, f"a launch is not readable: {error}") from error
        return _Row(launch, self._json(state), environment, protocol)

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise corrupt(self.path, f"a row is not JSON: {error}") from error


@contextmanager
def open_store(path: Path, create: bool = True) -> Iterator[MeasurementStore]:
    """The store at `path`, made if it is new and `create` is set; closed at the end.

    Raises:
        ArtefactError: The file is missing, corrupt, truncated, no store, or of a newer elat.
    """
    with open_file(path, create) as connection:
        yield MeasurementStore(path, connection)


def _packed(rows: list[list[int]]) -> bytes:
    """Samples as little-endian 64-bit integers, four a sample."""
    return np.asarray(rows, dtype="<i8").tobytes()


def _unpacked(blob: bytes) -> tuple[Sample, ...]:
    return tuple(Sample(*row) for row in np.frombuffer(blob, dtype="<i8").reshape(-1, 4).tolist())


def _of_launches(slowness: dict[str, float], launches: list[Launch]) -> tuple[float, ...]:
    """The slowness of each of `launches`; empty unless all of them have a sentinel."""
    if any(launch.worker not in slowness for launch in launches):
        return ()
    return tuple(slowness[launch.worker] for launch in launches)
