"""What a table knows of one operator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt

from ..core.errors import MeasurementError


@dataclass(frozen=True)
class Entry:
    """Latency of one operator.

    Attributes:
        count: Independent launches behind it.
        mean_ms: The latency, above 0.
        std_ms: Standard deviation between launches.
    """

    count: int
    mean_ms: float
    std_ms: float

    def __post_init__(self) -> None:
        if self.count < 1:
            raise MeasurementError(f"A latency needs at least one launch, found {self.count}.")
        if not (isfinite(self.mean_ms) and self.mean_ms > 0):
            raise MeasurementError(
                f"A latency must be above 0 ms, found {self.mean_ms}; measure the operator with "
                "more launches: elat measure ... --protocol NAME."
            )
        if not (isfinite(self.std_ms) and self.std_ms >= 0):
            raise MeasurementError(f"A deviation must be at least 0 ms, found {self.std_ms}.")


def pooled(entries: Sequence[Entry]) -> Entry:
    """One entry from several of one operator: the moments of all their launches together."""
    if len(entries) == 1:
        return entries[0]
    count = sum(e.count for e in entries)
    mean = fsum(e.count * e.mean_ms for e in entries) / count
    within = fsum((e.count - 1) * e.std_ms**2 for e in entries)
    between = fsum(e.count * (e.mean_ms - mean) ** 2 for e in entries)
    return Entry(count, mean, sqrt((within + between) / max(1, count - 1)))
