"""What is believed of the latencies of operators before all of them are measured.

The logarithm of each latency is a Gaussian process around the operator's roofline: operators that
are alike err alike. Given some measurements, its posterior says what the others take and how sure
that is (Rasmussen and Williams 2006, *Gaussian Processes for Machine Learning*, equations 2.23 and
2.24). Its variances depend on which operators are measured and not on what was found, so that what
to measure can be decided before it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..condition import Condition
from ..entry import Entry
from ..models.features import FeatureSpace
from ..operators import Operator
from ..operators.generate import roofline_ms
from ..table import LatencyTable
from .appearances import Appearances
from .noise import noise_variance

Vector = NDArray[np.float64]

# Standard deviations of log(ms): of the device as such, of a kind of operator, of what goes
# linearly with features, and of what goes with nearness.
_DEVICE, _KIND, _LINEAR, _NEAR = 1.0, 0.5, 0.3, 0.3
_SCALED_FROM = 8
_SCALES = np.logspace(-2, 3, 101)


@dataclass(frozen=True, eq=False)
class Beliefs:
    """A normal distribution of the logarithms of latencies.

    Attributes:
        operators: That take time, each once.
        mean_log: Expected log(ms) of each, `(operators,)`.
        covariance: Of these, `(operators, operators)`.
    """

    operators: tuple[Operator, ...]
    mean_log: Vector
    covariance: Vector

    @classmethod
    def prior(cls, operators: Sequence[Operator], condition: Condition) -> Self:
        """Beliefs before anything is measured.

        Raises:
            ConfigError: There are too few operators to learn from one another.
        """
        busy = tuple(dict.fromkeys(o for o in operators if not o.is_free))
        around = [roofline_ms(operator) for operator in busy]
        # Only operators are looked at; the latencies of this table go nowhere.
        entries = {o: Entry(1, ms, 0.0) for o, ms in zip(busy, around, strict=True)}
        space = FeatureSpace.of(LatencyTable(condition, "simulated", entries))
        features, kinds = space.matrix(busy), space.kind_indices(busy)
        varied = features[:, np.ptp(features, axis=0) > 0]
        z = (varied - varied.mean(axis=0)) / varied.std(axis=0)
        width = max(1, z.shape[1])
        apart = np.square(z[:, None, :] - z[None, :, :]).sum(axis=2) / width
        covariance = (
            _DEVICE**2
            + _KIND**2 * (kinds[:, None] == kinds[None, :])
            + _LINEAR**2 * (z @ z.T) / width
            + _NEAR**2 * np.exp(-apart / 2)
        )
        return cls(busy, np.log(around), covariance)

    def given(self, measured: Mapping[Operator, Entry]) -> Self:
        """Beliefs after those of the operators that are `measured`.

        From `_SCALED_FROM` of them on, what was believed before is scaled by how far they lie from
        it (the scale of greatest marginal likelihood; Rasmussen and Williams 2006, equation 5.8);
        the noise of measurements is not.
        """
        known = [i for i, operator in enumerate(self.operators) if operator in measured]
        if not known:
            return self
        entries = [measured[self.operators[i]] for i in known]
        residual = np.log([entry.mean_ms for entry in entries]) - self.mean_log[known]
        noise = np.array([noise_variance(entry) for entry in entries])
        prior = self.covariance
        if len(known) >= _SCALED_FROM:
            prior = _likeliest_scale(prior[np.ix_(known, known)], residual, noise) * prior
        gain = np.linalg.solve(prior[np.ix_(known, known)] + np.diag(noise), prior[known]).T
        return replace(
            self,
            mean_log=self.mean_log + gain @ residual,
            covariance=prior - gain @ prior[known],
        )

    def importance(self, appearances: Appearances) -> Vector:
        """How errors of two operators together move networks, `(operators, operators)`.

        With it, the expected squared error of a network's latency in ms is the sum of its product
        with the covariance, element by element.

        Args:
            appearances: Of `operators` in the networks that matter.
        """
        expected_ms = np.exp(self.mean_log)
        return np.asarray(appearances.together * np.outer(expected_ms, expected_ms))

    def network_error(self, appearances: Appearances) -> float:
        """Root of the expected squared error of a network's latency over its mean latency."""
        squared = float(np.sum(self.importance(appearances) * self.covariance))
        return float(np.sqrt(max(squared, 0.0)) / (appearances.mean @ np.exp(self.mean_log)))


def _likeliest_scale(covariance: Vector, residual: Vector, noise: Vector) -> float:
    """The factor of `covariance` under which `residual`, with `noise`, is likeliest."""
    sure = 1 / np.sqrt(noise)
    values, vectors = np.linalg.eigh(covariance * np.outer(sure, sure))
    variances = _SCALES[:, None] * np.maximum(values, 0.0) + 1.0
    squares = np.square(vectors.T @ (sure * residual))
    surprise = np.sum(np.log(variances) + squares / variances, axis=1)
    return float(_SCALES[int(np.argmin(surprise))])
