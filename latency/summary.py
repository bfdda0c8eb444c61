"""What a table needs of a measurement: its statistics, without the samples they follow from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .condition import Condition
from .flags import Flag, Grade
from .measurement import Measurement
from .operators import Operator


@dataclass(frozen=True)
class Summary:
    """The statistics of one `Measurement`, which say the same as its properties.

    Attributes:
        count: Number of launches.
        low_ms: Lower end of the 95 % interval, and `high_ms` the upper end; None where there is
            none, after one launch.
        protocol: Name of the protocol of the last launch.
        last_launch: The store's number of that launch.
    """

    operator: Operator
    condition: Condition
    origin: str
    count: int
    latency_ms: float
    latency_raw_ms: float
    std_ms: float
    low_ms: float | None
    high_ms: float | None
    flags: frozenset[Flag]
    grade: Grade
    protocol: str
    last_launch: int

    @classmethod
    def of(cls, measurement: Measurement, last_launch: int) -> Summary:
        """The summary of `measurement`, whose last launch is number `last_launch`."""
        low_ms, high_ms = measurement.interval() if measurement.count > 1 else (None, None)
        return cls(
            operator=measurement.operator,
            condition=measurement.condition,
            origin=measurement.origin,
            count=measurement.count,
            latency_ms=measurement.latency_ms,
            latency_raw_ms=measurement.latency_raw_ms,
            std_ms=measurement.std_ms,
            low_ms=low_ms,
            high_ms=high_ms,
            flags=measurement.flags,
            grade=measurement.grade,
            protocol=measurement.protocol.name,
            last_launch=last_launch,
        )

    def to_json(self) -> dict[str, Any]:
        """The statistics as a JSON object; a figure that is no finite number is null."""
        return {
            "count": self.count,
            **{name: _finite(getattr(self, name)) for name in _FIGURES},
            "flags": sorted(self.flags),
            "grade": self.grade,
            "protocol": self.protocol,
        }

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
        operator: Operator,
        condition: Condition,
        origin: str,
        last_launch: int,
    ) -> Summary:
        """The summary whose statistics `to_json` wrote."""
        figures = {name: data[name] for name in _FIGURES}
        known = {
            name: math.nan if figures[name] is None else figures[name] for name in _FIGURES[:3]
        }
        return cls(
            **{**figures, **known},
            operator=operator,
            condition=condition,
            origin=origin,
            count=data["count"],
            flags=frozenset(map(Flag, data["flags"])),
            grade=Grade(data["grade"]),
            protocol=data["protocol"],
            last_launch=last_launch,
        )


_FIGURES = ("latency_ms", "latency_raw_ms", "std_ms", "low_ms", "high_ms")


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
