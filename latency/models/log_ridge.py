"""Ridge regression on the logarithm of the latency: a model by itself, and where trees start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from .features import FeatureSpace, Matrix, log_targets

_ALPHAS = np.logspace(-4, 4, 33)
_OWN_TERMS_FROM = 12


@dataclass(frozen=True, eq=False)
class RidgeFit:
    """Coefficients at the penalty with the smallest leave-one-out error.

    Attributes:
        coefficients: One a column of the design; the intercept is apart and not penalised.
        loo_residuals: Target minus the prediction of a fit without that row, `(rows,)`.
    """

    coefficients: Matrix
    intercept: float
    alpha: float
    loo_residuals: Matrix


def fit_ridge(design: Matrix, target: Matrix, alphas: Matrix = _ALPHAS) -> RidgeFit:
    """Ridge regression of `target` on `design`, its penalty chosen by leave-one-out.

    Leave-one-out residuals follow from one decomposition: r_i / (1 - h_ii) with the leverage h_ii
    of the centred smoother plus 1/n for the intercept (Golub, Heath and Wahba 1979, section 1).

    Args:
        design: `(rows, columns)`, columns of comparable scale.
        target: `(rows,)`.
        alphas: Penalties to choose from, above 0.
    """
    rows = len(target)
    centre, level = design.mean(axis=0), float(target.mean())
    u, s, vt = np.linalg.svd(design - centre, full_matrices=False)
    projected = u.T @ (target - level)
    best: RidgeFit | None = None
    for alpha in alphas:
        shrink = s**2 / (s**2 + alpha)
        leverage = (u**2) @ shrink + 1 / rows
        residuals = target - level - u @ (shrink * projected)
        loo = residuals / np.maximum(1 - leverage, 1e-12)
        if best is None or np.mean(loo**2) < np.mean(best.loo_residuals**2):
            coefficients = vt.T @ (s / (s**2 + alpha) * projected)
            intercept = level - float(centre @ coefficients)
            best = RidgeFit(coefficients, intercept, float(alpha), loo)
    if best is None:
        raise ValueError("at least one penalty is needed")
    return best


@dataclass(frozen=True, eq=False)
class _Design:
    """Standardised features, and products of two of them for each of some kinds."""

    centre: Matrix
    scale: Matrix
    own: tuple[tuple[int, NDArray[np.intp], Matrix, Matrix], ...]

    @classmethod
    def of(cls, features: Matrix, kinds: NDArray[np.intp], own_terms_from: int) -> _Design:
        own = []
        for kind in np.unique(kinds).tolist():
            rows = features[kinds == kind]
            if len(rows) >= own_terms_from:
                columns = np.flatnonzero(np.ptp(rows, axis=0) > 0)
                chosen = rows[:, columns]
                own.append((kind, columns, chosen.mean(axis=0), chosen.std(axis=0)))
        spread = features.std(axis=0)
        return cls(features.mean(axis=0), np.where(spread > 0, spread, np.inf), tuple(own))

    def matrix(self, features: Matrix, kinds: NDArray[np.intp]) -> Matrix:
        blocks = [(features - self.centre) / self.scale]
        for kind, columns, centre, scale in self.own:
            z = (features[:, columns] - centre) / scale
            first, second = np.triu_indices(len(columns))
            terms = np.hstack([z, z[:, first] * z[:, second]])
            blocks.append(np.where((kinds == kind)[:, None], terms, 0.0))
        return np.hstack(blocks)


@dataclass(frozen=True, eq=False)
class LogRidge:
    """log(ms) as a ridge regression on the features of operators.

    Attributes:
        target: log(ms) of the operators it was fitted to, `(operators,)`.
        kinds: Their kinds, by position in `space.kinds`.
        residuals: Their targets minus the predictions of a fit without each, `(operators,)`.
    """

    space: FeatureSpace
    design: _Design
    fitted: RidgeFit
    features: Matrix
    target: Matrix
    kinds: NDArray[np.intp]

    @classmethod
    def fit(cls, table: LatencyTable, *, is_quadratic: bool) -> LogRidge:
        """The regression of `table`: linear in features that all kinds share.

        Args:
            table: What to learn from.
            is_quadratic: Add squares and products for every kind with enough operators.

        Raises:
            ConfigError: The table is too small to learn from.
        """
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        operators = list(table)
        space = FeatureSpace.of(table)
        features, kinds = space.matrix(operators), space.kind_indices(operators)
        from_count = _OWN_TERMS_FROM if is_quadratic else len(operators) + 1
        design = _Design.of(features, kinds, from_count)
        target = log_targets(table)
        with threadpool_limits(1):
            fitted = fit_ridge(design.matrix(features, kinds), target)
        return cls(space, design, fitted, features, target, kinds)

    @property
    def residuals(self) -> Matrix:
        return self.fitted.loo_residuals

    def predict_log(self, operators: Sequence[Operator]) -> Matrix:
        """log(ms) of `operators`, none of them free.

        Raises:
            MissingOperatorError: One is of a kind, or has a choice, that was not seen.
        """
        features, kinds = self.space.matrix(operators), self.space.kind_indices(operators)
        # A sum along each row, unlike a matrix product, does not depend on what else is asked.
        terms = self.design.matrix(features, kinds) * self.fitted.coefficients
        return np.asarray(terms.sum(axis=1) + self.fitted.intercept)
