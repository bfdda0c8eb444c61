"""Random forest (Breiman 2001) on what a first guess of log(ms) leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from ...core.seeding import spawn
from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import LatencyModel, Prediction
from .features import Matrix, answer
from .limits import Conformal
from .starts import MANY, Rows, Start, starts_of

_TREES, _FEW_TREES, _FEW_FEATURES = 200, 40, 0.25
_LEAST_SPREAD_SHARE = 0.1
_MANY_LEAF = 3


@latency_models.register("random-forest")
class RandomForest(LatencyModel):
    """The mean of trees on bootstrap samples; the deviation is the spread of the trees.

    The trees learn the residual of a linear regression of log(ms), so that they need not
    approximate its slopes by steps, or of the nominal time of what is executed: the smaller error
    on the operators that a tree's bootstrap sample left out decides. These errors give the limits,
    too. Where all trees agree, the deviation is a tenth of the mean one.
    """

    def __init__(self, rows: Rows, grown: _Grown) -> None:
        self._rows = rows
        self._start = grown.start
        self._trees = grown.forest.estimators_
        self._least = max(_LEAST_SPREAD_SHARE * float(grown.spread.mean()), 1e-9)
        self._limits = Conformal.of(grown.errors, np.maximum(grown.spread, self._least))

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        rows = Rows.of(table)
        starts = starts_of(rows, table, is_quadratic=False)
        grown = [_grow(rows, start, seed) for start in starts]
        return cls(rows, min(grown, key=lambda found: float(np.abs(found.errors).mean())))

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        features = self._rows.matrix(operators).astype(np.float32)
        votes = np.empty((len(operators), len(self._trees)))
        for index, tree in enumerate(self._trees):
            votes[:, index] = tree.predict(features)
        spread = np.maximum(votes.std(axis=1), self._least)
        return self._start.predict_log(operators) + votes.mean(axis=1), spread


class _Grown(NamedTuple):
    """A forest, and out-of-bag errors and deviations of the operators it was fitted to."""

    start: Start
    forest: Any
    errors: Matrix
    spread: Matrix


def _grow(rows: Rows, start: Start, seed: int) -> _Grown:
    from sklearn.ensemble import RandomForestRegressor

    is_large = len(rows.target) > MANY
    forest = RandomForestRegressor(
        n_estimators=_FEW_TREES if is_large else _TREES,
        max_features=_FEW_FEATURES if is_large else 0.5,
        min_samples_leaf=_MANY_LEAF if is_large else 1,
        random_state=spawn(seed, "random-forest") % 2**32,
        n_jobs=1,
    )
    forest.fit(rows.features, start.residuals, sample_weight=start.weights)
    mean, spread = _out_of_bag(forest, rows.features)
    return _Grown(start, forest, start.residuals - mean, spread)


def _out_of_bag(forest: Any, features: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and deviation, for each row, of the trees that were not fitted to it, `(rows,)` each.

    A row that every tree was fitted to (hardly possible with so many trees) keeps all their votes.
    """
    rows = features.astype(np.float32)
    votes = np.column_stack([tree.predict(rows) for tree in forest.estimators_])
    is_out = np.ones(votes.shape, bool)
    for index, sampled in enumerate(forest.estimators_samples_):
        is_out[sampled, index] = False
    is_out[~is_out.any(axis=1)] = True
    chosen = np.where(is_out, votes, np.nan)
    return np.nanmean(chosen, axis=1), np.nanstd(chosen, axis=1)
