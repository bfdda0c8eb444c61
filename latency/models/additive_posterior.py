"""A Gaussian process of nodes that is seen through sums: log(t) = log(sum of w exp(g(node))).

The sum makes the posterior of g not normal. It is taken as normal around its mode (Laplace's
approximation, Rasmussen and Williams 2006, section 3.4), which Gauss-Newton steps find: with the
share s of each node in its operator's time, log(t) is linear in g to first order. A share is
negative for a node that is taken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .executed_nodes import NodeRows
from .kernels import matern52, matern52_among

if TYPE_CHECKING:
    import torch

Matrix = NDArray[np.float64]

_AMPLITUDES, _NOISE, _LENGTH = (0.3, 0.3, 0.3, 0.1), 0.04, 8.0
_ROUNDS = ((60, 0.1), (20, 0.1), (20, 0.1))
_STEPS, _DAMPED, _CLOSE = 25, 0.8, 1e-4
_JITTER = 1e-7
_LEAST_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Seen:
    """What was measured.

    Attributes:
        rows: The nodes of the operators.
        target: Logarithm of each operator's time over the nominal level, `(operators,)`.
        variances: Of each, by the measurement's own noise.
    """

    rows: NodeRows
    target: Matrix
    variances: Matrix


class Posterior:
    """What `seen` tells about nodes under hyperparameters `theta`, linear around `latent`.

    Args:
        theta: Logarithms of four amplitudes, the noise, and both lengths of every feature.
        latent: The mode of g, `(nodes,)`.
    """

    def __init__(self, theta: Matrix, latent: Matrix, seen: Seen) -> None:
        self.theta, self.latent = theta, latent
        self._rows = rows = seen.rows
        shares, logs = _shares(rows, latent)
        self._shares = shares
        self._noise = _noise_of(theta)
        covariance = shares @ _nodes_covariance(theta, rows) @ shares.T
        covariance[np.diag_indices_from(covariance)] += seen.variances + self._noise
        self._inverse = np.linalg.inv(covariance)
        self._duals = self._inverse @ (seen.target - logs + shares @ latent)
        self._node_duals = shares.T @ self._duals

    @property
    def left_out(self) -> tuple[Matrix, Matrix]:
        """Error of each operator's log(t) without it, and its deviation, to first order.

        They are equations 5.10 to 5.12 of Rasmussen and Williams for the linear observations.
        """
        precision = np.diag(self._inverse)
        return self._duals / precision, np.sqrt(1 / precision)

    def predict(self, rows: NodeRows) -> tuple[Matrix, Matrix]:
        """Mean and deviation of log(t) of the operators of `rows`, `(operators,)` each.

        Sums along rows, unlike matrix products, do not depend on what else is asked.
        """
        shared = np.array([self._shared(rows, node) for node in range(len(rows.kind))])
        latent = (shared * self._node_duals).sum(axis=1)
        means, deviations = np.empty(len(rows.times)), np.empty(len(rows.times))
        for operator, times in enumerate(rows.times):
            own = np.flatnonzero(times)
            parts = times[own] * np.exp(rows.log_us[own] + latent[own])
            (share,), (means[operator],) = _shares_of(parts[None])
            prior = (_between(self.theta, rows, own) * share[:, None] * share[None]).sum()
            seen = (shared[own] * share[:, None]).sum(axis=0)
            through = (self._shares * seen).sum(axis=1)
            told = (through * (self._inverse * through).sum(axis=1)).sum()
            deviations[operator] = np.sqrt(max(prior + self._noise - told, _JITTER))
        return means, deviations

    def _shared(self, rows: NodeRows, node: int) -> Matrix:
        """Covariance of one node of `rows` with those seen, `(nodes seen,)`."""
        return _covariances(
            self.theta, rows.points[node], int(rows.kind[node]), self._rows.points, self._rows.kind
        )


def learnt(seen: Seen) -> Matrix:
    """Hyperparameters with the largest approximate marginal likelihood, by Adam in rounds.

    Between rounds the observations are made linear around the new mode. Lengths have a weak
    log-normal prior.
    """
    import torch

    columns = seen.rows.points.shape[1]
    first = [log(a) for a in (*_AMPLITUDES, _NOISE)] + [log(_LENGTH)] * (2 * columns)
    theta = torch.tensor(first, dtype=torch.float64, requires_grad=True)
    noise = torch.from_numpy(seen.variances)
    latent = np.zeros(len(seen.rows.kind))
    for steps, rate in _ROUNDS:
        shares, logs = _shares(seen.rows, latent)
        target = torch.from_numpy(seen.target - logs + shares @ latent)
        through = torch.from_numpy(shares)
        adam = torch.optim.Adam([theta], lr=rate)
        for _ in range(steps):
            adam.zero_grad()
            covariance = through @ _covariance(theta, seen.rows) @ through.T
            covariance = covariance + torch.diag(noise + torch.exp(2 * theta[4]) + _JITTER)
            factor = torch.linalg.cholesky(covariance)
            duals = torch.cholesky_solve(target[:, None], factor)[:, 0]
            fit = 0.5 * target @ duals + torch.log(torch.diag(factor)).sum()
            prior = 0.5 * ((theta[5:] - log(_LENGTH)) ** 2).sum()
            (fit + prior).backward()  # type: ignore[no-untyped-call]
            adam.step()
        latent = mode(theta.detach().numpy(), seen, latent)
    return np.asarray(theta.detach().numpy().copy())


def mode(theta: Matrix, seen: Seen, start: Matrix | None = None) -> Matrix:
    """The most probable g of every node of `seen`, `(nodes,)`, by damped Gauss-Newton steps."""
    covariance = _nodes_covariance(theta, seen.rows)
    latent = np.zeros(len(seen.rows.kind)) if start is None else start
    noise = np.diag(seen.variances + _noise_of(theta))
    for _ in range(_STEPS):
        shares, logs = _shares(seen.rows, latent)
        target = seen.target - logs + shares @ latent
        duals = np.linalg.solve(shares @ covariance @ shares.T + noise, target)
        step = covariance @ (shares.T @ duals) - latent
        latent = latent + _DAMPED * step
        if np.abs(step).max() < _CLOSE:
            break
    return np.asarray(latent)


def nominal_logs(rows: NodeRows) -> Matrix:
    """Logarithm of the nominal time of each operator of `rows`, `(operators,)`."""
    return _shares(rows, np.zeros(len(rows.kind)))[1]


def _shares(rows: NodeRows, latent: Matrix) -> tuple[Matrix, Matrix]:
    """Share of each node in each operator's time, and the logarithms of these times."""
    return _shares_of(rows.times * np.exp(rows.log_us + latent))


def _shares_of(times: Matrix) -> tuple[Matrix, Matrix]:
    """The same for the time of each node in each operator, `(operators, nodes)`, or what it lacks.

    At least so much of what is added is taken to remain, whatever is taken off.
    """
    added = np.maximum(times, 0)
    least = _LEAST_SHARE * added.sum(axis=1)
    is_least = times.sum(axis=1) < least
    parts = np.where(is_least[:, None], _LEAST_SHARE * added, times)
    total = parts.sum(axis=1)
    return parts / total[:, None], np.log(total)


def _noise_of(theta: Matrix) -> float:
    return float(np.exp(2 * theta[4])) + _JITTER


def _covariances(
    theta: Matrix, point: Matrix, kind: int, points: Matrix, kinds: NDArray[np.intp]
) -> Matrix:
    """Covariance of a node with each of others, `(others,)`."""
    a, b, c, d = np.exp(2 * theta[:4])
    lengths = np.exp(theta[5:]).reshape(2, -1)
    squares = (points - point) ** 2
    shared, within = (matern52((squares / length**2).sum(axis=1)) for length in lengths)
    linear = (points * point).sum(axis=1) / len(point)
    return np.asarray(a * shared + (kinds == kind) * (b * within + c + d * linear))


def _between(theta: Matrix, rows: NodeRows, own: NDArray[np.intp]) -> Matrix:
    """Covariance among some nodes of `rows`, `(own, own)`."""
    points, kinds = rows.points[own], rows.kind[own]
    return np.array(
        [_covariances(theta, p, int(k), points, kinds) for p, k in zip(points, kinds, strict=True)]
    )


def _nodes_covariance(theta: Matrix, rows: NodeRows) -> Matrix:
    """Covariance among all nodes of `rows`, `(nodes, nodes)`."""
    import torch

    with torch.no_grad():
        return np.array(_covariance(torch.from_numpy(theta), rows).numpy())


def _covariance(theta: torch.Tensor, rows: NodeRows) -> torch.Tensor:
    """The same, differentiable by `theta`."""
    import torch

    points = torch.from_numpy(rows.points)
    is_same = torch.from_numpy(rows.kind[:, None] == rows.kind[None]).to(points.dtype)
    columns = points.shape[1]
    a, b, c, d = torch.exp(2 * theta[:4])
    shared = matern52_among(points, theta[5 : 5 + columns])
    within = matern52_among(points, theta[5 + columns :])
    linear = points @ points.T / columns
    covariance: torch.Tensor = a * shared + is_same * (b * within + c + d * linear)
    return covariance
