"""What was measured, imported and profiled, by operator and condition."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...core.artefact import canonical_json
from ...core.errors import ConfigError
from ..common_mode import corrected, slowness_by_worker
from ..condition import Condition
from ..launch import Launch
from ..measurement import ORIGINS, Failure, Measurement
from ..operators import Operator
from ..protocol import SCREEN, Protocol
from ..sample import Clock
from .database import Database
from .documents import Documents
from .rows import COLUMNS, LaunchRow, packed, unpacked
from .sqlite import open_sqlite

if TYPE_CHECKING:
    from ..imports import Imported


class MeasurementStore:
    """Launches by operator and condition, append-only. Made by `open_store`.

    Each launch is one transaction: a process killed at any moment loses nothing that was recorded.
    """

    def __init__(self, path: Path, database: Database) -> None:
        self.path = path
        self._db = database
        self._documents = Documents(database)

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
        columns = packed(launch, state)
        with self._transaction():
            self._db.change(
                "INSERT INTO launches (operator, condition, protocol, environment, origin, worker,"
                " meta, samples, sentinel, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._documents.add_operator(operator),
                self._documents.add_condition(condition),
                self._documents.add_protocol(protocol),
                self._documents.add_environment(environment),
                origin,
                *columns,
            )

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
                message.replace("\0", "\ufffd"),
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

    def measurements(self, condition: Condition) -> list[Measurement]:
        """Everything known under `condition`, one measurement for each operator and origin.

        The reference speed and the workers' drift rest on all launches of the condition.

        Raises:
            ArtefactError: A row is not readable.
        """
        rows = self._db.rows(
            f"SELECT {COLUMNS} FROM launches WHERE condition = ? ORDER BY id",
            self._documents.condition(condition),
        )
        read = [unpacked(row, self._db, self._documents) for row in rows]
        grouped: dict[str, dict[int, list[LaunchRow]]] = defaultdict(lambda: defaultdict(list))
        for row in read:
            grouped[row.origin][row.operator].append(row)
        operators = self._documents.operators(row.operator for row in read)
        protocols = self._documents.protocols()
        found: list[Measurement] = []
        for origin, cases in grouped.items():
            slowness = slowness_by_worker(
                [row.launch for row in read if row.origin == origin],
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
        """The distinct fingerprints under which launches of `condition` were taken."""
        rows = self._db.rows(
            "SELECT DISTINCT e.json FROM environments e JOIN launches l ON l.environment = e.id"
            " WHERE l.condition = ? ORDER BY e.id",
            self._documents.condition(condition),
        )
        return [self._documents.parsed(row[0]) for row in rows]

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


@contextmanager
def open_store(path: Path, create: bool = True) -> Iterator[MeasurementStore]:
    """The store at `path`, made if it is new and `create` is set; closed at the end.

    Raises:
        ArtefactError: The file is missing, corrupt, truncated, no store, or of a newer elat.
    """
    with open_sqlite(path, create) as database:
        yield MeasurementStore(path, database)


def _now_utc() -> str:
    return datetime.now(UTC).isoformat()


def _of_launches(slowness: dict[str, float], launches: list[Launch]) -> tuple[float, ...]:
    """The slowness of each of `launches`; empty unless all of them have a sentinel."""
    if any(launch.worker not in slowness for launch in launches):
        return ()
    return tuple(slowness[launch.worker] for launch in launches)
