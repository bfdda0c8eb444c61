"""The roofline (Williams et al. 2009) with efficiencies fitted to every kind of operator."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .base import LatencyModel, Prediction
from .evaluate import folds_of
from .features import FeatureSpace, Matrix, answer, log_targets, spread_by_kind
from .limits import Conformal
from .noise import noise_weights, standard_errors

_FOLDS = 5
_PRIOR_DEVIATION = 1.0
_FIRST_MS, _FIRST_MACS_PER_MS, _FIRST_BYTES_PER_MS = 2e-3, 2e7, 2e7


@latency_models.register("roofline")
class Roofline(LatencyModel):
    """A fixed time plus the greater of multiply-adds and bytes over rates, fitted for each kind.

    The model to read, and to compare others with. Its three numbers are fitted to log(ms) by least
    squares, first to all operators together; those of a kind then keep near these, as far as a
    log-normal prior of deviation 1 says, so that a rare kind has sensible ones, too. Activations
    and shapes beyond their costs do not count. The deviation is the cross-validation error of the
    kind.
    """

    def __init__(self, space: FeatureSpace, rates: Matrix, errors: Matrix, kinds: Kinds) -> None:
        self._space = space
        self._rates = rates
        self._spread = spread_by_kind(errors, kinds, len(space.kinds))
        self._limits = Conformal.of(errors, self._spread[kinds])

    @classmethod
    def fit(cls, table: LatencyTable, *, seed: int) -> Self:
        operators = list(table)
        space = FeatureSpace.of(table)
        kinds, costs = space.kind_indices(operators), _costs(space, operators)
        target, count = log_targets(table), len(space.kinds)
        plain = _fit(costs, kinds, target, np.ones(len(target)), count)
        weights = noise_weights(target - _predicted(plain[kinds], costs), standard_errors(table))
        errors = np.empty(len(target))
        fold_of = folds_of(operators, _FOLDS, seed)
        for fold in range(_FOLDS):
            held = fold_of == fold
            kept = ~held
            rates = _fit(costs[kept], kinds[kept], target[kept], weights[kept], count)
            errors[held] = target[held] - _predicted(rates[kinds[held]], costs[held])
        return cls(space, _fit(costs, kinds, target, weights, count), errors, kinds)

    def rates(self, kind: type[Operator]) -> tuple[float, float, float]:
        """Fixed time in ms, multiply-adds a ms and bytes a ms of operators of `kind`.

        Raises:
            KeyError: It was not seen.
        """
        if kind not in self._space.kinds:
            raise KeyError(kind)
        fixed, macs, moved = np.exp(self._rates[self._space.kinds.index(kind)]).tolist()
        return fixed, macs, moved

    def predict(self, operators: Sequence[Operator]) -> Prediction:
        return Prediction(*answer(operators, self._predict_log), self._limits)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        # The features are not used, but refuse choices that were not seen.
        self._space.matrix(operators)
        kinds = self._space.kind_indices(operators)
        logs = _predicted(self._rates[kinds], _costs(self._space, operators))
        return logs, self._spread[kinds]


Kinds = NDArray[np.intp]


def _costs(space: FeatureSpace, operators: Sequence[Operator]) -> Matrix:
    """Multiply-adds and bytes moved, `(operators, 2)`."""
    return np.array(
        [(o.macs, o.traffic_elements * space.element_bytes) for o in operators], np.float64
    )


def _predicted(rates: Matrix, costs: Matrix) -> Matrix:
    """log(ms) for logarithms of fixed time and rates, `(operators, 3)`, one row each."""
    fixed, macs, moved = np.exp(rates).T
    return np.asarray(np.log(fixed + np.maximum(costs[:, 0] / macs, costs[:, 1] / moved)))


def _fit(costs: Matrix, kinds: Kinds, target: Matrix, weights: Matrix, count: int) -> Matrix:
    """Logarithms of fixed time and both rates of each kind, `(count, 3)`."""
    first = np.array([log(_FIRST_MS), log(_FIRST_MACS_PER_MS), log(_FIRST_BYTES_PER_MS)])
    shared = _least_squares(costs, target, weights, first)
    rates = np.tile(shared, (count, 1))
    for kind in np.unique(kinds).tolist():
        own = kinds == kind
        rates[kind] = _least_squares(costs[own], target[own], weights[own], shared)
    return rates


def _least_squares(costs: Matrix, target: Matrix, weights: Matrix, centre: Matrix) -> Matrix:
    """The three logarithms that fit best and lie near `centre`."""
    from scipy.optimize import least_squares

    root = np.sqrt(weights)
    scale = 0.1 / _PRIOR_DEVIATION

    def misfit(theta: Matrix) -> Matrix:
        rows = np.broadcast_to(theta, (len(target), 3))
        return np.concatenate(
            [root * (_predicted(rows, costs) - target), scale * (theta - centre)]
        )

    return np.asarray(least_squares(misfit, centre, method="trf", max_nfev=200).x)
