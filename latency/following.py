"""How strongly a case follows the machine's speed, learnt from its own launches.

Where the clock falls by a tenth, what waits for memory slows down by less, and where a neighbour
takes part of a cache, what lived in it slows down by more than the sentinel. With f[w] what the
machine's slowness was for worker w, by the sentinel and by all cases of its group together, a case
is taken to go with

    y[w] = level + share * f[w] + noise,

and its level, at f = 0, is its latency at the reference speed. The share is the posterior mean of
a linear regression whose prior is a normal distribution around 1 (Gelman et al. 2013, *Bayesian
Data Analysis*, section 14.8): where the speed hardly moved nothing is learnt, and the share is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .estimate import UNFOLLOWED_SHARE

_LEAST_LAUNCHES = 3
_LEAST_SCATTER = 0.01


@dataclass(frozen=True)
class Following:
    """The share of a change of the machine's speed that a case goes along with.

    Attributes:
        share: 1 where it goes as the machine does.
        sd: How uncertain that is, as a standard deviation.
    """

    share: float = 1.0
    sd: float = UNFOLLOWED_SHARE

    def pooled(self, other: Following) -> Following:
        """What both say together, of the same case on another day."""
        ours, theirs = self._weight, other._weight
        # Both carry the prior, which counts once.
        weight = ours + theirs - 1 / UNFOLLOWED_SHARE**2
        share = (ours * self.share + theirs * other.share - 1 / UNFOLLOWED_SHARE**2) / weight
        return Following(share, 1 / math.sqrt(weight))

    @property
    def _weight(self) -> float:
        return 1 / self.sd**2


def following(values: NDArray[np.float64], slowness: NDArray[np.float64]) -> Following:
    """How a case with the logarithms `values` followed the machine.

    Args:
        values: Logarithm of what each launch took, in ms, with nothing taken off, `(launches,)`.
        slowness: Logarithm of how slow the machine was at each, `(launches,)`.
    """
    if len(values) < _LEAST_LAUNCHES:
        return Following()
    moves = slowness - slowness.mean()
    squares = float(moves @ moves)
    excess = values - slowness
    excess = excess - excess.mean()
    slope = float(moves @ excess) / squares if squares else 0.0
    rest = excess - slope * moves
    freedom = max(1, len(values) - 2)
    # Three launches can lie on a line by chance; launches scatter by 1 % on a steady machine.
    variance = max(float(rest @ rest) / freedom, _LEAST_SCATTER**2)
    kept = UNFOLLOWED_SHARE**2 * squares / (UNFOLLOWED_SHARE**2 * squares + variance)
    return Following(1 + kept * slope, UNFOLLOWED_SHARE * math.sqrt(1 - kept))
