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
from .limits import Conformal, Limits
from .log_ridge import LogRidge

_TREES = 200
_LEAST_SPREAD_SHARE = 0.1


@latency_models.register("random-forest")
class RandomForest(LatencyModel):
    """The mean of trees on bootstrap samples; the deviation is the spread of the trees.

    The trees learn the leave-one-out residual of a linear regression of log(ms), so that they need
    not approximate its slopes by steps. Limits come from the errors on the operators that a tree's
    bootstrap sample left out. Where all trees agree, the deviation is a tenth of the mean one.
    """

    def __init__(
        self, start: LogRidge, trees: Sequence[Any], least: float, limits: Limits
    ) -> None:
        self._start = start
        self._trees = trees
        self._least = least
        self._limits = limits

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
        mean, spread = _out_of_bag(forest, start.features)
        least = max(_LEAST_SPREAD_SHARE * float(spread.mean()), 1e-9)
        limits = Conformal.of(start.residuals - mean, np.maximum(spread, least))
        return cls(start, forest.estimators_, least, limits)

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        features = self._start.space.matrix(operators).astype(np.float32)
        votes = np.empty((len(operators), len(self._trees)))
        for index, tree in enumerate(self._trees):
            votes[:, index] = tree.predict(features)
        spread = np.maximum(votes.std(axis=1), self._least)
        return self._start.predict_log(operators) + votes.mean(axis=1), spread


def _out_of_bag(forest: Any, features: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and deviation, for each row, of the trees that were not fitted to it, `(rows,)` each.

    A row that every tree was fitted to (hardly possible with 200 trees) keeps all their votes.
    """
    rows = features.astype(np.float32)
    votes = np.column_stack([tree.predict(rows) for tree in forest.estimators_])
    is_out = np.ones(votes.shape, bool)
    for index, sampled in enumerate(forest.estimators_samples_):
        is_out[sampled, index] = False
    is_out[~is_out.any(axis=1)] = True
    chosen = np.where(is_out, votes, np.nan)
    return np.nanmean(chosen, axis=1), np.nanstd(chosen, axis=1)
