"""The best architecture within the bounds: integer programs, solved exactly by HiGHS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, InfeasibleError
from .architecture import Architecture
from .bound import Bound
from .expected_latency import ExpectedLatency
from .link_program import LinkProgram
from .row_program import Program, RowProgram

# HiGHS accepts a row that exceeds its right side by 1e-6; rows are scaled to about 1.
_SLACK = 2e-6
_CUTS_BEFORE_TIGHTENING = 50


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
    the solutions differ in these numbers, and `polish.swaps` moves links between them. Where the
    space has a `coverage`, the best links of a layer may leave an output unread: each link is then
    a binary of its own (`LinkProgram`), and each solution the best wiring of its numbers in which
    all is read. "Best" is within 1e-9 of the widest difference of scores, the solver's gap.

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
    found = _best(scores, costs, bounds, count)
    # The solver's order is that of the scores to its tolerance only, or to its time limit.
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
    row, exact to the solver's tolerance of 1e-6 of the scores' span. Where the space has a
    `coverage`, the score of each solution is summed once more and none is below `floor`, but for
    the rounding of that sum.

    Raises:
        ConfigError: A score is not finite, or there is no cost.
        InfeasibleError: No architecture within all bounds scores so much.
    """
    return _best(scores, costs, bounds, count, floor)


def _best(
    scores: NDArray[np.float64],
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    count: int,
    floor: float | None = None,
) -> tuple[Projected, ...]:
    given = _checked(scores, costs)
    program = _program(given, costs, bounds, floor)
    found: list[Projected] = []
    slipped = 0
    while len(found) < count:
        rows = program.solve(slack=_SLACK if slipped >= _CUTS_BEFORE_TIGHTENING else 0.0)
        if rows is None:
            break
        program.exclude(rows)
        choices = program.choices(rows)
        if choices is not None and all(
            b.allows(c.of_choices(choices)) for c, b in zip(costs, bounds, strict=True)
        ):
            architecture = Architecture(costs[0].space.name, choices)
            score = float(sum(given[place, choice] for place, choice in enumerate(choices)))
            found.append(Projected(architecture, score))
        else:
            slipped += 1
    if not found:
        raise InfeasibleError(_nothing(costs, bounds))
    return tuple(found)


def _checked(scores: NDArray[np.float64], costs: Sequence[ExpectedLatency]) -> NDArray[np.float64]:
    if not costs:
        raise ConfigError("A projection needs the costs of the space, one for each bound.")
    given = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(given[costs[0].mask.numpy()]).all():
        raise ConfigError("A score of the projection is not a finite number.")
    return given


def _program(
    scores: NDArray[np.float64],
    costs: Sequence[ExpectedLatency],
    bounds: Sequence[Bound],
    floor: float | None,
) -> Program:
    if costs[0].space.coverage():
        return LinkProgram(scores, costs, bounds, floor)
    return RowProgram(scores, costs, bounds, floor)


def _nothing(costs: Sequence[ExpectedLatency], bounds: Sequence[Bound]) -> str:
    asked = ", ".join(f"{b.limit:g} {b.unit} on {b.name}" for b in bounds)
    fastest = ", ".join(f"{c.of(c.fastest()):g} {c.unit} on {c.name}" for c in costs)
    return (
        f"No architecture of {costs[0].space.name} stays within {asked} at once; "
        f"the fastest takes {fastest}, each by another architecture. Raise a bound."
    )
