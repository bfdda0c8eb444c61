"""Ridge regression of latencies whose errors count relative to them, and large ones little.

Measured latencies have outliers and more than one mode. What counts is the share of predictions
within a few per cent, so that an error of twice the width costs hardly more than one of the width
(Cauchy's loss). Solved by reweighting (Holland and Welsch 1977, "Robust regression using
iteratively reweighted least-squares"), from wide to narrow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

INTERCEPT = 6.0
"""Value of the column of the intercept: large, so that it is hardly penalised."""
FLOOR = 0.1
"""Latencies below this share of the typical one count as if they were so large."""
_STEPS = (4.0, 3.0, 2.0, 1.0)
_LEAST_WEIGHT = 1e-4


@dataclass(frozen=True, eq=False)
class RobustFit:
    """Fits at each penalty.

    Attributes:
        coefficients: `(penalties, 1 + columns)`, that of the intercept first.
        loo: (prediction without the row - target) / target of each row, `(penalties, rows)`; the
            weights stay as they are with it, so that for outliers it is an approximation.
    """

    coefficients: Matrix
    loo: Matrix


def fit_robust(design: Matrix, target: Vector, penalties: Vector, width: float) -> RobustFit:
    """Minimise the sum of Cauchy losses of relative errors plus the penalty times |coefficients|².

    Args:
        design: `(rows, columns)`.
        target: Latency in units of a typical one, `(rows,)`, above 0.
        penalties: Each gives a fit.
        width: Relative error from which the loss bends; infinite gives least squares.
    """
    columns = with_intercept(design)
    scale = np.maximum(target, FLOOR)
    weights = np.tile(1 / scale**2, (len(penalties), 1))
    ridge = penalties[:, None, None] * np.eye(columns.shape[1])
    for step in (*_STEPS, None):
        normal = (columns.T * weights[:, None, :]) @ columns + ridge
        coefficients = np.linalg.solve(normal, ((weights * target) @ columns)[..., None])[..., 0]
        errors = (coefficients @ columns.T - target) / scale
        if step is not None:
            bent = 1 / (1 + (errors / (step * width)) ** 2)
            weights = (bent + _LEAST_WEIGHT) / scale**2
    smoother = np.linalg.solve(normal, np.tile(columns.T, (len(penalties), 1, 1)))
    leverage = (smoother * columns.T).sum(axis=1) * weights
    loo = errors / np.maximum(1 - leverage, 1e-3)
    return RobustFit(np.asarray(coefficients, np.float64), np.asarray(loo, np.float64))


def with_intercept(design: Matrix) -> Matrix:
    """`design` with the column of the intercept ahead."""
    return np.hstack([np.full((len(design), 1), INTERCEPT), design])
