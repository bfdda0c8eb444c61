"""Linear fits of measured latencies that a few odd networks do not move (Huber 1964).

The errors are relative: a network of 100 ms is as much worth as one of 1 ms. Each network is also
predicted by a fit to the others, which is what a fit is worth for networks to come.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_HUBER = 1.345
_ROUNDS = 50


@dataclass(frozen=True, eq=False)
class RobustFit:
    """A fit, and what it is worth.

    Attributes:
        coefficients: One for each column of the design.
        errors: Signed relative error of each network by a fit to the others.
    """

    coefficients: Vector
    errors: Vector

    @property
    def loo_mape(self) -> float:
        """Mean absolute of `errors`."""
        return float(np.mean(np.abs(self.errors)))


def robust_fit(design: Vector, measured: Vector) -> RobustFit:
    """The fit of `design` to what was measured.

    Args:
        design: A row a network, a column a term, `(networks, terms)`.
        measured: Latency of each network in ms, above 0.
    """
    return RobustFit(_coefficients(design, measured), _leave_one_out(design, measured))


def _coefficients(design: Vector, measured: Vector) -> Vector:
    """Coefficients of `design` for `measured`, minimising Huber's loss of the relative error."""
    relative, ones = design / measured[:, None], np.ones(len(measured))
    weights = ones
    coefficients = np.linalg.lstsq(relative, ones, rcond=None)[0]
    for _ in range(_ROUNDS):
        residuals = np.abs(relative @ coefficients - 1)
        scale = max(1.4826 * float(np.median(residuals)), 1e-9)
        weights = np.minimum(1.0, _HUBER * scale / np.maximum(residuals, 1e-12))
        root = np.sqrt(weights)
        found = np.linalg.lstsq(relative * root[:, None], root, rcond=None)[0]
        if np.allclose(found, coefficients, rtol=1e-10, atol=0):
            return np.asarray(found)
        coefficients = found
    return np.asarray(coefficients)


def _leave_one_out(design: Vector, measured: Vector) -> Vector:
    """Signed relative error of each network by a fit to the others."""
    errors = np.empty(len(measured))
    for index in range(len(measured)):
        kept = np.arange(len(measured)) != index
        predicted = design[index] @ _coefficients(design[kept], measured[kept])
        errors[index] = predicted / measured[index] - 1
    return errors
