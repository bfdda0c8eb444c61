"""Ridge regression on the logarithm of the latency: a model by itself, and where trees start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from .features import FeatureSpace, Matrix, log_targets
from .noise import noise_weights, standard_errors

_ALPHAS = np.logspace(-4, 4, 33)
_OWN_TERMS_FROM = 12
_PRODUCTS_TO = 1000
_TALL = 2000


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


def fit_ridge(
    design: Matrix,
    target: Matrix,
    alphas: Matrix = _ALPHAS,
    weights: Matrix | None = None,
) -> RidgeFit:
    """Ridge regression of `target` on `design`, its penalty chosen by leave-one-out.

    Leave-one-out residuals follow from one decomposition: r_i / (1 - h_ii) with the leverage h_ii
    of the centred smoother plus that of the intercept, w_i / sum(w) (Golub, Heath and Wahba 1979,
    section 1; with weights, rows are scaled by their roots). The penalty is that with the smallest
    weighted mean square of them.

    Args:
        design: `(rows, columns)`, columns of comparable scale.
        target: `(rows,)`.
        alphas: Penalties to choose from, above 0.
        weights: `(rows,)`, above 0; equal ones by default.
    """
    w = np.ones(len(target)) if weights is None else weights
    centre, level = w @ design / w.sum(), float(w @ target / w.sum())
    root = np.sqrt(w)
    u, s, vt = _decomposed(root[:, None] * (design - centre))
    scaled = root * (target - level)
    projected = u.T @ scaled
    best: RidgeFit | None = None
    for alpha in alphas:
        shrink = s**2 / (s**2 + alpha)
        leverage = (u**2) @ shrink + w / w.sum()
        loo = (scaled - u @ (shrink * projected)) / np.maximum(1 - leverage, 1e-12) / root
        if best is None or np.mean(w * loo**2) < np.mean(w * best.loo_residuals**2):
            coefficients = vt.T @ (s / (s**2 + alpha) * projected)
            intercept = level - float(centre @ coefficients)
            best = RidgeFit(coefficients, intercept, float(alpha), loo)
    if best is None:
        raise ValueError("at least one penalty is needed")
    return best


def _decomposed(design: Matrix) -> tuple[Matrix, Matrix, Matrix]:
    """The singular value decomposition of `design`; by that of its Gram matrix where it is tall.

    The Gram matrix squares the condition, which the penalties of at least 1e-4 outweigh.
    """
    rows, columns = design.shape
    if rows < _TALL or rows < 2 * columns:
        u, s, vt = np.linalg.svd(design, full_matrices=False)
        return u, s, vt
    squares, vectors = np.linalg.eigh(design.T @ design)
    is_kept = squares > squares[-1] * 1e-12
    s, v = np.sqrt(squares[is_kept]), vectors[:, is_kept]
    return design @ v / s, s, v.T


@dataclass(frozen=True, eq=False)
class _Design:
    """Standardised features, and squares of them and products for each of some kinds.

    Tables of more than 1,000 operators get no products: with them a table of many kinds would
    span thousands of columns.
    """

    centre: Matrix
    scale: Matrix
    own: tuple[tuple[int, NDArray[np.intp], Matrix, Matrix], ...]
    has_products: bool

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
        has_products = len(features) <= _PRODUCTS_TO
        return cls(
            features.mean(axis=0), np.where(spread > 0, spread, np.inf), tuple(own), has_products
        )

    def matrix(self, features: Matrix, kinds: NDArray[np.intp]) -> Matrix:
        blocks = [(features - self.centre) / self.scale]
        for kind, columns, centre, scale in self.own:
            z = (features[:, columns] - centre) / scale
            first, second = self._pairs(len(columns))
            terms = np.hstack([z, z[:, first] * z[:, second]])
            blocks.append(np.where((kinds == kind)[:, None], terms, 0.0))
        return np.hstack(blocks)

    def _pairs(self, columns: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        if self.has_products:
            return np.triu_indices(columns)
        return np.arange(columns), np.arange(columns)


@dataclass(frozen=True, eq=False)
class LogRidge:
    """log(ms) as a ridge regression on the features of operators.

    Attributes:
        target: log(ms) of the operators it was fitted to, `(operators,)`.
        weights: What each counted, by the noise of its measurement; 1 on average.
        kinds: Their kinds, by position in `space.kinds`.
        residuals: Their targets minus the predictions of a fit without each, `(operators,)`.
    """

    space: FeatureSpace
    design: _Design
    fitted: RidgeFit
    features: Matrix
    target: Matrix
    weights: Matrix
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
        columns = design.matrix(features, kinds)
        with threadpool_limits(1):
            plain = fit_ridge(columns, target)
            weights = noise_weights(plain.loo_residuals, standard_errors(table))
            fitted = fit_ridge(columns, target, weights=weights)
        return cls(space, design, fitted, features, target, weights, kinds)

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
