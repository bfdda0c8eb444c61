"""Gradient-boosted trees by XGBoost (Chen and Guestrin 2016) that start at a ridge regression."""

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
from .log_ridge import LogRidge

_ROUNDS = 100
_FOLDS = 4


@latency_models.register("xgboost")
class BoostedTrees(LatencyModel):
    """Boosted regression trees; the deviation is the cross-validation error of the kind.

    Boosting starts at the quadratic ridge regression of log(ms) instead of at a constant: the
    trees learn its leave-one-out residual. On published block tables of 69 to 182 operators this
    cuts the held-out error to a quarter of that of trees alone.
    """

    def __init__(self, start: LogRidge, booster: Any, errors: Matrix) -> None:
        self._start = start
        self._booster = booster
        self._spread = spread_by_kind(errors, start.kinds, len(start.space.kinds))
        self._limits = Conformal.of(errors, self._spread[start.kinds])

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        start = LogRidge.fit(table, is_quadratic=True)
        features, target = start.features, start.residuals
        booster = _train(features, target, seed)
        folds = numpy_generator(seed, "xgboost", "folds").permutation(len(target)) % _FOLDS
        errors = np.empty(len(target))
        for fold in range(_FOLDS):
            held = folds == fold
            partial = _train(features[~held], target[~held], seed)
            errors[held] = target[held] - partial.inplace_predict(features[held])
        return cls(start, booster, errors)

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        space = self._start.space
        steps = self._booster.inplace_predict(space.matrix(operators)).astype(np.float64)
        spread = self._spread[space.kind_indices(operators)]
        return self._start.predict_log(operators) + steps, spread


def _train(features: Matrix, target: Matrix, seed: int) -> Any:
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
        "tree_method": "exact",
        "max_depth": 4,
        "eta": 0.06,
        "subsample": 0.8,
        "colsample_bytree": 0.7,
        "min_child_weight": 1.0,
        "nthread": 1,
        "seed": spawn(seed, "xgboost") % 2**31,
        "verbosity": 0,
    }
    data = xgboost.DMatrix(features, label=target, nthread=1)
    return xgboost.train(settings, data, num_boost_round=_ROUNDS)
