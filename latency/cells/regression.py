"""Latencies of all cells from those of a few, on one or more devices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from .cell import Cells
from .kernels import CELL_KERNELS
from .robust import fit_robust, with_intercept

Matrix = NDArray[np.float64]

PENALTIES = np.logspace(-2.5, 1.5, 6)
WIDTHS = (0.05, 0.15)
"""Relative errors from which the loss bends."""
WINDOW = 0.15
"""Relative errors beyond this are as bad as this, where fits are compared."""
_POWER = 16.0
_RANK = 120
_LEAST = 0.01


@dataclass(frozen=True, eq=False)
class CellRegression:
    """Averages over what may be believed of a runtime, weighted by leave-one-out errors.

    For each kernel and width of the loss the penalty with the smallest mean leave-one-out error
    (relative, at most 15 %) is taken; fits are averaged with weights error^-16. The kernel of a
    training set is reduced to its 120 leading directions (Williams and Seeger 2001).

    Attributes:
        cells: The cells that it was fitted to, `(n, 6)`.
        typical_ms: Median latency of each device, `(devices,)`.
        maps: For each kernel, `(n, rank)`: from covariances with `cells` to features.
        coefficients: For each kernel, averaged over widths, weights included:
            `(1 + rank, devices)`.
    """

    cells: Cells
    typical_ms: NDArray[np.float64]
    maps: tuple[Matrix, ...]
    coefficients: tuple[Matrix, ...]

    @classmethod
    def fit(cls, cells: Cells, latency_ms: Matrix) -> Self:
        """Learn from `latency_ms`, `(cells, devices)`, above 0.

        Raises:
            ConfigError: Fewer than three cells, or a latency that is not above 0.
        """
        if len(cells) < 3 or not (np.isfinite(latency_ms) & (latency_ms > 0)).all():
            raise ConfigError(
                f"{len(cells)} cells with latencies from {np.min(latency_ms, initial=np.inf)} ms; "
                "a regression needs three and latencies above 0."
            )
        typical_ms = np.median(latency_ms, axis=0)
        maps, fits = [], []
        for kernel in CELL_KERNELS:
            covariance = kernel.matrix(cells, cells)
            maps.append(_feature_map(covariance))
            fits.append(_fits(covariance @ maps[-1], latency_ms / typical_ms))
        errors = np.array(
            [[error for error, _ in fit] for fit in fits]
        )  # kernels, widths, devices
        weights = (np.maximum(errors, 1e-6) / np.maximum(errors.min(axis=(0, 1)), 1e-6)) ** -_POWER
        weights /= weights.sum(axis=(0, 1))
        averaged = (
            sum(w * found for w, (_, found) in zip(weight, fit, strict=True))
            for weight, fit in zip(weights, fits, strict=True)
        )
        return cls(cells, typical_ms, tuple(maps), tuple(np.asarray(a) for a in averaged))

    def predict(self, cells: Cells) -> Matrix:
        """Latency of each of `cells` in milliseconds, `(cells, devices)`."""
        found = np.zeros((len(cells), len(self.typical_ms)))
        for kernel, map_, coefficients in zip(
            CELL_KERNELS, self.maps, self.coefficients, strict=True
        ):
            found += with_intercept(kernel.matrix(cells, self.cells) @ map_) @ coefficients
        return np.maximum(found, _LEAST) * self.typical_ms


def _feature_map(covariance: Matrix) -> Matrix:
    values, vectors = np.linalg.eigh(covariance)
    is_kept = values > 1e-8 * values[-1]
    is_kept[: max(0, len(values) - _RANK)] = False
    return np.asarray(vectors[:, is_kept] / np.sqrt(values[is_kept]))


def _fits(design: Matrix, target: Matrix) -> list[tuple[Matrix, Matrix]]:
    """For each width: each device's leave-one-out error, coefficients `(columns, devices)`."""
    found = []
    for width in WIDTHS:
        errors, coefficients = [], []
        for device in target.T:
            fit = fit_robust(design, device, PENALTIES, width)
            by_penalty = np.minimum(np.abs(fit.loo) / WINDOW, 1).mean(axis=1)
            best = int(by_penalty.argmin())
            errors.append(by_penalty[best])
            coefficients.append(fit.coefficients[best])
        found.append((np.array(errors), np.array(coefficients).T))
    return found
