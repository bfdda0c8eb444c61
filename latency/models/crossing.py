"""Networks trained side by side: some on everything, others without a fold, for honest errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..table import LatencyTable
from .evaluate import folds_of

Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]

_FOLDS, _EACH, _MEMBERS = 4, 2, 5


@dataclass(frozen=True, eq=False)
class Crossing:
    """Which network learns from which rows: two without each of four folds, five from all.

    Two members are a little worse than five together, so that the errors are a little too great.

    Attributes:
        fold_of: Of each row, `(rows,)`.
        without: The fold that each network is not shown; four, which is none, for those that see
            all, `(networks,)`.
    """

    fold_of: NDArray[np.intp]
    without: NDArray[np.intp]

    @classmethod
    def of(cls, table: LatencyTable, seed: int) -> Self:
        """The folds of the operators of `table`, and the networks."""
        without = [*np.repeat(np.arange(_FOLDS), _EACH), *[_FOLDS] * _MEMBERS]
        return cls(folds_of(list(table), _FOLDS, seed), np.array(without))

    @property
    def sees_all(self) -> Mask:
        """Which networks are shown every row, `(networks,)`."""
        return np.asarray(self.without == _FOLDS)

    def counts(self, weights: Matrix) -> Matrix:
        """What each row counts for each network, `(rows, networks)`."""
        return np.asarray(weights[:, None] * (self.fold_of[:, None] != self.without))

    def held(self, votes: Matrix) -> Matrix:
        """What the two networks say that were not shown a row, `(rows, 2)`.

        Args:
            votes: By the networks that do not see all, `(rows, networks)`.
        """
        columns = self.fold_of[:, None] * _EACH + np.arange(_EACH)
        return np.take_along_axis(votes, columns, axis=1)
