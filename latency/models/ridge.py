"""Ridge regression as a latency model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import LatencyModel, Prediction
from .features import Matrix, answer, spread_by_kind
from .limits import Conformal
from .log_ridge import LogRidge


@latency_models.register("ridge")
class Ridge(LatencyModel):
    """log(ms) is linear in features shared by all kinds and quadratic in those of common kinds.

    The deviation is the leave-one-out error of the operator's kind; it does not grow outside the
    measured range.
    """

    def __init__(self, ridge: LogRidge) -> None:
        self._ridge = ridge
        self._spread = spread_by_kind(ridge.residuals, ridge.kinds, len(ridge.space.kinds))
        self._limits = Conformal.of(ridge.residuals, self._spread[ridge.kinds])

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        del seed
        return cls(LogRidge.fit(table, is_quadratic=True))

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        logs = self._ridge.predict_log(operators)
        return logs, self._spread[self._ridge.space.kind_indices(operators)]
