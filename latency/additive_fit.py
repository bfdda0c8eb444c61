"""What any sum of one number per operator could explain of measured networks: yardsticks.

What they err less than the sum of a table, better numbers in the table could gain; what they err
themselves, no sum explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class AdditiveFit:
    """How well any sum of one number per choice can explain measured networks.

    Attributes:
        mape: Mean absolute relative error on the networks themselves.
        loo_mape: The same for each network by a fit without it.
        alpha: The ridge penalty, chosen by leave-one-out.
    """

    mape: float
    loo_mape: float
    alpha: float


def best_additive_fit(choices: NDArray[Any], measured_ms: Sequence[float]) -> AdditiveFit:
    """The ridge fit of one latency per choice, in relative terms: a yardstick for table sums.

    Args:
        choices: One row a network, a column a choice, 1 where it was taken.
        measured_ms: Latency of each network, above 0.
    """
    y = np.asarray(measured_ms, np.float64)
    x = np.asarray(choices, np.float64)
    design = np.hstack([np.ones((len(y), 1)), x - x.mean(axis=0)]) / y[:, None]
    penalised = np.eye(design.shape[1])
    penalised[0, 0] = 0.0
    fits = []
    # The penalty of a millisecond scales with the square of the latencies.
    for alpha in np.logspace(-4, 4, 33) / float(np.mean(y**2)):
        solved = np.linalg.solve(design.T @ design + alpha * penalised, design.T)
        fits.append(AdditiveFit(*_mapes(design, solved), alpha))
    return min(fits, key=lambda fit: fit.loo_mape)


def additive_error_around(
    sums_ms: Sequence[float],
    counts: Sequence[int],
    choices: NDArray[Any],
    measured_ms: Sequence[float],
) -> float:
    """Least leave-one-out error of a calibrated sum plus a penalised correction of each choice.

    Intercept, slope and cost per operator are free, so that this holds every calibration. The
    penalty is chosen by the very error that is returned, which flatters it: a yardstick.

    Args:
        sums_ms: As measured operator by operator, above 0.
        counts: Number of each network's operators that are not free.
        choices: One row a network, a column an operator, how often the network holds it.
        measured_ms: Latency of each network, above 0.
    """
    y, sums = np.asarray(measured_ms, np.float64), np.asarray(sums_ms, np.float64)
    x = np.asarray(choices, np.float64)
    base = np.stack([np.ones_like(sums), sums, np.asarray(counts, np.float64)], axis=1)
    design = np.hstack([base, x - x.mean(axis=0)]) / y[:, None]
    penalised = np.diag([0.0] * base.shape[1] + [1.0] * x.shape[1])
    errors = []
    for alpha in np.logspace(-4, 6, 41) / float(np.mean(y**2)):
        solved = np.linalg.lstsq(design.T @ design + alpha * penalised, design.T, rcond=None)[0]
        errors.append(_mapes(design, solved)[1])
    return min(errors)


def _mapes(design: Vector, solved: Vector) -> tuple[float, float]:
    """Mean absolute error of a ridge fit to ones: on its own networks, and on each left out.

    The second is exact without fitting again: a residual over one less the leverage.

    Args:
        design: `(networks, terms)`.
        solved: What takes the ones to the coefficients, `(terms, networks)`.
    """
    residuals = 1 - design @ (solved @ np.ones(len(design)))
    leverage = np.einsum("ij,ji->i", design, solved)
    left_out = residuals / np.maximum(1 - leverage, 1e-12)
    return float(np.mean(np.abs(residuals))), float(np.mean(np.abs(left_out)))
