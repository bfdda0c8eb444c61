"""Anything that answers how long operators take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...core.errors import MissingLatencyError
from ..operators import Operator
from ..table import LatencyTable
from .limits import Limits

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """Latency of each asked operator, in milliseconds, and its standard deviation.

    Attributes:
        limits: How many deviations cover the truth how often; None where nobody knows.
    """

    latency_ms: Vector
    std_ms: Vector
    limits: Limits | None = None

    def interval(self, level: float) -> tuple[Vector, Vector]:
        """Lowest and highest latency in ms that cover a share of `level`, `(operators,)` each.

        They are predicted times exp(-+ deviations of log(ms)). Where there are too few errors
        (launches, for a table) to tell, they are 0 and infinite; for what is free, both are 0.

        Args:
            level: Share of measurements to lie between them, above 0 and below 1.

        Raises:
            ConfigError: `level` is out of range.
            MissingLatencyError: The model states no limits.
        """
        factor = self._limits.two_sided(level)
        return self._moved(np.negative(factor)), self._moved(factor)

    def upper(self, level: float) -> Vector:
        """Latency in ms that a share of `level` does not pass, `(operators,)`; see `interval`.

        Raises:
            ConfigError: `level` is out of range.
            MissingLatencyError: The model states no limits.
        """
        return self._moved(self._limits.upper(level))

    @property
    def _limits(self) -> Limits:
        if self.limits is None:
            raise MissingLatencyError(
                "This latency model states no limits, only a standard deviation; fit one that "
                "does: elat fit --model ridge (elat models lists all)."
            )
        return self.limits

    def _moved(self, factor: float | Vector) -> Vector:
        """Each latency, `factor` deviations of its logarithm further; what is free stays at 0."""
        is_free = self.latency_ms == 0
        relative = self.std_ms / np.where(is_free, 1.0, self.latency_ms)
        is_known = np.isfinite(factor)
        steps = np.where(is_known, relative * np.where(is_known, factor, 0.0), factor)
        with np.errstate(over="ignore"):  # what is so unsure has no limit
            return self.latency_ms * np.exp(np.where(is_free, 0.0, steps))


class LatencyModel(ABC):
    """A fitted model for one condition and origin. There is no unfitted state."""

    @classmethod
    @abstractmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        """Learn from `table`; the same table and seed give the same predictions to the bit.

        Raises:
            ConfigError: The table is too small to learn from.
        """

    @abstractmethod
    def predict(self, operators: Sequence[Operator]) -> Prediction:
        """Latency of each of `operators`; 0 ms for those that are free by definition.

        Raises:
            MissingOperatorError: The model cannot answer for one of them (a kind it has not
                seen).
        """


class StoredModel(LatencyModel):
    """A model that is expensive to fit: what it learnt is kept in its folder, as arrays."""

    @abstractmethod
    def state(self) -> dict[str, NDArray[np.float64]]:
        """What `restored` needs besides the table and the seed, by name."""

    @classmethod
    @abstractmethod
    def restored(cls, table: LatencyTable, seed: int, state: Mapping[str, Vector]) -> Self:
        """The model that `fit` gave for `table` and `seed`, to the bit, without fitting it again.

        Raises:
            KeyError, ValueError: `state` is none that `state` returned for them.
        """
