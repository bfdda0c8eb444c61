"""What `elat measure --check-budget` adds: measure, print and write, and fail where it must."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .console import print_table, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..flows.budgets import Budget, BudgetReport
    from ..flows.measuring import Campaign
    from ..latency.measure import Progress


def read(run: Campaign, path: Path, space: str | None) -> Budget:
    """The budget at `path`, before anything is measured."""
    from ..flows.budgets import read_budget
    from ..search.spaces import find_space

    found = None if space is None else find_space(space)
    return read_budget(path, run.condition.method, found)


def checked(
    run: Campaign, budget: Budget, draw: Callable[[Iterator[Progress], str], dict[str, int]]
) -> tuple[BudgetReport, dict[str, int]]:
    """Measure what `budget` is about; the report, and counts of what was done."""
    from ..flows.budgets import check_budget, measure_budget

    counts = draw(measure_budget(run, budget), f"{run.device.id} budget")
    return check_budget(run, budget), counts


def written(
    report: BudgetReport, is_strict: bool, junit: Path | None, markdown: Path | None
) -> dict[str, Any]:
    """The report for machines; it is written in the formats that have a path."""
    from ..flows.verdicts import budget_json, write_budget

    write_budget(report, is_strict, junit, markdown)
    return budget_json(report)


def print_report(report: BudgetReport) -> None:
    """The budget as a table on standard output, and its condition on standard error."""
    from ..flows.verdicts import budget_table

    grid = budget_table(report)
    heads = [column.head for column in grid.columns]
    right = [i for i, column in enumerate(grid.columns) if column.is_number]
    rows = [[cell.text for cell in row] for row in grid.rows]
    print_table("Latency budget", heads, rows, right=right)
    for note in grid.notes:
        say(note)


def fail_over_budget(report: BudgetReport, is_strict: bool) -> None:
    """End with an error where a limit is not held.

    Raises:
        CheckError: A limit is passed, or with `is_strict` undecided.
        MeasurementError: Something could not be measured.
    """
    from ..core.errors import CheckError, MeasurementError
    from ..latency.budget import Held

    bad = [Held.OVER, Held.UNSURE] if is_strict else [Held.OVER]
    if broken := [line for line in report.lines if line.held in bad]:
        names = ", ".join(line.limit.name for line in broken)
        raise CheckError(f"{len(broken)} of {len(report.lines)} limits are not held: {names}.")
    if unknown := [line for line in report.lines if line.held is Held.UNKNOWN]:
        raise MeasurementError(
            f"{len(unknown)} of {len(report.lines)} limits could not be checked; the first: "
            f"{unknown[0].limit.name}: {unknown[0].reason}"
        )
