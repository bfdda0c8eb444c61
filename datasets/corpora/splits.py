"""Training and test sets that keep architectures which are one program to a runtime together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError

Indices = NDArray[np.intp]


class Split(NamedTuple):
    """Rows to learn from, and rows to test on."""

    train: Indices
    test: Indices


def random_split(count: int, train: int, generator: np.random.Generator) -> Split:
    """`train` of `count` rows at random, and the others: twins may cross.

    Raises:
        ConfigError: Not at least one row on each side.
    """
    _check(count, train)
    order = generator.permutation(count)
    return Split(order[:train], order[train:])


def grouped_split(groups: NDArray[np.int64], train: int, generator: np.random.Generator) -> Split:
    """`train` rows at random, and those of no group that has one: twins do not cross.

    The other members of the training rows' groups are in neither, so that the training rows are
    drawn as by `random_split`, with the same draws.

    Args:
        groups: A number a row.
        train: How many rows to learn from.
        generator: Draws them.

    Raises:
        ConfigError: No row would be left to test on.
    """
    split = random_split(len(groups), train, generator)
    test = split.test[~np.isin(groups[split.test], groups[split.train])]
    if not len(test):
        raise ConfigError(f"{train} training rows touch every group; nothing is left to test on.")
    return Split(split.train, test)


def _check(count: int, train: int) -> None:
    if not 0 < train < count:
        raise ConfigError(
            f"{train} training rows of {count} leave no split; take 1 to {count - 1}."
        )
