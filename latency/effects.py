"""By how much each case of a comparison changed, with the error of that.

In pairs the effect of a case is the trimmed mean of the pairs' differences, in which the machine's
speed cancels. Elsewhere it is the difference of two trimmed means (Yuen 1974), and each side's
error has a term for the drift that launches of one stretch of time share (`estimate.py`), because
more of them do not lessen it. How much launches scatter is known from few of them for each case,
but alike for many cases, which lend each other certainty (`moderation.py`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from .common_mode import MIN_OTHERS
from .estimate import mean_variance, shared_share
from .measurement import Measurement
from .moderation import moderated
from .pairing import Pairs

Vector = NDArray[np.float64]
Both = Sequence[tuple[Measurement, Measurement]]
"""The measurements of each case, of A and of B."""

_MEDIAN_VARIANCE = math.pi / 2
SPEED_SD = 0.03
"""Machine's speed from one stretch of time to another, as a standard deviation of the logarithm.

Assumed where nothing tells more: a shared or boosted core moves by so much, a fixed clock by less.
"""


class Basis(StrEnum):
    """In which unit the two sides are compared."""

    TIME = "time"
    SENTINEL = "sentinel"


@dataclass(frozen=True, eq=False)
class Effects:
    """Effects of all cases, with the parts of their variances and the degrees of freedom."""

    values: Vector
    parts: tuple[tuple[Vector, Vector], ...]

    @property
    def variances(self) -> Vector:
        total: Vector = np.sum([variances for variances, _ in self.parts], axis=0)
        return total

    @property
    def freedoms(self) -> Vector:
        """Degrees of freedom of the sum of the parts (Welch 1947)."""
        total = self.variances**2
        uncertain = np.sum([v**2 / d for v, d in self.parts], axis=0)
        usable = np.isfinite(total) & (uncertain > 0)
        found = np.full_like(total, np.inf)
        np.divide(total, uncertain, out=found, where=usable)
        return found


def paired(cases: Both, pairs: Sequence[Pairs], basis: Basis, shift: float) -> Effects:
    """Mean differences of the pairs; in plain time those of the launches as they were.

    Args:
        cases: What was measured.
        pairs: Of each case, the positions of launches that belong together.
        basis: The unit in which they are compared.
        shift: Change of the sentinel's time at the reference speed, as a logarithm, to take off.
    """
    differences = []
    for (a, b), found in zip(cases, pairs, strict=True):
        first, second = (list(side) for side in zip(*found, strict=True))
        if basis is Basis.TIME:
            differences.append(b.raw_log[second] - a.raw_log[first])
        else:
            differences.append(b.launch_log[second] - a.launch_log[first] - shift)
    means, scatter = _means(differences)
    return Effects(means, (scatter,))


def unpaired(cases: Both, basis: Basis, shift: float) -> Effects:
    """Differences of the sides' means, with the scatter and the drift of each side.

    Args:
        cases: What was measured.
        basis: The unit in which they are compared.
        shift: Change of the sentinel's time at the reference speed, as a logarithm, to take off as
            far as a case follows it.
    """
    parts, means = [], []
    for side in zip(*cases, strict=True) if cases else ((), ()):
        mean, scatter = _means([m.launch_log for m in side])
        drift = [_stretch_sd(m, basis) ** 2 * shared_share(m.times_s) for m in side]
        parts += [scatter, _certain(drift)]
        means.append(mean)
    followed = [a.following.pooled(b.following) for a, b in cases]
    parts.append(_certain([(shift * case.sd) ** 2 for case in followed]))
    shifts = shift * np.array([case.share for case in followed])
    return Effects(means[1] - means[0] - shifts, tuple(parts))


def _certain(variances: Sequence[float]) -> tuple[Vector, Vector]:
    """Variances that are known, not estimated: with degrees of freedom without end."""
    return np.array(variances, dtype=np.float64), np.full(len(variances), np.inf)


def _means(launches: Sequence[Vector]) -> tuple[Vector, tuple[Vector, Vector]]:
    """Trimmed mean of each of `launches`; its variance and degrees of freedom, moderated."""
    found = np.array([mean_variance(values) for values in launches], np.float64).reshape(-1, 3)
    counts = np.array([len(values) for values in launches], dtype=np.float64)
    variances, freedoms = moderated(found[:, 1] * counts, np.maximum(found[:, 2], 1.0))
    return found[:, 0], (variances / counts, freedoms)


def _stretch_sd(side: Measurement, basis: Basis) -> float:
    """Standard deviation, as a logarithm, of what all launches of one stretch have in common.

    By the sentinel that is the drift which its correction leaves. In plain time it is the
    machine's speed, which differs between stretches at least as it does between workers of one.
    """
    if basis is Basis.SENTINEL:
        return side.stretch_sd
    spread = statistics.stdev(side.slowness) if len(side.slowness) > 1 else 0.0
    return max(SPEED_SD, spread)


def moved(effects: Effects) -> NDArray[np.float64]:
    """For each case the median effect of the others, and its variance; two rows.

    It is known where there are `MIN_OTHERS` others with an error; it is 0 elsewhere.
    """
    values, variances = effects.values, effects.variances
    found = np.zeros((2, len(values)))
    is_known = np.isfinite(variances)
    for case in range(len(values)):
        others = is_known.copy()
        others[case] = False
        if (count := int(others.sum())) >= MIN_OTHERS:
            variance = _MEDIAN_VARIANCE * variances[others].mean() / count
            found[:, case] = np.median(values[others]), variance
    return found
