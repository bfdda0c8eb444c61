"""The best architecture within the bounds: multiple-choice knapsack, solved exactly by HiGHS."""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from ..core.errors import ConfigError, InfeasibleError
from .architecture import Architecture
from .bound import Bound
from .expected_latency import ExpectedLatency

# HiGHS stops at an absolute gap of 1e-6, which is 1e-9 of scores that span this much.
_SPAN = 1e3
# HiGHS accepts a row that exceeds its right side by 1e-6; rows are scaled to about 1.
_SLACK = 2e-6
_CUTS_BEFORE_TIGHTENING = 50
# Scores exactly proportional to the costs make it a subset-sum problem, which can take for ever.
_TIME_LIMIT_S = 120.0
_TIME_IS_UP = 1

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Projected:
    """An architecture within every bound, and the sum of the scores of its choices."""

    architecture: Architecture
    score: float


def project(
    scores: NDArray[np.float64],
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    count: int = 1,
) -> tuple[Projected, ...]:
    """The `count` architectures of greatest score within every bound, the best first.

    Maximises `sum u_lj z_lj` over binary `z` with one operator a row of the space and `fixed +
    sum c_lj z_lj <= limit` for every bound. Each solution, and each that only the solver's
    tolerance let in, is excluded by the cut `sum of its z <= rows - 1`; whether an architecture is
    within a bound is decided by the exactly rounded sum of `ExpectedLatency.of`, never by the
    solver. Where a row is how many links a layer reads, `u_ln` is the sum of its `n` best links:
    the solutions differ in these numbers, and `polish.swaps` moves links between them. Where no
    link is kept, `from_rows` may have to move some so that all outputs are read: the solutions are
    then good ones, in the order of what they score after that, and not proven the best.

    Args:
        scores: `choices options`; what stands in the padding does not count.
        costs: One for each bound, in the same order, all of one space.
        bounds: At least one.
        count: How many architectures are wanted.

    Returns:
        Fewer than `count` where fewer architectures are within the bounds.

    Raises:
        ConfigError: A score is not finite, or there is no cost.
        InfeasibleError: No architecture is within all bounds together.
    """
    found = _best(_Program(scores, costs, bounds), costs, bounds, count)
    return tuple(sorted(found, key=lambda projected: -projected.score))


def project_fastest(
    scores: NDArray[np.float64],
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    floor: float,
    count: int = 1,
) -> tuple[Projected, ...]:
    """The `count` architectures of least `costs[0]` that score at least `floor`, least cost first.

    As `project`, with score and first cost changing places: `sum u_lj z_lj >= floor` is one more
    row, exact to the solver's tolerance of 1e-6 of the scores' span.

    Raises:
        ConfigError: A score is not finite, or there is no cost.
        InfeasibleError: No architecture within all bounds scores so much.
    """
    return _best(_Program(scores, costs, bounds, floor), costs, bounds, count)


def _best(
    program: _Program, costs: Sequence[ExpectedLatency], bounds: Sequence[Bound], count: int
) -> tuple[Projected, ...]:
    found: list[Projected] = []
    slipped = 0
    while len(found) < count:
        rows = program.solve(slack=_SLACK if slipped >= _CUTS_BEFORE_TIGHTENING else 0.0)
        if rows is None:
            break
        program.exclude(rows)
        choices = program.choices(rows)
        if all(b.allows(c.of_choices(choices)) for c, b in zip(costs, bounds, strict=True)):
            architecture = Architecture(costs[0].space.name, choices)
            found.append(Projected(architecture, program.score(choices)))
        else:
            slipped += 1
    if not found:
        raise InfeasibleError(_nothing(costs, bounds))
    return tuple(found)


class _Program:
    """The integer program over the rows of the space, and the cuts added so far."""

    def __init__(
        self,
        scores: NDArray[np.float64],
        costs: Sequence[ExpectedLatency],
        bounds: Sequence[Bound],
        floor: float | None = None,
    ) -> None:
        if not costs:
            raise ConfigError("A projection needs the costs of the space, one for each bound.")
        self._space = costs[0].space
        mask = costs[0].row_mask.numpy()
        self._row, self._operator = np.nonzero(mask)
        pairs = zip(self._row.tolist(), self._operator.tolist(), strict=True)
        self._column = {pair: index for index, pair in enumerate(pairs)}
        self._rows = mask.shape[0]
        self._given = np.asarray(scores, dtype=np.float64)
        if not np.isfinite(self._given[costs[0].mask.numpy()]).all():
            raise ConfigError("A score of the projection is not a finite number.")
        utilities = self._space.row_scores(self._given)[mask]
        # Only differences within a row matter: shifting each row to a maximum of 0 and scaling
        # the widest to a fixed span keeps the solver's absolute tolerances meaningful.
        top = np.full(self._rows, -np.inf)
        np.maximum.at(top, self._row, utilities)
        shifted = utilities - top[self._row]
        span = float(-shifted.min())
        self._objective = -shifted / span * _SPAN if span > 0 else -shifted
        self._budgets = [self._budget(c, b, mask) for c, b in zip(costs, bounds, strict=True)]
        if floor is not None:
            # The score may fall so far from its greatest: one more budget; the cost is at stake.
            fall = float(top.sum()) - floor
            scale = max(abs(fall), span, np.finfo(float).tiny)
            self._objective = _SPAN * self._budgets[0][0]
            self._budgets.append((-shifted / scale, fall / scale))
        self._cuts: list[tuple[int, ...]] = []

    def _budget(
        self, cost: ExpectedLatency, bound: Bound, mask: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], float]:
        """Row and right side of one bound, with each row's least cost taken off both."""
        values = cost.cost.numpy()[mask]
        least = np.full(self._rows, np.inf)
        np.minimum.at(least, self._row, values)
        extra = values - least[self._row]
        room = math.fsum([bound.limit, -float(cost.fixed), *-least])
        # An architecture that meets the bound exactly must survive the rounding of this sum.
        room += 4 * math.ulp(max(bound.limit, *np.abs(values)))
        scale = max(abs(room), float(extra.max()), 1e-9 * bound.limit)
        return extra / scale, room / scale

    def choices(self, rows: Sequence[int]) -> tuple[int, ...]:
        """The choices of greatest score that give `rows`."""
        return self._space.from_rows(rows, self._given)

    def score(self, choices: Sequence[int]) -> float:
        """Sum of the given scores of `choices`."""
        return float(sum(self._given[place, choice] for place, choice in enumerate(choices)))

    def exclude(self, rows: Sequence[int]) -> None:
        """Forbid exactly these operators of the rows in all later solutions."""
        self._cuts.append(self._columns(rows))

    def solve(self, slack: float) -> tuple[int, ...] | None:
        """The best operators left, one a row, or None if there are none.

        Budgets shrink by `slack`.
        """
        size = len(self._operator)
        one = csr_array((np.ones(size), (self._row, np.arange(size))), (self._rows, size))
        constraints = [LinearConstraint(one, 1, 1)]
        for row, right in self._budgets:
            constraints.append(LinearConstraint(row[None, :], -np.inf, right - slack))
        for cut in self._cuts:
            row = np.zeros(size)
            row[list(cut)] = 1
            constraints.append(LinearConstraint(row[None, :], -np.inf, self._rows - 1))
        with _silenced():
            result = milp(
                self._objective,
                integrality=np.ones(size),
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
        chosen = np.full(self._rows, -1)
        best = np.full(self._rows, -1.0)
        for index, value in enumerate(result.x):
            if value > best[self._row[index]]:
                best[self._row[index]] = value
                chosen[self._row[index]] = self._operator[index]
        return tuple(int(operator) for operator in chosen)

    def _columns(self, rows: Sequence[int]) -> tuple[int, ...]:
        return tuple(self._column[row, operator] for row, operator in enumerate(rows))


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


def _nothing(costs: Sequence[ExpectedLatency], bounds: Sequence[Bound]) -> str:
    asked = ", ".join(f"{b.limit:g} {b.unit} on {b.name}" for b in bounds)
    fastest = ", ".join(f"{c.of(c.fastest()):g} {c.unit} on {c.name}" for c in costs)
    return (
        f"No architecture of {costs[0].space.name} stays within {asked} at once; "
        f"the fastest takes {fastest}, each by another architecture. Raise a bound."
    )
