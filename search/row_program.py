"""The integer programs of a projection: one binary an operator of a row, solved by HiGHS."""

from __future__ import annotations

import logging
import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from .bound import Bound
from .expected_latency import ExpectedLatency

# HiGHS stops at an absolute gap of 1e-6, which is 1e-9 of scores that span this much.
SPAN = 1e3
# Scores exactly proportional to the costs make it a subset-sum problem, which can take for ever.
_TIME_LIMIT_S = 120.0
_TIME_IS_UP = 1

logger = logging.getLogger(__name__)

Budget = tuple[NDArray[np.float64], float]


class Program(ABC):
    """An integer program over the rows of a space, and the cuts added so far."""

    @abstractmethod
    def solve(self, slack: float) -> tuple[int, ...] | None:
        """The best operators left, one a row, or None if there are none.

        Budgets shrink by `slack`.
        """

    @abstractmethod
    def exclude(self, rows: Sequence[int]) -> None:
        """Forbid exactly these operators of the rows in all later solutions."""

    @abstractmethod
    def choices(self, rows: Sequence[int]) -> tuple[int, ...] | None:
        """The choices of greatest score that give `rows`; None where that is below the floor."""


class Rows:
    """One binary for every operator that a network may execute, row by row.

    Attributes:
        row: Of each binary.
        operator: Of each binary, counted within its row.
        count: How many rows there are.
    """

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self.row, self.operator = np.nonzero(mask)
        self.count = mask.shape[0]
        self._mask = mask
        pairs = zip(self.row.tolist(), self.operator.tolist(), strict=True)
        self._column = {pair: index for index, pair in enumerate(pairs)}

    @property
    def size(self) -> int:
        """How many binaries there are."""
        return len(self.operator)

    def of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of each binary its value in `rows operators`."""
        return values[self._mask]

    def one_each(self) -> csr_array:
        """The matrix that counts the operators of each row."""
        entries = (np.ones(self.size), (self.row, np.arange(self.size)))
        return csr_array(entries, (self.count, self.size))

    def budget(self, cost: ExpectedLatency, bound: Bound) -> Budget:
        """Row and right side of one bound, with each row's least cost taken off both."""
        values = self.of(cost.cost.numpy())
        least = np.full(self.count, np.inf)
        np.minimum.at(least, self.row, values)
        extra = values - least[self.row]
        room = math.fsum([bound.limit, -float(cost.fixed), *-least])
        # An architecture that meets the bound exactly must survive the rounding of this sum.
        room += 4 * math.ulp(max(bound.limit, *np.abs(values)))
        scale = max(abs(room), float(extra.max()), 1e-9 * bound.limit)
        return extra / scale, room / scale

    def cut(self, rows: Sequence[int]) -> NDArray[np.float64]:
        """The left side that is `count` for exactly these operators, and less for all others."""
        row = np.zeros(self.size)
        row[[self._column[pair] for pair in enumerate(rows)]] = 1
        return row

    def read(self, x: NDArray[np.float64]) -> tuple[int, ...]:
        """The operator of each row in a solution."""
        chosen = np.full(self.count, -1)
        best = np.full(self.count, -1.0)
        for index, value in enumerate(x):
            if value > best[self.row[index]]:
                best[self.row[index]] = value
                chosen[self.row[index]] = self.operator[index]
        return tuple(int(operator) for operator in chosen)


class RowProgram(Program):
    """One binary an operator; the best choices of given rows can be told row by row."""

    def __init__(
        self,
        scores: NDArray[np.float64],
        costs: Sequence[ExpectedLatency],
        bounds: Sequence[Bound],
        floor: float | None = None,
    ) -> None:
        self._space = costs[0].space
        self._given = scores
        self._rows = Rows(costs[0].row_mask.numpy())
        utilities = self._rows.of(self._space.row_scores(scores))
        # Only differences within a row matter: shifting each row to a maximum of 0 and scaling
        # the widest to a fixed span keeps the solver's absolute tolerances meaningful.
        top = np.full(self._rows.count, -np.inf)
        np.maximum.at(top, self._rows.row, utilities)
        shifted = utilities - top[self._rows.row]
        span = float(-shifted.min())
        self._objective = -shifted / span * SPAN if span > 0 else -shifted
        self._budgets = [self._rows.budget(c, b) for c, b in zip(costs, bounds, strict=True)]
        if floor is not None:
            # The score may fall so far from its greatest: one more budget; the cost is at stake.
            fall = float(top.sum()) - floor
            scale = max(abs(fall), span, np.finfo(float).tiny)
            self._objective = SPAN * self._budgets[0][0]
            self._budgets.append((-shifted / scale, fall / scale))
        self._cuts: list[NDArray[np.float64]] = []

    def solve(self, slack: float) -> tuple[int, ...] | None:
        constraints = [LinearConstraint(self._rows.one_each(), 1, 1)]
        for row, right in self._budgets:
            constraints.append(LinearConstraint(row[None, :], -np.inf, right - slack))
        for cut in self._cuts:
            constraints.append(LinearConstraint(cut[None, :], -np.inf, self._rows.count - 1))
        found = minimised(self._objective, constraints)
        return None if found is None else self._rows.read(found)

    def exclude(self, rows: Sequence[int]) -> None:
        self._cuts.append(self._rows.cut(rows))

    def choices(self, rows: Sequence[int]) -> tuple[int, ...] | None:
        return self._space.from_rows(rows, self._given)


def minimised(
    objective: NDArray[np.float64], constraints: Sequence[LinearConstraint]
) -> NDArray[np.float64] | None:
    """The binaries of least `objective` within the constraints, or None if there are none."""
    with _silenced():
        result = milp(
            objective,
            integrality=np.ones(len(objective)),
            bounds=Bounds(0, 1),
            constraints=constraints,
            options={"mip_rel_gap": 0.0, "time_limit": _TIME_LIMIT_S},
        )
    if result.x is None:
        return None
    if result.status == _TIME_IS_UP:
        logger.warning(
            "The projection was not proven optimal within %g s; the best found is taken.",
            _TIME_LIMIT_S,
        )
    return np.asarray(result.x)


@contextmanager
def _silenced() -> Iterator[None]:
    """Keeps what HiGHS prints in spite of its options out of standard output."""
    sys.stdout.flush()
    kept = os.dup(1)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
