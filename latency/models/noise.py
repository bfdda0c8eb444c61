"""The noise of the measurements that models learn from: as weights, and as a ceiling.

An entry of n launches with deviation s has the relative standard error s / (mean sqrt(n)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..entry import Entry
from ..table import LatencyTable

Vector = NDArray[np.float64]

_MEDIAN_SQUARE = 0.4549
_LEAST = 1e-4
"""Standard errors and model errors below this (0.01 %) are taken as this."""


def standard_errors(table: LatencyTable) -> Vector:
    """Relative standard error of each entry of `table`, `(operators,)`.

    An entry of a single launch states none; it gets the median of the others, or 0 if all are so.
    """
    entries = list(table.entries.values())
    errors = np.array([_relative(entry) for entry in entries])
    known = np.array([entry.count > 1 for entry in entries])
    typical = float(np.median(errors[known])) if known.any() else 0.0
    return np.where(known, errors, typical)


def noise_weights(residuals: Vector, errors: Vector) -> Vector:
    """Weight of each operator, 1 / (s_model² + s_i²), scaled to a mean of 1, `(operators,)`.

    s_model² is what the held-out errors have beyond the measurements' own: the median square over
    that of a standard normal (0.4549), less the median squared standard error.

    Args:
        residuals: Held-out errors of log(ms) of a model without weights.
        errors: Relative standard errors of the measurements.
    """
    own = np.maximum(errors, _LEAST) ** 2
    model = max(float(np.median(residuals**2) / _MEDIAN_SQUARE - np.median(own)), _LEAST**2)
    weights = 1 / (model + own)
    return np.asarray(weights / weights.mean())


@dataclass(frozen=True)
class Share:
    """What somebody without any fault of their own reaches on these measured values.

    Attributes:
        within_5: Share of operators within 5 %, `within_10` within 10 %.
        mape: Mean absolute relative error.
    """

    within_5: float
    within_10: float
    mape: float

    @classmethod
    def of(cls, errors: Vector) -> Share:
        """For normal errors with these relative deviations."""
        from scipy.special import erf

        deviation = np.maximum(errors, 1e-12) * sqrt(2)
        return cls(
            float(np.mean(erf(0.05 / deviation))),
            float(np.mean(erf(0.10 / deviation))),
            float(np.mean(errors) * sqrt(2 / pi)),
        )


@dataclass(frozen=True)
class Ceiling:
    """The noise ceiling of a table: more than this no model can be seen to reach.

    Attributes:
        perfect: A predictor that knows every true latency, judged by the measured ones.
        repeated: Two independent measurements of each operator, judged by each other.
        operators: How many entries have several launches, so that their noise is known.
    """

    perfect: Share
    repeated: Share
    operators: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object with every share."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Ceiling:
        """The ceiling that `to_json` wrote.

        Raises:
            KeyError, TypeError: A field is missing or unreadable.
        """
        return cls(Share(**data["perfect"]), Share(**data["repeated"]), int(data["operators"]))


def noise_ceiling(entries: Sequence[Entry]) -> Ceiling | None:
    """The ceiling of these measurements; None where no entry has several launches.

    Errors are taken as normal with the standard error that each entry states.
    """
    errors = np.array([_relative(entry) for entry in entries if entry.count > 1])
    if not len(errors):
        return None
    return Ceiling(Share.of(errors), Share.of(errors * sqrt(2)), len(errors))


def _relative(entry: Entry) -> float:
    return entry.std_ms / entry.mean_ms / sqrt(entry.count)
