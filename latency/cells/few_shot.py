"""Latencies on a new device from a handful of cells and a pool of devices that are known well.

The latency is a sum of what the known devices agree on, of how they differ, and of counts of
operations, with independent noise in proportion to it: a Gaussian process with a few prior
variances. Nobody knows them; each combination is a hypothesis, and predictions are averaged with
the probability of each given the samples (Rasmussen and Williams 2006, equation 5.8). It is the
probability, not the leave-one-out error of ten samples, that stops a noisy device from being
explained in detail.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from .cell import Cells
from .kernels import count_design
from .robust import FLOOR

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

DIFFERENCES = (0.001, 0.003, 0.01, 0.03, 0.1)
COUNTS = (0.0, 0.001, 0.01, 0.1)
NOISES = np.logspace(-4, 0, 9)
_AGREEMENT = 10.0
_ROUNDS = 3
_OUTLYING = 3.0
_LEAST_SCALE = 0.02
_LEAST_SOURCE = 0.02


@dataclass(frozen=True, eq=False)
class DevicePool:
    """What devices say of every cell, as the designs that a new device is explained by.

    Attributes:
        agreement: Mean over the devices, each in units of its typical latency, `(cells, 1)`.
        differences: What each adds to it, `(cells, devices)`.
        counts: How often each operation stands in the cell, `(cells, 5)`.
    """

    agreement: Matrix
    differences: Matrix
    counts: Matrix

    @classmethod
    def of(cls, cells: Cells, relative: Matrix) -> Self:
        """The pool of devices with latencies `relative` to typical ones, `(cells, devices)`."""
        latency = np.maximum(relative, _LEAST_SOURCE)
        mean = latency.mean(axis=1, keepdims=True)
        return cls(mean, latency - mean, count_design(cells))

    def diverse(self, candidates: NDArray[np.intp], samples: int, first: int) -> NDArray[np.intp]:
        """`samples` of `candidates` that tell most of the others, beginning with `first`.

        Each next one is that with the largest variance left, given the ones before, under the
        middle prior variances and the least noise (greedy entropy: Krause et al. 2008, section 3).
        """
        designs = self._designs(candidates)
        prior = np.array([_AGREEMENT, DIFFERENCES[2], COUNTS[2]])
        covariance = sum(v * d @ d.T for v, d in zip(prior, designs, strict=True))
        rest = np.asarray(covariance + np.eye(len(candidates)) * NOISES[0])
        chosen = [int(np.flatnonzero(candidates == first)[0])]
        while len(chosen) < samples:
            column = rest[:, chosen[-1]]
            rest = rest - np.outer(column, column) / column[chosen[-1]]
            left = np.diag(rest).copy()
            left[chosen] = -np.inf
            chosen.append(int(left.argmax()))
        return candidates[chosen]

    def predict(self, samples: NDArray[np.intp], latency_ms: Vector) -> Vector:
        """Latency of every cell in milliseconds, `(cells,)`.

        Args:
            samples: Rows that were measured on the new device, at least two.
            latency_ms: What was measured, above 0.

        Raises:
            ConfigError: Fewer than two samples, or a latency that is not above 0.
        """
        if len(samples) < 2 or not (np.isfinite(latency_ms) & (latency_ms > 0)).all():
            raise ConfigError(
                f"{len(samples)} samples of {latency_ms} ms; a new device needs two, above 0."
            )
        typical = float(np.median(latency_ms))
        coefficients = _averaged(self._designs(samples), latency_ms / typical)
        everywhere = self._designs(np.arange(len(self.counts)))
        found = sum(d @ c for d, c in zip(everywhere, coefficients, strict=True))
        return np.asarray(np.maximum(found, _LEAST_SOURCE) * typical)

    def _designs(self, rows: NDArray[np.intp]) -> tuple[Matrix, Matrix, Matrix]:
        return self.agreement[rows], self.differences[rows], self.counts[rows]


@dataclass(frozen=True, eq=False)
class _Hypotheses:
    """What each combination of prior variances and noise says, `(hypotheses, ...)`.

    Attributes:
        log_evidence: Logarithm of the probability of the samples.
        duals: Weights of the samples' covariances in a prediction, `(hypotheses, samples)`.
        errors: Sample minus its prediction from the others, `(hypotheses, samples)`.
        variances: Of agreement, differences and counts, `(hypotheses, 3)`.
    """

    log_evidence: Vector
    duals: Matrix
    errors: Matrix
    variances: Matrix

    @property
    def probabilities(self) -> Vector:
        weights = np.exp(self.log_evidence - self.log_evidence.max())
        return np.asarray(weights / weights.sum())


def _averaged(designs: tuple[Matrix, ...], target: Vector) -> list[Vector]:
    """Coefficients of each design: the mean over the hypotheses; outliers count less."""
    weights = np.ones(len(target))
    for _ in range(_ROUNDS):
        found = _hypotheses(designs, target, weights)
        errors = found.probabilities @ found.errors / np.maximum(target, FLOOR)
        scale = max(_OUTLYING * float(np.median(np.abs(errors))), _LEAST_SCALE)
        bent = 1 / (1 + (errors / scale) ** 2)
        weights = bent / bent.max()
    mixed = (found.variances * found.probabilities[:, None]).T @ found.duals
    return [design.T @ dual for design, dual in zip(designs, mixed, strict=True)]


def _hypotheses(designs: tuple[Matrix, ...], target: Vector, weights: Vector) -> _Hypotheses:
    scale = np.maximum(target, FLOOR) / np.sqrt(weights)
    scaled = target / scale
    grams = [design @ design.T / np.outer(scale, scale) for design in designs]
    evidence, duals, errors, variances = [], [], [], []
    for differences, counts in product(DIFFERENCES, COUNTS):
        prior = (_AGREEMENT, differences, counts)
        values, vectors = np.linalg.eigh(sum(v * g for v, g in zip(prior, grams, strict=True)))
        spectrum = np.maximum(values, 0)[:, None] + NOISES
        projected = (vectors.T @ scaled)[:, None]
        evidence.append(-0.5 * (np.log(spectrum) + projected**2 / spectrum).sum(axis=0))
        dual = vectors @ (projected / spectrum)
        errors.append((dual / (vectors**2 @ (1 / spectrum))).T * scale)
        duals.append(dual.T / scale)
        variances.append(np.tile(prior, (len(NOISES), 1)))
    return _Hypotheses(*(np.concatenate(a) for a in (evidence, duals, errors, variances)))
