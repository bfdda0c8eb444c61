"""The integer program of a space in which some links must be open, whatever they score."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LinearConstraint
from scipy.sparse import csr_array, hstack

from .bound import Bound
from .expected_latency import ExpectedLatency
from .row_program import SPAN, Program, Rows, minimised


class LinkProgram(Program):
    """One binary `y_nd` an operator of a row, and one `x_l` a choice that is counted.

    Each row has `sum of its x_l = sum d y_nd`, and each set of `SearchSpace.coverage` has `sum of
    its x_l >= 1`. Costs and cuts are of `y`, score and floor of `x`. The choices of given rows are
    those of a second program over `x` alone, in which the numbers open are given: a transport
    problem, so that they have the greatest score also where the first program looked for the
    least cost.
    """

    def __init__(
        self,
        scores: NDArray[np.float64],
        costs: Sequence[ExpectedLatency],
        bounds: Sequence[Bound],
        floor: float | None = None,
    ) -> None:
        space = costs[0].space
        self._given = scores
        self._floor = floor
        self._rows = Rows(costs[0].row_mask.numpy())
        self._counts = _incidence(space.counted(), len(space.options))
        self._covers = _incidence(space.coverage(), len(space.options))
        gains = scores[:, 1] - scores[:, 0]
        span = float(np.abs(gains).max())
        self._loss = -gains / span * SPAN if span > 0 else -gains
        budgets = [self._rows.budget(c, b) for c, b in zip(costs, bounds, strict=True)]
        links = np.zeros(len(gains))
        self._budgets = [(np.concatenate([row, links]), right) for row, right in budgets]
        self._objective = np.concatenate([np.zeros(self._rows.size), self._loss])
        if floor is not None:
            # The score may fall so far from that of all closed: one more budget.
            fall = math.fsum([*scores[:, 0], -floor])
            scale = max(abs(fall), span, np.finfo(float).tiny)
            self._objective = SPAN * self._budgets[0][0]
            row = np.concatenate([np.zeros(self._rows.size), -gains / scale])
            self._budgets.append((row, fall / scale))
        self._cuts: list[NDArray[np.float64]] = []

    def solve(self, slack: float) -> tuple[int, ...] | None:
        one = self._rows.one_each()
        numbers = one.multiply(self._rows.operator[None, :])
        covers = _beside(csr_array((self._covers.shape[0], self._rows.size)), self._covers)
        none = csr_array((self._rows.count, self._counts.shape[1]))
        constraints = [
            LinearConstraint(_beside(one, none), 1, 1),
            LinearConstraint(_beside(-numbers, self._counts), 0, 0),
            LinearConstraint(covers, 1, np.inf),
        ]
        for row, right in self._budgets:
            constraints.append(LinearConstraint(row[None, :], -np.inf, right - slack))
        for cut in self._cuts:
            constraints.append(LinearConstraint(cut[None, :], -np.inf, self._rows.count - 1))
        found = minimised(self._objective, constraints)
        return None if found is None else self._rows.read(found[: self._rows.size])

    def exclude(self, rows: Sequence[int]) -> None:
        self._cuts.append(np.concatenate([self._rows.cut(rows), np.zeros(len(self._loss))]))

    def choices(self, rows: Sequence[int]) -> tuple[int, ...] | None:
        right = np.array(rows, dtype=np.float64)
        constraints = [
            LinearConstraint(self._counts, right, right),
            LinearConstraint(self._covers, 1, np.inf),
        ]
        found = minimised(self._loss, constraints)
        if found is None:
            return None
        choices = tuple(int(value > 0.5) for value in found)
        return choices if self._reaches(choices) else None

    def _reaches(self, choices: Sequence[int]) -> bool:
        """Whether `choices` score at least the floor, but for the rounding of a sum."""
        if self._floor is None:
            return True
        taken = self._given[np.arange(len(choices)), list(choices)]
        rounding = math.ulp(abs(self._floor) + math.fsum(np.abs(taken))) * len(choices)
        return math.fsum(taken) >= self._floor - rounding


def _incidence(sets: Sequence[Sequence[int]], size: int) -> csr_array:
    """`sets size`: 1 where a set has the member."""
    rows = [index for index, members in enumerate(sets) for _ in members]
    columns = [member for members in sets for member in members]
    return csr_array((np.ones(len(rows)), (rows, columns)), (len(sets), size))


def _beside(left: csr_array, right: csr_array) -> csr_array:
    return csr_array(hstack([left, right]))
