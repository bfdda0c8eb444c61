"""Weighted sums of measured latencies, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .measurement import Measurement

LEVEL = 0.95

Terms = Sequence[tuple[Measurement, float]]
"""Measurements with their weights, each once: one that enters twice errs twice alike."""


def sum_ms(terms: Terms) -> float:
    """The sum of `terms`, in milliseconds."""
    return math.fsum(weight * measurement.latency_ms for measurement, weight in terms)


def sum_interval_ms(terms: Terms, level: float = LEVEL) -> tuple[float, float]:
    """Confidence interval of the sum of `terms`, in milliseconds.

    Models err independently, so that the sum reaches as far to a side as the root of the sum of
    the squares of what its parts do. Their intervals reach further up than down, and each side has
    a half-width of its own; the sum of one model of weight 1 has that model's own interval.

    Raises:
        MeasurementError: A measurement has one launch only.
    """
    reach = [_reach_ms(measurement, weight, level) for measurement, weight in terms]
    middle_ms = sum_ms(terms)
    low_ms = middle_ms - math.hypot(*(down for down, _ in reach))
    return low_ms, middle_ms + math.hypot(*(up for _, up in reach))


def _reach_ms(measurement: Measurement, weight: float, level: float) -> tuple[float, float]:
    """How far `weight` times the latency may lie below what was measured, and how far above."""
    low_ms, high_ms = measurement.interval(level)
    ends = sorted((weight * low_ms, weight * high_ms))
    return weight * measurement.latency_ms - ends[0], ends[1] - weight * measurement.latency_ms
