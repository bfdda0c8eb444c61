"""What is exported, and what every exporter answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..condition import Condition
from ..entry import Entry
from ..operators import Operator
from ..operators.serial import kind_of, to_json
from ..store.rows import Record
from ..table import LatencyTable


@dataclass(frozen=True)
class Source:
    """Latencies of operators under one condition.

    Attributes:
        condition: Under which all were taken.
        origin: `measured`, `imported` or `simulated`, one for all.
        entries: Latency, deviation and number of launches of each operator.
        records: The launches behind them with all that is kept of each; none of a table file.
    """

    condition: Condition
    origin: str
    entries: Mapping[Operator, Entry] = field(hash=False)
    records: tuple[Record, ...] = ()

    @classmethod
    def of_table(cls, table: LatencyTable, records: Iterable[Record] = ()) -> Source:
        """What `table` holds, with the launches it was made from if they are known."""
        return cls(
            table.condition, table.origin, MappingProxyType(dict(table.entries)), tuple(records)
        )

    def rows(self) -> list[dict[str, Any]]:
        """A flat row for each operator: what it is, its latency in ms, and under what."""
        shared = self.condition.to_json()
        under = {name: shared[name] for name in _UNDER}
        return [
            {
                "kind": kind_of(operator),
                "operator": to_json(operator),
                "count": entry.count,
                "mean_ms": entry.mean_ms,
                "std_ms": entry.std_ms,
                "origin": self.origin,
                **under,
            }
            for operator, entry in self.entries.items()
        ]


_UNDER = ("device", "runtime", "runtime_version", "precision", "batch", "threads", "method")


@dataclass(frozen=True)
class Exported:
    """A file to write.

    Attributes:
        data: Its bytes.
        count: How many operators or launches it holds.
        left_out: Operators that the format cannot say.
    """

    data: bytes
    count: int
    left_out: tuple[Operator, ...] = ()


class Exporter(ABC):
    """Writes one format. Its constructor does nothing."""

    @abstractmethod
    def export(self, source: Source) -> Exported:
        """The file of `source`, the same bytes for the same source.

        Raises:
            ConfigError: The format can say none of its operators.
        """
