"""Latencies against limits, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ..core.errors import MeasurementError
from .measurement import Measurement
from .operators import Operator
from .sums import LEVEL, sum_interval_ms, sum_ms


class Held(StrEnum):
    """Whether a limit holds: by the whole interval, not at all, or undecided."""

    OK = "ok"
    OVER = "over"
    UNSURE = "unsure"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Limit:
    """What a weighted sum of measured models may cost.

    Attributes:
        terms: The models with their weights; a model measured as it stands is one of weight 1.
        margin: How much the limit may be passed, relative to it: 0.02 is 2 %.
    """

    name: str
    terms: tuple[tuple[Operator, float], ...]
    limit_ms: float
    margin: float = 0.0

    @property
    def allowed_ms(self) -> float:
        """The limit with its margin."""
        return self.limit_ms * (1 + self.margin)


@dataclass(frozen=True)
class Line:
    """A limit and what was measured.

    Attributes:
        latency_ms: None where it is not known, and `reason` says why; so are the interval's ends
            `low_ms` and `high_ms`.
    """

    limit: Limit
    held: Held
    latency_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    reason: str = ""


def check_limits(
    limits: Sequence[Limit], measured: Mapping[Operator, Measurement], level: float = LEVEL
) -> list[Line]:
    """Each of `limits` against `measured`.

    OK: the upper end of the interval is within the limit and its margin. OVER: the lower end is
    above it. UNSURE: it lies in the interval. UNKNOWN: a model was not measured.
    """
    return [_line(limit, measured, level) for limit in limits]


def _line(limit: Limit, measured: Mapping[Operator, Measurement], level: float) -> Line:
    missing = [model for model, _ in limit.terms if model not in measured]
    if missing:
        return Line(limit, Held.UNKNOWN, reason=f"{missing[0]} could not be measured")
    terms = [(measured[model], weight) for model, weight in limit.terms]
    latency_ms = sum_ms(terms)
    try:
        low_ms, high_ms = sum_interval_ms(terms, level)
    except MeasurementError as error:
        return Line(limit, Held.UNKNOWN, latency_ms, reason=str(error))
    held = Held.UNSURE
    if high_ms <= limit.allowed_ms:
        held = Held.OK
    elif low_ms > limit.allowed_ms:
        held = Held.OVER
    return Line(limit, held, latency_ms, low_ms, high_ms)
