"""How far from a prediction the latency may lie: limits with a stated coverage.

A limit covers another measurement of the same operator under the same condition, taken with the
care of those that the model was fitted to: model error and measurement noise together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import ceil, inf
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError

Vector = NDArray[np.float64]


class Limits(ABC):
    """How many standard deviations of log(ms) cover the truth with a given probability."""

    @abstractmethod
    def two_sided(self, level: float) -> float | Vector:
        """Deviations to both sides that cover with probability `level`; infinite if unknowable.

        Raises:
            ConfigError: `level` is not between 0 and 1.
        """

    @abstractmethod
    def upper(self, level: float) -> float | Vector:
        """Deviations upward (or downward, where negative) below which `level` of all lie.

        Raises:
            ConfigError: `level` is not between 0 and 1.
        """


@dataclass(frozen=True, eq=False)
class Conformal(Limits):
    """Limits from the errors on operators that the model was not fitted to.

    With n exchangeable scores the k-th smallest of them, k = ceil((n + 1) level), is not passed by
    a new one with a probability of at least `level` and at most `level` + 1/(n + 1), whatever
    their distribution (Lei et al. 2018, "Distribution-free predictive inference for regression",
    theorem 2.2; cross-validated as in Barber et al. 2021, "Predictive inference with the
    jackknife+", section 1.2, where the guarantee is near but not exact). Fewer than
    level / (1 - level) scores cannot tell: the limit is infinite.

    Attributes:
        signed: (log measured - log predicted) / spread of every held-out operator, ascending.
        absolute: Their absolute values, ascending.
    """

    signed: Vector
    absolute: Vector

    @classmethod
    def of(cls, residuals: Vector, spread: Vector) -> Self:
        """Limits from held-out errors.

        Args:
            residuals: log(measured ms) - log(predicted ms), of predictions without each.
            spread: What the model states as their standard deviation, above 0.
        """
        scores = np.asarray(residuals / spread, np.float64)
        return cls(np.sort(scores), np.sort(np.abs(scores)))

    def two_sided(self, level: float) -> float:
        return _order_statistic(self.absolute, level)

    def upper(self, level: float) -> float:
        return _order_statistic(self.signed, level)


@dataclass(frozen=True, eq=False)
class StudentT(Limits):
    """Limits of the mean of n launches to come, from n launches that were seen.

    Both means vary, so that their difference over the deviation between launches is
    sqrt(2/n) times Student's t with n - 1 degrees of freedom. One launch cannot tell: the limit
    is infinite.

    Attributes:
        counts: Launches behind each latency, `(operators,)`.
    """

    counts: NDArray[np.intp]

    def two_sided(self, level: float) -> Vector:
        return self.upper((1 + checked_level(level)) / 2)

    def upper(self, level: float) -> Vector:
        from scipy.stats import t

        degrees = np.maximum(self.counts - 1, 1)
        factors = t.ppf(checked_level(level), degrees) * np.sqrt(2 / self.counts)
        return np.where(self.counts > 1, factors, inf)


def checked_level(level: float) -> float:
    """`level` itself.

    Raises:
        ConfigError: It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ConfigError(
            f"A level is the share to cover, above 0 and below 1 (0.95, say); found {level}."
        )
    return level


def rank_of(level: float, count: int) -> int:
    """Which of `count` ascending scores is the limit of `level`; above `count` if none is.

    Raises:
        ConfigError: `level` is not between 0 and 1.
    """
    return ceil((count + 1) * checked_level(level) - 1e-9)


def _order_statistic(ascending: Vector, level: float) -> float:
    rank = rank_of(level, len(ascending))
    return float(ascending[rank - 1]) if rank <= len(ascending) else inf
