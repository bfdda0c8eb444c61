"""Random forest (Breiman 2001) on what a first-order regression of log(ms) leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ...core.seeding import spawn
from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import LatencyModel, Prediction
from .features import Matrix, answer
from .log_ridge import LogRidge

_TREES = 200


@latency_models.register("random-forest")
class RandomForest(LatencyModel):
    """The mean of trees on bootstrap samples; the deviation is the spread of the trees.

    The trees learn the leave-one-out residual of a linear regression of log(ms), so that they need
    not approximate its slopes by steps.
    """

    def __init__(self, start: LogRidge, trees: Sequence[Any]) -> None:
        self._start = start
        self._trees = trees

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        from sklearn.ensemble import RandomForestRegressor

        start = LogRidge.fit(table, is_quadratic=False)
        forest = RandomForestRegressor(
            n_estimators=_TREES,
            max_features=0.5,
            random_state=spawn(seed, "random-forest") % 2**32,
            n_jobs=1,
        )
        forest.fit(start.features, start.residuals)
        return cls(start, forest.estimators_)

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log))

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        features = self._start.space.matrix(operators).astype(np.float32)
        votes = np.empty((len(operators), len(self._trees)))
        for index, tree in enumerate(self._trees):
            votes[:, index] = tree.predict(features)
        return self._start.predict_log(operators) + votes.mean(axis=1), votes.std(axis=1)
