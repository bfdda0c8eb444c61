"""Whether two primitives are executed as one, by their times.

Zhang et al. 2021 (nn-Meter), section 4: A and B are fused if

    T(A) + T(B) - T(A-B) > share * min(T(A), T(B)),    share = 0.5.

Each of these is a difference of test graphs that were timed in turns in one process, which is one
round. For the cheaper of the two, saved - share * cheaper is linear in the times of a round, so
that rounds give Student's t for its mean; nothing is divided by a time that may be 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from ..estimate import trimmed

SHARE = 0.5
LEVEL = 0.95
"""Of the intervals."""

Vector = NDArray[np.float64]


class Outcome(StrEnum):
    """What the times say."""

    FUSED = "fused"
    APART = "not fused"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Estimate:
    """A mean over rounds and its interval, in milliseconds."""

    mean_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class Decision:
    """What the times of a pair say.

    Attributes:
        first: T(A), and `second` T(B).
        saved: T(A) + T(B) - T(A-B).
    """

    outcome: Outcome
    first: Estimate
    second: Estimate
    saved: Estimate
    rounds: int

    @property
    def saved_share(self) -> float | None:
        """What is saved over the cheaper of the two; None where that took no time."""
        cheaper = min(self.first.mean_ms, self.second.mean_ms)
        return self.saved.mean_ms / cheaper if cheaper > 0 else None


def decide(
    times_ms: Mapping[str, Sequence[float]], *, share: float = SHARE, level: float = LEVEL
) -> Decision:
    """Whether a pair is fused; undecided where the interval holds the limit.

    It is undecided, too, where the cheaper of the two takes no time that can be told from 0: then
    there is nothing that could be saved.

    Args:
        times_ms: Of each test graph (`before`, `first`, `base`, `second`, `both`), one of a round.
        share: Of the cheaper one's time, above 0 and below 1.
        level: Of the intervals, above 0 and below 1.

    Raises:
        ConfigError: There are less than three rounds, or `share` or `level` is none.
    """
    if not (0 < share < 1 and 0 < level < 1):
        raise ConfigError(f"Share and level lie between 0 and 1, found {share} and {level}.")
    rounds = _steadied(times_ms)
    first = rounds["first"] - rounds["before"]
    second = rounds["second"] - rounds["base"]
    saved = rounds["first"] + second - rounds["both"]
    cheaper = first if trimmed(first)[0] < trimmed(second)[0] else second
    beyond = _estimate(saved - share * cheaper, level)
    outcome = Outcome.UNDECIDED
    if _estimate(cheaper, level).low_ms > 0:
        if beyond.low_ms > 0:
            outcome = Outcome.FUSED
        elif beyond.high_ms < 0:
            outcome = Outcome.APART
    return Decision(
        outcome,
        first=_estimate(first, level),
        second=_estimate(second, level),
        saved=_estimate(saved, level),
        rounds=len(saved),
    )


def _steadied(times_ms: Mapping[str, Sequence[float]]) -> dict[str, Vector]:
    """The times with each round scaled to one sum: a slow round is slow for all of its graphs."""
    found = {name: np.asarray(values, np.float64) for name, values in times_ms.items()}
    counts = {len(values) for values in found.values()}
    if len(counts) != 1 or min(counts) < 3:
        raise ConfigError(
            f"A pair is decided by at least 3 rounds of all of its graphs, found {sorted(counts)}."
        )
    totals = np.sum(list(found.values()), axis=0)
    return {name: values * (np.mean(totals) / totals) for name, values in found.items()}


def _estimate(values: Vector, level: float) -> Estimate:
    """Student's t on the trimmed mean: a round can be disturbed as a whole."""
    from scipy.special import stdtrit

    mean, error, freedom = trimmed(values)
    half = float(stdtrit(freedom, (1 + level) / 2)) * error
    return Estimate(mean, mean - half, mean + half)
