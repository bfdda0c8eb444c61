"""Anything that answers how long operators take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable


@dataclass(frozen=True, eq=False)
class Prediction:
    """Latency of each asked operator, in milliseconds, and its standard deviation."""

    latency_ms: NDArray[np.float64]
    std_ms: NDArray[np.float64]


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
