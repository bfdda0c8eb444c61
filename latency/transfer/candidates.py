"""Ways in which a new device may differ from devices that are known.

In logarithms of ms, a way says what is taken over from the sources (one of them, or their mean)
and along what the new device may differ from that: a covariance between operators. All are ridge
regressions in dual form with a free offset, so that leaving one sample out is closed-form
(Rasmussen and Williams 2006, *Gaussian Processes for Machine Learning*, section 5.4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

FREE = 1e4
"""Prior variance of the offset: how much faster the new device is, nobody knows."""
AMPLITUDES = (0.03, 0.1, 0.3, 0.6, 1.2)
NOISE_SD = 0.03


@dataclass(frozen=True, eq=False)
class Points:
    """Operators as the candidates see them.

    Attributes:
        logs: log(ms) by each source, `(operators, sources)`.
        kinds: Of each operator, `(operators,)`.
        features: Standardised, `(operators, columns)`.
    """

    logs: Vector
    kinds: NDArray[np.intp]
    features: Vector


@dataclass(frozen=True)
class Candidate:
    """One way to take over what is known of other devices.

    Attributes:
        name: As it is reported.
        along: What the new device may differ along: `nothing`, its `kinds` of operators, how the
            `sources` differ among each other (so that any weighting of them is reached, also a
            power of one), its `features` linearly, or `features-nearness`.
    """

    name: str
    along: tuple[str, ...]

    def covariance(self, left: Points, right: Points) -> Vector:
        """Between all of `left` and all of `right`, at an amplitude of 1."""
        total = np.zeros((len(left.kinds), len(right.kinds)))
        for part in self.along:
            total += _PARTS[part](left, right)
        return total


def _kinds(left: Points, right: Points) -> Vector:
    return np.asarray(left.kinds[:, None] == right.kinds[None, :], np.float64)


def _sources(left: Points, right: Points) -> Vector:
    # The mean's own slope, and each source's difference from it.
    return _spread(left) @ _spread(right).T


def _spread(points: Points) -> Vector:
    mean = points.logs.mean(axis=1, keepdims=True)
    return np.hstack([0.3 * mean, points.logs - mean])


def _features(left: Points, right: Points) -> Vector:
    return np.asarray(left.features @ right.features.T / max(1, left.features.shape[1]))


def _nearness(left: Points, right: Points) -> Vector:
    apart = np.square(left.features[:, None, :] - right.features[None, :, :]).sum(axis=2)
    return np.asarray(np.exp(-apart / (2 * max(1, left.features.shape[1]))))


_PARTS = {
    "kinds": _kinds,
    "sources": _sources,
    "features": _features,
    "features-nearness": _nearness,
}

CANDIDATES = (
    Candidate("scaled", ()),
    Candidate("scaled by kind", ("kinds",)),
    Candidate("weighted sources", ("sources",)),
    Candidate("weighted sources and kinds", ("sources", "kinds")),
    Candidate("corrected along features", ("kinds", "features")),
    Candidate("corrected where alike", ("kinds", "features-nearness")),
    Candidate("weighted and corrected", ("sources", "kinds", "features", "features-nearness")),
)
"""From the simplest to the least simple."""


def inverse_of(covariance: Vector, amplitude: float, noise: Vector) -> Vector:
    """Inverse covariance of samples whose offset is free.

    Args:
        covariance: Of the samples, by a candidate.
        amplitude: Standard deviation along it.
        noise: Variance of each sample's own error, besides `NOISE_SD`.
    """
    whole = FREE + amplitude**2 * covariance + np.diag(noise + NOISE_SD**2)
    return np.asarray(np.linalg.inv(whole), np.float64)
