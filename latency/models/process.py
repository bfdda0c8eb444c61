"""What the two Gaussian processes have in common as stored models."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from .base import Prediction, StoredModel
from .features import answer
from .limits import Conformal

Matrix = NDArray[np.float64]


class Process(StoredModel):
    """A process that is conditioned on its table again when it comes back, by one thread.

    Matrix products by several threads do not give the same bits each time.
    """

    _limits: Conformal

    @abstractmethod
    def __init__(self, table: LatencyTable, seed: int, state: Mapping[str, Matrix] | None) -> None:
        """Learn from `table`, or, with what was learnt in `state`, only condition on it."""

    @abstractmethod
    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        """log(ms) of `operators`, none of them free, and its deviation, `(operators,)` each."""

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        return cls._conditioned(table, seed, None)

    @classmethod
    def restored(cls, table: LatencyTable, seed: int, state: Mapping[str, Matrix]) -> Self:
        return cls._conditioned(table, seed, state)

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    @classmethod
    def _conditioned(
        cls, table: LatencyTable, seed: int, state: Mapping[str, Matrix] | None
    ) -> Self:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        with threadpool_limits(1):
            return cls(table, seed, state)
