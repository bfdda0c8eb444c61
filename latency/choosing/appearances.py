"""How often the networks that matter hold each operator, and each two of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Appearances:
    """First and second moments of the number of times that a random network holds operators.

    Attributes:
        mean: Of the number, `(operators,)`.
        together: Mean of the product of the numbers of two, `(operators, operators)`.
    """

    mean: Vector
    together: Vector

    @classmethod
    def of_networks(cls, counts: Vector) -> Self:
        """The moments over some networks.

        Args:
            counts: How often each network holds each operator, `(networks, operators)`.
        """
        return cls(counts.mean(axis=0), counts.T @ counts / len(counts))

    @classmethod
    def of_rows(
        cls,
        operators: Sequence[Operator],
        rows: Sequence[Sequence[Operator | None]],
        probabilities: Vector,
        fixed: Sequence[Operator],
    ) -> Self:
        """The moments over networks that take one operator of each row, rows independent: exact.

        Args:
            operators: That take time; what is none of them is not counted.
            rows: The operators of each; None where nothing is executed.
            probabilities: Of these, `(rows, widest row)`.
            fixed: What every network holds.
        """
        place = {operator: index for index, operator in enumerate(operators)}
        mean = np.zeros(len(operators))
        np.add.at(mean, [place[o] for o in fixed if o in place], 1.0)
        covariance = np.zeros((len(operators), len(operators)))
        for row, chances in zip(rows, probabilities, strict=True):
            own = np.zeros(len(operators))
            for operator, chance in zip(row, chances, strict=False):
                if operator in place:
                    own[place[operator]] += chance
            mean += own
            covariance += np.diag(own) - np.outer(own, own)
        return cls(mean, covariance + np.outer(mean, mean))
