"""Several models stacked by cross-validation (Breiman 1996, "Stacked regressions")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import LatencyModel, Prediction, StoredModel
from .evaluate import folds_of
from .features import FeatureSpace, Matrix, answer, log_targets, spread_by_kind
from .limits import Conformal
from .noise import noise_weights, standard_errors

MEMBERS = ("ridge", "random-forest", "xgboost", "gaussian-process")
_FOLDS = 4
_SQUARED_TO, _REWEIGHTED = 0.05, 10


@latency_models.register("ensemble")
class Ensemble(StoredModel):
    """A weighted mean of the logarithms that other models predict.

    The weights are those with the smallest weighted error on held-out folds that are not negative
    and sum to 1 (section 2 there). Beyond 5 % errors count linearly and not squared, so that a few
    operators that no model predicts do not decide. The deviation is the held-out error of the
    mean, by kind. Operators that a model fitted without their fold cannot answer for tell no
    weights.
    """

    def __init__(
        self, table: LatencyTable, seed: int, members: Sequence[LatencyModel], learnt: Learnt
    ) -> None:
        self._space = FeatureSpace.of(table)
        self._members = members
        self._learnt = learnt
        told = np.isfinite(learnt["errors"])
        kinds = self._space.kind_indices(list(table))
        errors = learnt["errors"][told]
        self._spread = spread_by_kind(errors, kinds[told], len(self._space.kinds))
        self._limits = Conformal.of(errors, self._spread[kinds[told]])

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each member by its name."""
        return dict(zip(MEMBERS, self._learnt["weights"].tolist(), strict=True))

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        logs = _held_out_logs(table, seed)
        target, told = log_targets(table), np.isfinite(logs).all(axis=1)
        centre = np.median(logs, axis=1)
        counts = np.zeros(len(target))
        counts[told] = noise_weights((target - centre)[told], standard_errors(table)[told])
        weights = _stacked(logs[told], target[told], counts[told])
        errors = target - logs @ weights
        members = [latency_models[name].fit(table, seed=seed) for name in MEMBERS]
        return cls(table, seed, members, {"weights": weights, "errors": errors})

    @classmethod
    def restored(cls, table: LatencyTable, seed: int, state: Learnt) -> Self:
        members: list[LatencyModel] = []
        for name in MEMBERS:
            kind = latency_models[name]
            if issubclass(kind, StoredModel):
                own = {
                    k.removeprefix(f"{name}/"): v for k, v in state.items() if k.startswith(name)
                }
                members.append(kind.restored(table, seed, own))
            else:
                members.append(kind.fit(table, seed=seed))
        learnt = {name: state[name] for name in ("weights", "errors")}
        return cls(table, seed, members, learnt)

    def state(self) -> dict[str, NDArray[np.float64]]:
        found = dict(self._learnt)
        for name, member in zip(MEMBERS, self._members, strict=True):
            if isinstance(member, StoredModel):
                found |= {f"{name}/{key}": value for key, value in member.state().items()}
        return found

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        logs = np.zeros(len(operators))
        for member, weight in zip(self._members, self._learnt["weights"].tolist(), strict=True):
            if weight > 0:
                logs += weight * np.log(member.predict(operators).latency_ms)
        return logs, self._spread[self._space.kind_indices(operators)]


Learnt = Mapping[str, NDArray[np.float64]]


def _held_out_logs(table: LatencyTable, seed: int) -> Matrix:
    """log(ms) of each operator by each member fitted without it; NaN where one cannot answer."""
    operators = list(table)
    fold_of = folds_of(operators, _FOLDS, seed)
    logs = np.full((len(operators), len(MEMBERS)), np.nan)
    for fold in range(_FOLDS):
        kept = table.only(o for o, f in zip(operators, fold_of, strict=True) if f != fold)
        known = FeatureSpace.of(kept)
        held = [i for i, o in enumerate(operators) if fold_of[i] == fold and known.answers_for(o)]
        for column, name in enumerate(MEMBERS if held else ()):
            model = latency_models[name].fit(kept, seed=seed)
            logs[held, column] = np.log(model.predict([operators[i] for i in held]).latency_ms)
    return logs


def _stacked(logs: Matrix, target: Matrix, counts: Matrix) -> Matrix:
    """Weights of the members that are not negative and sum to 1, `(members,)`."""
    from scipy.optimize import nnls

    # A row that counts as much as a million others holds the sum at 1.
    firm = 1e3 * float(np.sqrt(len(target)))
    errors = logs - target[:, None]
    weights = np.full(logs.shape[1], 1 / logs.shape[1])
    for _ in range(_REWEIGHTED):
        root = np.sqrt(counts / np.maximum(np.abs(errors @ weights), _SQUARED_TO))[:, None]
        design = np.vstack([root * errors, np.full((1, logs.shape[1]), firm)])
        weights, _ = nnls(design, np.append(np.zeros(len(target)), firm))
        weights = weights / weights.sum()
    return np.asarray(weights)
