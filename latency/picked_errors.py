"""Limits that hold for a network that was picked, whatever prefers one network to another.

Under a latency bound the network is taken that is worth most, and what is worth more computes
more. Among networks predicted alike, the one of more multiply-adds is the one more likely to have
been predicted too low: a limit that holds for 95 % of all networks is then passed by far more than
5 % of those picked (the optimizer's curse: Smith and Winkler 2006). So the limit is made for
networks of *this* prediction and *these* multiply-adds: the error of measured networks left out is
regressed on how many more multiply-adds each has than others predicted alike, and the limit is
that of a new observation of this regression (Seber and Lee 2003, *Linear Regression Analysis*,
section 5.3.1), with the greater of Student's quantile and the order statistic of the residuals.

Assumes that, given both, the error goes with nothing else that a search prefers, and that its
spread is the same everywhere, relative to the latency.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError
from .models.limits import rank_of

Vector = NDArray[np.float64]

FEWEST = 6
_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class PickedErrors:
    """How errors of predictions go with multiply-adds; logarithms of ms and of MACs throughout.

    Attributes:
        slope: Of log MACs on log predicted ms, and `intercept`; what is above this line is the
            *excess* of a network.
        mean: Of the errors, log measured less log predicted.
        shift: Error for each unit of excess, at least 0.
        deviation: Of errors around that.
        spread: Sum of the squares of the excesses of all networks.
        scores: Residuals in deviations, ascending, each widened for having been fitted.
    """

    slope: float
    intercept: float
    mean: float
    shift: float
    deviation: float
    spread: float
    scores: Vector

    @classmethod
    def fit(cls, predicted_ms: Vector, macs: Vector, measured_ms: Vector) -> Self:
        """Learn from networks that were measured, each predicted without it.

        Raises:
            ConfigError: There are too few.
        """
        if len(measured_ms) < FEWEST:
            raise ConfigError(
                f"{len(measured_ms)} measured networks cannot tell how errors go with "
                f"multiply-adds, which takes {FEWEST}: elat calibrate --networks {FEWEST}."
            )
        at, size = np.log(predicted_ms), np.log(np.maximum(macs, 1.0))
        slope = _slope(at - at.mean(), size - size.mean())
        intercept = float(size.mean() - slope * at.mean())
        excess, errors = size - slope * at - intercept, np.log(measured_ms) - at
        spread = float(excess @ excess)
        if spread <= _NOTHING:
            excess, spread = np.zeros_like(excess), np.inf
        residuals = errors - errors.mean() - _slope(excess, errors - errors.mean()) * excess
        deviation = float(np.sqrt(residuals @ residuals / (len(errors) - 2)))
        leverage = np.minimum(1 / len(errors) + excess**2 / spread, 1 - 1e-6)
        scores = np.sort(residuals / np.sqrt(1 - leverage)) / max(deviation, _NOTHING)
        shift = max(0.0, _slope(excess, errors - errors.mean()))
        return cls(slope, intercept, float(errors.mean()), shift, deviation, spread, scores)

    def margin(self, predicted_ms: Vector, macs: Vector, level: float) -> Vector:
        """Margin in log(ms) that a share of `level` of networks like each keep.

        It grows with `macs`. Of networks of fewer multiply-adds than others predicted alike it is
        that of those others.

        Args:
            predicted_ms: Above 0.
            macs: Of the same networks.
            level: Between 0 and 1.

        Raises:
            ConfigError: `level` is not between 0 and 1, or too few networks were measured for it.
        """
        from scipy.stats import t

        count = len(self.scores)
        rank = told_rank(level, count)
        quantile = max(float(self.scores[rank - 1]), float(t.ppf(level, count - 2)))
        line = self.slope * np.log(predicted_ms) + self.intercept
        excess = np.maximum(np.log(np.maximum(macs, 1.0)) - line, 0.0)
        width = self.deviation * np.sqrt(1 + 1 / count + excess**2 / self.spread)
        return np.asarray(self.mean + self.shift * excess + quantile * width)


def networks_for(level: float) -> int:
    """How many measured networks tell a limit of `level`."""
    return max(FEWEST, ceil(level / (1 - level) - 1e-9))


def told_rank(level: float, count: int) -> int:
    """Which of the ascending scores of `count` measured networks is the limit of `level`.

    Raises:
        ConfigError: `level` is not between 0 and 1, or so few networks cannot tell it.
    """
    rank = rank_of(level, count)
    if rank > count:
        raise ConfigError(
            f"{count} measured networks cannot tell a limit of level {level:g}, which takes "
            f"{networks_for(level)}; measure more with: elat calibrate --networks "
            f"{networks_for(level)}, or lower the level."
        )
    return rank


def _slope(x: Vector, y: Vector) -> float:
    """Of `y` on `x`, both around 0; 0 where `x` does not vary."""
    varied = float(x @ x)
    return float(x @ y) / varied if varied > _NOTHING else 0.0
