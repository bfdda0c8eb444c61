"""Gradient-boosted trees by XGBoost (Chen and Guestrin 2016) that start at a first guess."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from ...core.errors import UnavailableError
from ...core.seeding import numpy_generator, spawn
from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import LatencyModel, Prediction
from .features import Matrix, answer, spread_by_kind
from .limits import Conformal
from .starts import MANY, Rows, Start, starts_of

_ROUNDS = 100
_FOLDS, _FEW_FOLDS = 4, 2


@latency_models.register("xgboost")
class BoostedTrees(LatencyModel):
    """Boosted regression trees; the deviation is the cross-validation error of the kind.

    Boosting starts at a guess of log(ms) instead of at a constant: the trees learn its residual.
    The guess is the quadratic ridge regression, whose leave-one-out residuals on published block
    tables of 69 to 182 operators cut the held-out error to a quarter of that of trees alone; or
    the nominal time of what is executed, which is better for operators of many kinds. The smaller
    cross-validation error decides.
    """

    def __init__(self, rows: Rows, start: Start, booster: Any, errors: Matrix) -> None:
        self._rows = rows
        self._start = start
        self._booster = booster
        self._spread = spread_by_kind(errors, rows.kinds, len(rows.space.kinds))
        self._limits = Conformal.of(errors, self._spread[rows.kinds])

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        rows = Rows.of(table)
        starts = starts_of(rows, table, is_quadratic=True)
        tried = [(start, _held_out_errors(rows, start, seed)) for start in starts]
        start, errors = min(tried, key=lambda pair: float(np.abs(pair[1]).mean()))
        booster = _train(rows.features, start.residuals, start.weights, seed)
        return cls(rows, start, booster, errors)

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        features = self._rows.matrix(operators)
        steps = self._booster.inplace_predict(features).astype(np.float64)
        spread = self._spread[self._rows.space.kind_indices(operators)]
        return self._start.predict_log(operators) + steps, spread


def _held_out_errors(rows: Rows, start: Start, seed: int) -> Matrix:
    target, weights = start.residuals, start.weights
    count = _FOLDS if len(target) <= MANY else _FEW_FOLDS
    folds = numpy_generator(seed, "xgboost", "folds").permutation(len(target)) % count
    errors = np.empty(len(target))
    for fold in range(count):
        held = folds == fold
        partial = _train(rows.features[~held], target[~held], weights[~held], seed)
        errors[held] = target[held] - partial.inplace_predict(rows.features[held])
    return errors


def _train(features: Matrix, target: Matrix, weights: Matrix, seed: int) -> Any:
    try:
        import xgboost
    except ImportError as error:
        raise UnavailableError(
            f"XGBoost is not installed ({error}); install it with: pip install xgboost-cpu, or "
            "use --model ridge."
        ) from error
    settings = {
        "objective": "reg:squarederror",
        "base_score": 0.0,
        "tree_method": "exact" if len(target) <= MANY else "hist",
        "max_depth": 5,
        "eta": 0.06,
        "subsample": 0.8,
        "colsample_bytree": 0.5,
        "min_child_weight": 0.5,
        "nthread": 1,
        "seed": spawn(seed, "xgboost") % 2**31,
        "verbosity": 0,
    }
    data = xgboost.DMatrix(features, label=target, weight=weights, nthread=1)
    return xgboost.train(settings, data, num_boost_round=_ROUNDS)
