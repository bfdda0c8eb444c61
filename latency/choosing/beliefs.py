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

Vector = NDArray[np.float64]

# Standard deviations of log(ms): of the device as such, of a kind of operator, of what goes
# linearly with features, of what goes with nearness, and of one measurement.
_DEVICE, _KIND, _LINEAR, _NEAR, _NOISE = 1.0, 0.5, 0.3, 0.3, 0.02
_SCALED_FROM = 8


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

        From `_SCALED_FROM` of them on, variances are scaled by how far each was from what the
        others had said of it (leave-one-out; Rasmussen and Williams 2006, equations 5.12).
        """
        known = [i for i, operator in enumerate(self.operators) if operator in measured]
        if not known:
            return self
        entries = [measured[self.operators[i]] for i in known]
        found = np.log([entry.mean_ms for entry in entries])
        noise = np.array([noise_variance(entry) for entry in entries])
        inner = self.covariance[np.ix_(known, known)] + np.diag(noise)
        inverse = np.linalg.inv(inner)
        gain = self.covariance[:, known] @ inverse
        surprise = inverse @ (found - self.mean_log[known])
        # Of each left out: residual = surprise / diagonal, variance = 1 / diagonal.
        scale = float(np.mean(surprise**2 / np.diag(inverse)))
        return replace(
            self,
            mean_log=self.mean_log + gain @ (found - self.mean_log[known]),
            covariance=(self.covariance - gain @ self.covariance[known])
            * (scale if len(known) >= _SCALED_FROM else 1.0),
        )

    def importance(self, counts: Vector) -> Vector:
        """How errors of two operators together move networks, `(operators, operators)`.

        With it, the expected squared error of a network's latency in ms is the sum of its product
        with the covariance, element by element.

        Args:
            counts: How often each network holds each operator, `(networks, operators)`; the
                networks are draws from the distribution that matters.
        """
        milliseconds = counts * np.exp(self.mean_log)
        return np.asarray(milliseconds.T @ milliseconds / len(counts))

    def network_error(self, counts: Vector) -> float:
        """Root of the expected squared error of a network's latency over its mean latency."""
        squared = float(np.sum(self.importance(counts) * self.covariance))
        return float(np.sqrt(max(squared, 0.0)) / np.mean(counts @ np.exp(self.mean_log)))


def noise_variance(entry: Entry | None = None) -> float:
    """Variance of the logarithm of what measuring an operator finds; of one to come without."""
    if entry is None:
        return _NOISE**2
    return _NOISE**2 + (entry.std_ms / entry.mean_ms) ** 2 / entry.count
