"""Latencies of operators under one condition: immutable, of one origin, with operators as keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..core.artefact import SCHEMA, canonical_json, sha256_of
from ..core.errors import ArtefactError, ConfigError, ElatError, MissingOperatorError
from .condition import Condition
from .entry import Entry, pooled
from .measurement import MEASURED, ORIGINS, Measurement
from .methods import METHODS, Evidence, Subjects
from .nearest import nearest
from .operators import Operator
from .operators.chain import Chain
from .operators.dag import Dag
from .operators.serial import from_json, kind_of, to_json
from .summary import Summary
from .table_file import as_row, operator_of, read_document, write_document

__all__ = ["Entry", "LatencyTable", "check_device", "read_table", "write_table"]

KIND = "latency-table"
UNIT = "ms"
# A number without end is no count, and no JSON to take the hash of.
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


class LatencyTable(Mapping[Operator, float]):
    """Maps operators to milliseconds; a missing one is an error, never a default.

    A free operator (`Zero`) costs 0.0 by definition and is no entry: it can be asked for but does
    not appear when the table is iterated.

    Args:
        condition: Under which all entries were measured.
        origin: `measured`, `imported` or `simulated`.
        entries: At least one; kept in a stable order by kind and attributes.

    Raises:
        ConfigError: There are no entries, the origin is unknown, or an entry is no operator that
            a table can hold (a free one, or a network of operators).
    """

    def __init__(
        self, condition: Condition, origin: str, entries: Mapping[Operator, Entry]
    ) -> None:
        if origin not in ORIGINS:
            raise ConfigError(f"Origin {origin!r} is unknown. Known: {', '.join(ORIGINS)}.")
        if not entries:
            raise ConfigError(
                f"A table for {condition} would be empty; measure operators first: "
                f"elat measure --device {condition.device} --space SPACE."
            )
        for operator in entries:
            if isinstance(operator, Chain | Dag):
                raise ConfigError(f"{operator} is a network, not an operator of a table.")
            if operator.is_free:
                raise ConfigError(f"{operator} costs 0 ms by definition and is no table entry.")
        self._condition = condition
        self._origin = origin
        ordered = sorted(entries, key=_order)
        self._entries = MappingProxyType({operator: entries[operator] for operator in ordered})

    @classmethod
    def of(
        cls, condition: Condition, entries: Mapping[Operator, Entry], origins: Iterable[str]
    ) -> LatencyTable:
        """The table of `entries`, whose origins must all be the same.

        Raises:
            ConfigError: There are no entries, or several origins.
        """
        found = sorted(set(origins))
        if len(found) > 1:
            raise ConfigError(
                f"Origins {' and '.join(found)} cannot share one table for {condition}."
            )
        return cls(condition, found[0] if found else MEASURED, entries)

    @classmethod
    def derived(cls, condition: Condition, subjects: Subjects, evidence: Evidence) -> LatencyTable:
        """The table of what `evidence` tells of `subjects` by the condition's method.

        Args:
            condition: Under which operators are timed.
            subjects: The operators that the table is about.
            evidence: Measurements under `condition.of_models`; operators of which one is missing,
                or which do not come out above 0 ms, are left out.

        Raises:
            ConfigError: No operator is left, or the measurements have several origins.
            UnsupportedOperatorError: The method has no way to time one of the operators.
        """
        found = METHODS[condition.method].latencies(subjects, evidence)
        return cls.of(condition, found.entries, found.origins)

    @classmethod
    def from_measurements(cls, measurements: Iterable[Measurement | Summary]) -> LatencyTable:
        """The table of `measurements`, or of summaries; pooled where several are of one operator.

        Raises:
            ConfigError: There are none, or they have several conditions or origins, or one is of
                a whole network.
            MeasurementError: A latency is not above 0.
        """
        groups: dict[Operator, list[Entry]] = {}
        conditions: dict[Condition, None] = {}
        origins: set[str] = set()
        for m in measurements:
            conditions[m.condition] = None
            origins.add(m.origin)
            groups.setdefault(m.operator, []).append(Entry(m.count, m.latency_ms, m.std_ms))
        if not conditions:
            raise ConfigError(
                "There are no measurements to make a table from; measure operators first: "
                "elat measure --device DEVICE --space SPACE."
            )
        first, *others = conditions
        if others:
            raise ConfigError(
                f"Measurements of {len(conditions)} conditions cannot share one table: {first}; "
                f"{others[0]}. Ask for one device and runtime version."
            )
        return cls.of(first, {op: pooled(found) for op, found in groups.items()}, origins)

    @property
    def condition(self) -> Condition:
        return self._condition

    @property
    def origin(self) -> str:
        """Where the numbers come from: `measured`, `imported` or `simulated`."""
        return self._origin

    @property
    def granularity(self) -> str:
        """What one entry is, in words."""
        return METHODS[self._condition.method].granularity

    @property
    def entries(self) -> Mapping[Operator, Entry]:
        """Every entry, in the table's order."""
        return self._entries

    def entry(self, operator: Operator) -> Entry:
        """Latency, deviation and launches of `operator`, which is not free.

        Raises:
            MissingOperatorError: It is not in the table.
        """
        try:
            return self._entries[operator]
        except KeyError:
            raise self._missing(operator) from None

    def __getitem__(self, operator: Operator) -> float:
        """Latency of `operator`, in milliseconds.

        Raises:
            MissingOperatorError: It is not in the table (which no default replaces: `get` raises
                too).
        """
        return 0.0 if operator.is_free else self.entry(operator).mean_ms

    def __contains__(self, operator: object) -> bool:
        return isinstance(operator, Operator) and (operator.is_free or operator in self._entries)

    def __iter__(self) -> Iterator[Operator]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LatencyTable):
            return NotImplemented
        return self.sha256 == other.sha256

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"LatencyTable({len(self)} operators, {self._origin}, {self._condition})"

    def rows(self) -> list[dict[str, Any]]:
        """Every entry as a JSON object: kind, attributes, `count`, `mean` and `std` in ms."""
        return [
            as_row(to_json(operator), {"count": e.count, "mean": e.mean_ms, "std": e.std_ms})
            for operator, e in self._entries.items()
        ]

    @cached_property
    def sha256(self) -> str:
        """Hash of condition, origin and entries; the same in every file format."""
        content = {
            "condition": self._condition.to_json(),
            "origin": self._origin,
            "entries": self.rows(),
        }
        return sha256_of(canonical_json(content))

    def only(self, operators: Iterable[Operator]) -> LatencyTable:
        """The table of those entries alone.

        Raises:
            MissingOperatorError: One of them is not in the table.
            ConfigError: There are none.
        """
        chosen = {operator: self.entry(operator) for operator in operators}
        return LatencyTable(self._condition, self._origin, chosen)

    def _missing(self, operator: Operator) -> MissingOperatorError:
        close = nearest(operator, self._entries)
        if close:
            known = f"The nearest it knows: {'; '.join(map(str, close))}."
        else:
            kinds = sorted({kind_of(other) for other in self._entries})
            known = f"It knows no {kind_of(operator)}, only: {', '.join(kinds)}."
        return MissingOperatorError(
            f"{operator} is not in the table for {self._condition}. {known} Measure it with: "
            f"elat measure --device {self._condition.device} --space SPACE (a space that has it)."
        )


def check_device(condition: Condition, device: str) -> None:
    """Refuse latencies of another device than the one named.

    Raises:
        ArtefactError: `condition` is of another device.
    """
    if condition.device != device:
        raise ArtefactError(
            f"These latencies are of device {condition.device}, not {device}; measure {device} "
            f"with: elat measure --device {device} --space SPACE, or ask for "
            f"--device {condition.device}."
        )


def write_table(table: LatencyTable, path: Path) -> None:
    """Write `table` to `path` as its suffix says: `.yaml` or `.parquet`, whole or not at all.

    Raises:
        ConfigError: The suffix is another one.
    """
    header = {
        "schema": SCHEMA,
        "kind": KIND,
        "unit": UNIT,
        "origin": table.origin,
        "granularity": table.granularity,
        "condition": table.condition.to_json(),
        "operators": len(table),
        "sha256": table.sha256,
    }
    title = f"Latency of operators on {table.condition}, in milliseconds."
    write_document(path, title, header, table.rows())


def read_table(path: Path) -> LatencyTable:
    """The table that `write_table` wrote to `path`, its hash checked.

    Raises:
        ArtefactError: It is missing, cut short, edited, of another kind or schema.
        ConfigError: The suffix is not that of a table.
    """
    header, rows = read_document(path)
    if header.get("kind") != KIND:
        raise ArtefactError(f"{path} holds a {header.get('kind') or 'nameless thing'}, no {KIND}.")
    if header.get("schema") != SCHEMA or header.get("unit") != UNIT:
        raise ArtefactError(
            f"{path} has schema {header.get('schema')} in {header.get('unit')}, this elat reads "
            f"schema {SCHEMA} in {UNIT}."
        )
    repair = "make it again with: elat table --device DEVICE --space SPACE --out FILE"
    if len(rows) != header.get("operators"):
        raise ArtefactError(
            f"{path} announces {header.get('operators')} operators and holds {len(rows)}: it was "
            f"cut short; {repair}."
        )
    try:
        entries = dict(map(_entry, rows))
        table = LatencyTable(Condition.from_json(header["condition"]), header["origin"], entries)
        sha256 = table.sha256
    except (ElatError, *_UNREADABLE) as error:
        raise ArtefactError(f"{path} is damaged ({error}); {repair}.") from error
    if sha256 != header.get("sha256"):
        raise ArtefactError(
            f"{path} was edited or damaged after it was written (its hash differs); {repair}."
        )
    return table


def _entry(row: dict[str, Any]) -> tuple[Operator, Entry]:
    operator = from_json(operator_of(row))
    return operator, Entry(int(row["count"]), float(row["mean"]), float(row["std"]))


def _order(operator: Operator) -> tuple[Any, ...]:
    values = to_json(operator).items()
    return tuple((name, type(value).__name__, value) for name, value in values)
