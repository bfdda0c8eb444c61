"""How far below a bound a prediction must lie so that the network *picked* by it keeps the bound.

A limit that holds for 95 % of all architectures does not hold for 95 % of picks: the best
architecture whose predicted latency is within a bound is one whose latency was predicted too low
(the optimizer's curse: Smith and Winkler 2006). How much so depends on how many are picked from,
on how worth and latency go together, and on how close to the bound the best ones lie. So the pick
itself is simulated: in worlds where the fitted model is the truth and its errors are drawn anew,
the model is fitted and the pick is made again, and the margin is the smallest at which the wanted
share of picks keeps the bound (a parametric bootstrap: Efron and Tibshirani 1993, section 6.5).

Assumes that errors of the model are independent of each other, of what an architecture is worth
and, relative to the latency, of its size; and that latency is close to linear in the design. Where
errors go with multiply-adds, as those of whole networks do, `picked_errors.py` has the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Indices = NDArray[np.intp]

PENALTIES = np.logspace(-3, 1, 9)
MARGINS = np.linspace(0, 0.8, 401)
_INTERCEPT = 6.0
_FLOOR = 0.1


@dataclass(frozen=True, eq=False)
class DesignRidge:
    """Latency as a ridge regression with relative errors; the penalty by leave-one-out.

    Attributes:
        columns: Of all architectures, the intercept's first, `(architectures, columns)`.
        samples: Architectures that were measured.
        latency_ms: What was measured.
        penalty: The one with the smallest relative leave-one-out error.
        predicted_ms: Of all architectures.
        log_errors: log(measured) - log(predicted) of each sample, of a prediction without it.
        log_noise: The same of the fit with it, scaled to the variance of a single error.
    """

    columns: Matrix
    samples: Indices
    latency_ms: Vector
    penalty: float
    predicted_ms: Vector
    log_errors: Vector
    log_noise: Vector

    @classmethod
    def fit(cls, design: Matrix, samples: Indices, latency_ms: Vector) -> Self:
        """Learn from `samples` of the rows of `design`, latencies above 0.

        Raises:
            ConfigError: A latency is not above 0, or there are fewer than ten.
        """
        if len(samples) < 10 or not (latency_ms > 0).all():
            raise ConfigError("Ten samples and latencies above 0 are needed for a limit.")
        columns = np.hstack([np.full((len(design), 1), _INTERCEPT), design])
        rows, least = columns[samples], _FLOOR * float(np.median(latency_ms))
        weights = 1 / np.maximum(latency_ms, least) ** 2
        fits = [(penalty, *_smoothed(rows, latency_ms, weights, penalty)) for penalty in PENALTIES]
        errors = [np.mean(weights * (residual / (1 - h)) ** 2) for _, _, residual, h in fits]
        penalty, coefficients, residual, leverage = fits[int(np.argmin(errors))]
        predicted = np.maximum(columns @ coefficients, least)
        log = [
            np.log(latency_ms / np.maximum(latency_ms - error, least))
            for error in (residual / (1 - leverage), residual / np.sqrt(1 - leverage))
        ]
        return cls(columns, samples, latency_ms, float(penalty), predicted, log[0], log[1])

    def margin_of_one(self, level: float) -> float:
        """Margin in log(ms) that holds for `level` of all architectures, not of picks.

        The order statistic of the leave-one-out errors (split conformal); infinite where they are
        too few.
        """
        rank = int(np.ceil((len(self.samples) + 1) * level - 1e-9))
        ascending = np.sort(self.log_errors)
        return float(ascending[rank - 1]) if rank <= len(ascending) else np.inf

    def margin_of_picks(
        self,
        worth: Vector,
        bound_ms: float,
        level: float,
        generator: np.random.Generator,
        worlds: int = 60,
    ) -> float:
        """Margin in log(ms) at which `level` of picks under `bound_ms` keep it; see the module.

        Infinite where no margin of `MARGINS` leaves that many.

        Args:
            worth: What is maximised, `(architectures,)`.
            bound_ms: The bound.
            level: Share of picks that shall keep the bound.
            generator: Draws the worlds.
            worlds: How many.
        """
        order = np.argsort(-worth, kind="stable")
        columns, truth = self.columns[order], self.predicted_ms[order]
        broken, picks = np.zeros(len(MARGINS)), np.zeros(len(MARGINS))
        ascending = np.sort(self.log_noise)
        for _ in range(worlds):
            imagined = self._imagined(columns, truth, generator)
            found = pick(imagined, bound_ms * np.exp(-MARGINS))
            is_found = found < len(truth)
            slack = np.log(bound_ms / truth[np.minimum(found, len(truth) - 1)])
            passes = 1 - np.searchsorted(ascending, slack, side="right") / len(ascending)
            broken += is_found * passes
            picks += is_found
        share = np.divide(broken, picks, out=np.zeros(len(MARGINS)), where=picks > 0)
        keeps = np.flatnonzero(share <= 1 - level + 1e-12)
        return float(MARGINS[keeps[0]]) if len(keeps) else np.inf

    def _imagined(self, columns: Matrix, truth: Vector, generator: np.random.Generator) -> Vector:
        """Predictions of a model fitted in a world where `truth` holds up to fresh errors."""
        count = len(self.samples)
        drawn = generator.integers(len(truth), size=count)
        errors = self.log_noise[generator.integers(count, size=count)]
        measured = truth[drawn] * np.exp(errors)
        weights = 1 / np.maximum(measured, _FLOOR * float(np.median(measured))) ** 2
        coefficients, _ = _solved(columns[drawn], measured, weights, self.penalty)
        return np.asarray(columns @ coefficients)


def pick(predicted_ms: Vector, limits_ms: Vector) -> Indices:
    """The first of the architectures, best first, within each limit; their number where none is.

    Args:
        predicted_ms: Best architecture first.
        limits_ms: Any number of them.
    """
    least_so_far = np.minimum.accumulate(predicted_ms)
    return np.searchsorted(-least_so_far, -limits_ms, side="left")


def _solved(
    rows: Matrix, target: Vector, weights: Vector, penalty: float
) -> tuple[Vector, Matrix]:
    """Coefficients, and the inverse normal matrix times the transposed rows."""
    normal = (rows.T * weights) @ rows + penalty * np.eye(rows.shape[1])
    smoother = np.asarray(np.linalg.solve(normal, rows.T), np.float64)
    return smoother @ (weights * target), smoother


def _smoothed(
    rows: Matrix, target: Vector, weights: Vector, penalty: float
) -> tuple[Vector, Vector, Vector]:
    """Coefficients, residuals (target minus fit) and leverages."""
    coefficients, smoother = _solved(rows, target, weights, penalty)
    leverage = (rows * smoother.T).sum(axis=1) * weights
    return coefficients, target - rows @ coefficients, np.minimum(leverage, 1 - 1e-6)
