"""What every choice is worth, when architectures are worth the sum of their choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .architecture import Architecture
from .spaces import SearchSpace


def additive_scores(
    space: SearchSpace,
    architectures: Sequence[Architecture],
    values: Sequence[float],
    penalty: float = 1.0,
) -> NDArray[np.float64]:
    """Scores whose sums over choices fit `values` best, by ridge regression on one-hot choices.

    Args:
        space: Of the architectures.
        architectures: At least one.
        values: One for each architecture; greater is better.
        penalty: Weight of the squared scores beside the squared errors, both of standardised
            values: a choice that was never seen scores 0, the mean.

    Returns:
        `blocks choices`, in the unit of `values`, less a constant; 0 in the padding.
    """
    width = max(space.options)
    chosen = np.array([architecture.choices for architecture in architectures])
    hot = (chosen[:, :, None] == np.arange(width)).reshape(len(chosen), -1).astype(np.float64)
    target = np.asarray(values, dtype=np.float64)
    centred = target - target.mean()
    hot -= hot.mean(axis=0)
    # The dual form: as many unknowns as architectures, however wide the space is.
    kernel = hot @ hot.T + penalty * np.eye(len(hot))
    scores = hot.T @ np.linalg.solve(kernel, centred)
    return np.ascontiguousarray(scores.reshape(len(space.options), width))
