"""From the logarithms of launches to a latency and an interval that holds.

Two things keep a measurement from the truth. Launches scatter: that error is estimated from them
and falls with their number. And the machine drifts, in ways that neither the sentinel nor the
other cases tell: launches of one stretch of time share that error, so that more of them do not
lessen it. An interval from the scatter alone is too narrow, the more so the more launches there
are. So the drift has a term of its own. With launches at the times t, drift of standard deviation
s and correlation exp(-|t - t'| / `DRIFT_S`), the variance of their mean is

    s^2 * mean over all pairs of exp(-|t_i - t_j| / DRIFT_S),

which is s^2 within one stretch and falls only where launches lie apart in time. How s was found,
and what the intervals cover, is in docs/measuring.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

TRIMMED_SHARE = 0.2
TRIM_FROM = 5

DRIFT_S = 300.0
"""Seconds in which the drift forgets itself by a factor of e."""
DRIFT_SD = 0.002
"""Drift beyond the sentinel, as a standard deviation of the logarithm, at the reference speed."""
DRIFT_SD_RAW = 0.01
"""The same where no sentinel was timed."""
UNFOLLOWED_SHARE = 0.2
"""How much of a change of the machine's speed one case may follow less, or more, than another.

It counts also after the share that a case follows was learnt (`following.py`): a change has more
sides than one number tells. In pairs of complete measurements on a shared machine, intervals
without this term held 82 % of the differences, with it 93 %.
"""

_PLATEAU = 0.9
# Of few normal values the winsorised variance is too low by this over their number squared (18 %
# for 5, 6 % for 8), and spreads as with a tenth fewer degrees of freedom (20,000 draws each).
_WINSORISED_LOW = 4.5
_WINSORISED_FREEDOM = 0.9


def trimmed(values: NDArray[np.float64]) -> tuple[float, float, int]:
    """Trimmed mean, its standard error by the winsorised deviation, degrees of freedom.

    A fifth is cut at each end from five values on (Tukey and McLaughlin 1963). The error of one
    value is infinite.
    """
    n = len(values)
    cut = int(TRIMMED_SHARE * n) if n >= TRIM_FROM else 0
    ordered = np.sort(values)
    kept = ordered[cut : n - cut]
    if n == 1:
        return float(kept[0]), math.inf, 0
    winsorised = np.clip(ordered, kept[0], kept[-1])
    error = float(np.std(winsorised, ddof=1)) / ((1 - 2 * cut / n) * math.sqrt(n))
    return float(kept.mean()), error, n - 2 * cut - 1


def mean_variance(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Trimmed mean, its variance, degrees of freedom; right for few normal values, too.

    The variance of one value is infinite, with no degree of freedom.
    """
    mean, error, freedom = trimmed(values)
    if len(values) < TRIM_FROM:
        return mean, error**2, freedom
    low = 1 + _WINSORISED_LOW / len(values) ** 2
    return mean, error**2 * low, _WINSORISED_FREEDOM * freedom


def trimmed_mean(values: Sequence[float]) -> float:
    """Mean without the lowest and highest fifth; without trimming below five values."""
    return trimmed(np.asarray(values, dtype=np.float64))[0]


def drift_sd(slowness: Sequence[float]) -> float:
    """Standard deviation of what the correction by the sentinel leaves of the machine's drift.

    Args:
        slowness: Logarithms of the machine's slowness at each launch, by the sentinel; empty
            where none was timed. Cases do not follow a change of speed alike, so that the further
            the machine was from its reference speed, the less the correction can be relied on.
    """
    if not slowness:
        return DRIFT_SD_RAW
    rms = math.sqrt(sum(value**2 for value in slowness) / len(slowness))
    return math.hypot(DRIFT_SD, UNFOLLOWED_SHARE * rms)


def shared_share(times_s: Sequence[float]) -> float:
    """How much of the drift's variance is left in the mean of launches at `times_s`, in (0, 1]."""
    times = np.asarray(times_s, dtype=np.float64)
    return float(np.exp(-np.abs(times[:, None] - times[None, :]) / DRIFT_S).mean())


def half_widths(
    values: NDArray[np.float64],
    common: Sequence[float],
    times_s: Sequence[float],
    drift: float,
    level: float,
) -> tuple[float, float]:
    """Half of the confidence interval of the trimmed mean, by the scatter and by the drift.

    The whole half-width is the root of the sum of their squares.

    Args:
        values: Logarithms of the launches.
        common: What was taken off each launch because its group had it in common; empty where
            nothing was. It scatters as the sentinel does from launch to launch, and the latency
            is relative to the sentinel's mean, so that its error counts like the case's own.
        times_s: When each launch was taken.
        drift: Standard deviation of the drift (`drift_sd`).
        level: Of confidence, between 0 and 1.
    """
    _, variance, freedom = mean_variance(values)
    if not freedom:
        return math.inf, 0.0
    if common:
        of_common = float(np.var(common, ddof=1)) / len(common)
        variance, freedom = _sum_of_variances((variance, freedom), (of_common, len(common) - 1.0))
    tail = 0.5 + level / 2
    by_drift = _normal_quantile(tail) * drift * math.sqrt(shared_share(times_s))
    return _student_quantile(tail, freedom) * math.sqrt(variance), by_drift


def _sum_of_variances(*terms: tuple[float, float]) -> tuple[float, float]:
    """The sum of estimated variances and its degrees of freedom (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in terms)
    weight = sum(variance**2 / free for variance, free in terms)
    return total, total**2 / weight if weight else min(free for _, free in terms)


def is_at_floor(by_scatter: float, by_drift: float) -> bool:
    """Whether launches without end in the same stretch would narrow the interval by a tenth."""
    return by_drift > _PLATEAU * math.hypot(by_scatter, by_drift)


@lru_cache(maxsize=4096)
def _student_quantile(probability: float, freedom: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


@lru_cache
def _normal_quantile(probability: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(probability)
