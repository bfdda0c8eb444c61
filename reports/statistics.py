"""Errors of predictions and rank correlations, as figures and tables print them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Errors:
    """How far predictions lie from measurements; shares and the mean in [0, 1] of the latter.

    Attributes:
        mape: Mean absolute percentage error, as a share: 0.03 is 3%.
        bias: Mean signed error, as a share; above 0 where predictions are too high.
        within_5: Share of predictions at most 5% off.
        spearman: Rank correlation; None for fewer than three points or constant ones.
    """

    count: int
    mape: float
    bias: float
    within_5: float
    within_10: float
    spearman: float | None


def errors(predicted: Sequence[float], measured: Sequence[float]) -> Errors:
    """Errors of `predicted` against `measured`, one each, in the same unit.

    Raises:
        ValueError: There is none, or the lengths differ, or a measurement is not above 0.
    """
    p, m = np.asarray(predicted, float), np.asarray(measured, float)
    if p.shape != m.shape or not (m > 0).all():
        raise ValueError("predictions and positive measurements must come in pairs")
    return relative_errors((p / m - 1).tolist(), spearman(predicted, measured))


def relative_errors(off: Sequence[float], rank: float | None) -> Errors:
    """The errors that the signed relative errors `off` amount to; `rank` is passed on.

    Raises:
        ValueError: There is none.
    """
    if not off:
        raise ValueError("at least one error is needed")
    size = np.abs(off)
    return Errors(
        count=len(off),
        mape=float(size.mean()),
        bias=float(np.mean(off)),
        within_5=float((size <= 0.05).mean()),
        within_10=float((size <= 0.10).mean()),
        spearman=rank,
    )


def welch_interval(
    ours: Sequence[float], theirs: Sequence[float], level: float
) -> tuple[float, float] | None:
    """Interval of the difference of two means by Welch's t test: variances need not be equal.

    Args:
        ours: Values of the one, whose mean comes first.
        theirs: Values of the other.
        level: Such as 0.95.

    Returns:
        Its ends; None where either has one value, or neither has a spread.
    """
    if min(len(ours), len(theirs)) < 2 or len({*ours}) == len({*theirs}) == 1:
        return None
    test = stats.ttest_ind(ours, theirs, equal_var=False)
    low, high = test.confidence_interval(level)
    return float(low), float(high)


def spearman(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation; None for fewer than three points or constant ones."""
    return float(stats.spearmanr(x, y).statistic) if _is_rankable(x, y) else None


def kendall(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Kendall's rank correlation (tau-b); None for fewer than three points or constant ones."""
    return float(stats.kendalltau(x, y).statistic) if _is_rankable(x, y) else None


def _is_rankable(x: Sequence[float], y: Sequence[float]) -> bool:
    return len(x) >= 3 and len(set(x)) > 1 and len(set(y)) > 1
