"""A Gaussian process on log(ms) around the nominal time of what an operator executes."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from ..table import LatencyTable
from . import latency_models
from .features import Matrix
from .kernels import matern52, matern52_among, subset
from .limits import Conformal
from .process import Process
from .starts import NominalStart, Rows

if TYPE_CHECKING:
    import torch

MOST = 1000
"""Operators that a process is conditioned on; of a larger table a random subset of so many."""

_LEARN_FROM = 300
_STEPS, _RATE = 60, 0.1
_LENGTH, _AMPLITUDES = 12.0, (0.3, 0.3, 0.2, 0.05)
_NOISE, _JITTER = 0.04, 1e-7

Kinds = NDArray[np.intp]
Data = tuple[Matrix, Kinds, Matrix, Matrix]
"""Points, their kinds, residuals of log(ms), and variances of the measurements."""


@latency_models.register("gaussian-process")
class GaussianProcess(Process):
    """Posterior mean and deviation of a Gaussian process (Rasmussen and Williams 2006, chapter 2).

    Its kernel is a sum: a Matérn-5/2 with a length for every feature (their section 5.1), the same
    within kinds of operators, a constant and a linear one within kinds. Every measurement's own
    variance is added to the noise, so that noisy ones count less. Lengths and amplitudes maximise
    the marginal likelihood (their equation 2.30) with a weak log-normal prior on lengths, by Adam.

    It learns from at most 1,000 operators of a table and its lengths from at most 300: both are
    random subsets that the seed decides, as its effort grows with the third power. Limits come
    from leave-one-out errors with lengths that were learnt without the operator.
    """

    def __init__(self, table: LatencyTable, seed: int, state: Mapping[str, Matrix] | None) -> None:
        rows, operators = Rows.of(table), list(table)
        self._rows = rows
        self._start = NominalStart(rows, operators)
        chosen = subset("gaussian-process", len(operators), MOST, seed)
        spread = rows.features[chosen].std(axis=0)
        self._columns = np.flatnonzero(spread > 0)
        self._centre = rows.features[chosen][:, self._columns].mean(axis=0)
        self._scale = spread[self._columns]
        self._points = self._scaled(rows.features[chosen])
        self._kinds = rows.kinds[chosen]
        residuals, variances = self._start.residuals[chosen], rows.errors[chosen] ** 2
        data = (self._points, self._kinds, residuals, variances)
        is_first = np.isin(
            np.arange(len(chosen)), subset("gaussian-process", len(chosen), len(chosen) // 2, seed)
        )
        parts = (np.ones(len(chosen), bool), is_first, ~is_first)
        if state is None:
            learnt = np.array([_learn_from(data, part, seed) for part in parts])
        else:
            learnt = state["theta"]
        self._learnt = learnt
        self._theta = learnt[0]
        self._inverse, self._duals = _solved(self._theta, *data)
        self._limits = _limits(learnt[1:], is_first, data)

    def state(self) -> dict[str, NDArray[np.float64]]:
        return {"theta": self._learnt}

    def _scaled(self, features: Matrix) -> Matrix:
        return np.ascontiguousarray((features[:, self._columns] - self._centre) / self._scale)

    def _predict_log(self, operators: list[Operator]) -> tuple[Matrix, Matrix]:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        points = self._scaled(self._rows.matrix(operators))
        kinds = self._rows.space.kind_indices(operators)
        mean, variance = np.empty(len(points)), np.empty(len(points))
        own, noise = _own_covariance(self._theta, points), _noise(self._theta)
        with threadpool_limits(1):
            for index, (point, kind) in enumerate(zip(points, kinds, strict=True)):
                shared = self._shared(point, int(kind))
                mean[index] = (shared * self._duals).sum()
                explained = (shared * (self._inverse @ shared)).sum()
                variance[index] = own[index] + noise - explained
        return self._start.predict_log(operators) + mean, np.sqrt(np.maximum(variance, _JITTER))

    def _shared(self, point: Matrix, kind: int) -> Matrix:
        """Covariance of one point with those conditioned on, `(points,)`.

        Sums along rows, unlike matrix products, do not depend on what else is asked.
        """
        a, b, c, d = np.exp(2 * self._theta[:4])
        lengths = np.exp(self._theta[5:]).reshape(2, -1)
        squares = (self._points - point) ** 2
        shared, within = (matern52((squares / length**2).sum(axis=1)) for length in lengths)
        linear = (self._points * point).sum(axis=1) / len(point)
        return np.asarray(a * shared + (self._kinds == kind) * (b * within + c + d * linear))


def _own_covariance(theta: Matrix, points: Matrix) -> Matrix:
    """Covariance of each point with itself, `(points,)`."""
    a, b, c, d = np.exp(2 * theta[:4])
    return np.asarray(a + b + c + d * (points**2).sum(axis=1) / points.shape[1])


def _covariance(theta: torch.Tensor, points: torch.Tensor, is_same: torch.Tensor) -> torch.Tensor:
    """The kernel without noise, differentiable, `(points, points)`.

    Args:
        theta: Logarithms of four amplitudes, the noise, and the lengths of both Matérn terms.
        points: `(points, features)`, standardised.
        is_same: Whether two are of one kind, `(points, points)`.
    """
    import torch

    features = points.shape[1]
    shared, within = theta[5 : 5 + features], theta[5 + features :]
    a, b, c, d = torch.exp(2 * theta[:4])
    same = is_same.to(points.dtype)
    linear = points @ points.T / features
    covariance: torch.Tensor = a * matern52_among(points, shared) + same * (
        b * matern52_among(points, within) + c + d * linear
    )
    return covariance


def _noise(theta: Matrix) -> float:
    return float(np.exp(2 * theta[4])) + _JITTER


def _solved(
    theta: Matrix, points: Matrix, kinds: Kinds, residuals: Matrix, variances: Matrix
) -> tuple[Matrix, Matrix]:
    """The inverse of the covariance of measurements, and that times the residuals."""
    import torch

    is_same = torch.from_numpy(kinds[:, None] == kinds[None])
    with torch.no_grad():
        found = _covariance(torch.from_numpy(theta), torch.from_numpy(points), is_same)
    covariance = np.array(found.numpy())
    covariance[np.diag_indices_from(covariance)] += variances + _noise(theta)
    inverse = np.linalg.inv(covariance)
    return inverse, inverse @ residuals


def _limits(learnt: Matrix, is_first: NDArray[np.bool_], data: Data) -> Conformal:
    """Leave-one-out errors (their equations 5.10 to 5.12), by lengths learnt without each.

    Lengths learnt from a half, `learnt[0]` from the first, judge the other half: those that an
    operator had a part in would know its own error.
    """
    residuals, spread = np.empty(len(is_first)), np.empty(len(is_first))
    for theta, judged in zip(learnt, (~is_first, is_first), strict=True):
        inverse, duals = _solved(theta, *data)
        precision = np.diag(inverse)[judged]
        residuals[judged] = duals[judged] / precision
        spread[judged] = np.sqrt(1 / precision)
    return Conformal.of(residuals, spread)


def _learn_from(data: Data, part: NDArray[np.bool_], seed: int) -> Matrix:
    """What `_learn` makes of some of the rows of `data`, at most so many."""
    places = np.flatnonzero(part)
    few = places[subset("gaussian-process", len(places), _LEARN_FROM, seed)]
    points, kinds, residuals, variances = data
    return _learn(points[few], kinds[few], residuals[few], variances[few])


def _learn(
    points: Matrix, kinds: NDArray[np.intp], residuals: Matrix, variances: Matrix
) -> Matrix:
    """Logarithms of amplitudes, noise and lengths with the largest posterior, by Adam."""
    import torch

    x, target = torch.from_numpy(points), torch.from_numpy(residuals)
    is_same = torch.from_numpy(kinds[:, None] == kinds[None])
    noise = torch.from_numpy(variances)
    first = [log(a) for a in (*_AMPLITUDES, _NOISE)] + [log(_LENGTH)] * (2 * points.shape[1])
    theta = torch.tensor(first, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([theta], lr=_RATE)
    for _ in range(_STEPS):
        adam.zero_grad()
        covariance = _covariance(theta, x, is_same)
        covariance = covariance + torch.diag(noise + torch.exp(2 * theta[4]) + _JITTER)
        factor = torch.linalg.cholesky(covariance)
        duals = torch.cholesky_solve(target[:, None], factor)[:, 0]
        fit = 0.5 * target @ duals + torch.log(torch.diag(factor)).sum()
        prior = 0.5 * ((theta[5:] - log(_LENGTH)) ** 2).sum()
        (fit + prior).backward()  # type: ignore[no-untyped-call]
        adam.step()
    return np.asarray(theta.detach().numpy().copy())
