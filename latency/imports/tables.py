"""From imported rows that name operators to a latency table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from ...core.errors import ArtefactError, ConfigError, ElatError
from ..condition import Condition, Method, Precision
from ..entry import Entry
from ..operators import Operator
from ..operators.chain import Chain
from ..table import LatencyTable
from .base import Imported, Quantity, Row

UNKNOWN = "unknown"
_ORDINARY: Mapping[str, int | StrEnum] = MappingProxyType(
    {"batch": 1, "method": Method.BLOCK, "precision": Precision.FP32, "threads": 1}
)


def imported_table(imported: Imported, condition: Condition) -> LatencyTable:
    """The table of all rows of `imported`, whose condition is `condition`.

    A row of a chain is divided among its operators by the memory that each moves, so that only
    their sum is a number of the file.

    Raises:
        ConfigError: The rows are no latencies, or do not name operators.
        ArtefactError: Two rows name one operator, or one costs nothing.
    """
    unnamed = [row.name for row in imported.rows if row.operator is None]
    if imported.quantity is not Quantity.LATENCY_MS:
        raise ConfigError(f"{imported.quantity} are no latencies; a latency table holds none.")
    if unnamed:
        raise ConfigError(
            f"{len(unnamed)} of {len(imported.rows)} rows name no operator of elat, "
            f"{unnamed[0]} among them; a latency table needs one for every row."
        )
    entries: dict[Operator, Entry] = {}
    for row in imported.rows:
        for operator, entry in _entries(row):
            if operator in entries:
                raise ArtefactError(f"{operator} stands twice, {row.name} is the second.")
            entries[operator] = entry
    return LatencyTable(condition, imported.origin, entries)


def known_condition(imported: Imported, device: str | None = None) -> Condition:
    """The condition of `imported` as far as its file tells it.

    What it does not tell is `unknown`; where a condition needs a value all the same, it is that of
    an ordinary run (`_ORDINARY`), and the option `not_recorded` lists it.

    Args:
        imported: Its facts may say `device`, `runtime`, `runtime_version`, `precision`, `batch`,
            `threads` and `method`.
        device: The device's name, where the user knows it.
    """
    facts = dict(imported.facts) if device is None else {**imported.facts, "device": device}
    known = {n: facts[n] for n, ordinary in _ORDINARY.items() if _is_such(facts.get(n), ordinary)}
    values: dict[str, Any] = {**_ORDINARY, **known}
    missing = sorted(_ORDINARY.keys() - known.keys())
    return Condition(
        device=str(facts.get("device", UNKNOWN)),
        runtime=str(facts.get("runtime", UNKNOWN)),
        runtime_version=str(facts.get("runtime_version", UNKNOWN)),
        precision=Precision(values["precision"]),
        batch=values["batch"],
        threads=values["threads"],
        method=Method(values["method"]),
        options=(("import", imported.kind), ("not_recorded", " ".join(missing))),
    )


def _is_such(value: object, ordinary: int | StrEnum) -> bool:
    """Whether `value` can stand in a condition in the place of `ordinary`."""
    if isinstance(ordinary, int):
        return type(value) is int and value >= 1
    return value in list(type(ordinary))


def _entries(row: Row) -> Iterator[tuple[Operator, Entry]]:
    operators = row.operator.operators if isinstance(row.operator, Chain) else (row.operator,)
    total = sum(operator.traffic_elements for operator in operators if operator is not None)
    for operator in operators:
        if operator is None:
            continue
        share = operator.traffic_elements / total
        std_ms = share * row.reported.get("std", 0.0)
        try:
            yield operator, Entry(row.count or 1, share * row.value, std_ms)
        except ElatError as error:
            raise ArtefactError(f"{row.name}: {error}") from error
