"""Comparisons and budgets as grids and as checks for a CI."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..latency.budget import Held, Line
from ..latency.comparison import CaseComparison, Comparison, Verdict
from ..latency.operators import Operator
from .grid import Cell, Column, Grid, decimals_for, number_cell, text_cell
from .junit import Check, Result

Naming = Callable[[Operator], str]

_OF_VERDICT = {
    Verdict.FASTER: Result.PASSED,
    Verdict.SAME: Result.PASSED,
    Verdict.SLOWER: Result.FAILED,
    Verdict.AMBIGUOUS: Result.SKIPPED,
}
_OF_HELD = {
    Held.OK: Result.PASSED,
    Held.OVER: Result.FAILED,
    Held.UNSURE: Result.SKIPPED,
    Held.UNKNOWN: Result.ERROR,
}


def comparison_grid(comparison: Comparison, name: Naming, notes: Sequence[str]) -> Grid:
    """A row a case: both latencies, the difference with its interval, the verdict.

    What was slower comes first, then what was faster, then the undecided, then the same.
    """
    decimals = decimals_for([ms for c in comparison.cases for ms in (c.a_ms, c.b_ms)])
    rank = (Verdict.SLOWER, Verdict.FASTER, Verdict.AMBIGUOUS, Verdict.SAME)
    ordered = sorted(comparison.cases, key=lambda c: (rank.index(c.verdict), -abs(c.effect_log)))
    columns = (
        Column("Case", ("case",), is_number=False),
        Column("A", ("a_ms",), "ms"),
        Column("B", ("b_ms",), "ms"),
        Column("Difference", ("difference",), "%"),
        Column("Interval", ("low", "high"), "%"),
        Column("As timed", ("raw_difference",), "%"),
        Column("q", ("q",)),
        Column("Launches", ("launches_a", "launches_b")),
        Column("Verdict", ("verdict",), is_number=False),
    )
    rows = tuple(
        (
            text_cell(name(case.operator)),
            number_cell(case.a_ms, decimals),
            number_cell(case.b_ms, decimals),
            _percent(case.difference),
            _interval(case),
            _percent(case.raw_difference),
            Cell(f"{case.q:.2g}", (case.q,)),
            Cell(" / ".join(map(str, case.launches)), case.launches),
            text_cell(case.verdict.name),
        )
        for case in ordered
    )
    return Grid(columns, rows, tuple(notes))


def comparison_checks(comparison: Comparison, name: Naming) -> tuple[Check, ...]:
    """SLOWER fails, AMBIGUOUS is skipped, the rest passes; the time is that of B."""
    return tuple(
        Check(
            name(case.operator),
            _OF_VERDICT[case.verdict],
            case.b_ms,
            case.verdict.name,
            f"{case.verdict.name}: {described(case)}",
        )
        for case in comparison.cases
    )


def described(case: CaseComparison) -> str:
    """The two latencies, the difference and its interval, in words."""
    interval = case.interval
    said = "no interval from one launch"
    if interval is not None:
        said = f"{100 * interval[0]:+.2f} to {100 * interval[1]:+.2f} %"
    return (
        f"B takes {case.b_ms:.4g} ms and A {case.a_ms:.4g} ms, a difference of "
        f"{100 * case.difference:+.2f} % ({said}, q = {case.q:.2g})"
    )


def budget_grid(lines: Sequence[Line], notes: Sequence[str]) -> Grid:
    """A row a limit: what was measured, its interval, and whether the limit holds."""
    known = [ms for line in lines for ms in (line.latency_ms, line.limit.limit_ms)]
    decimals = decimals_for(known)
    columns = (
        Column("Case", ("case",), is_number=False),
        Column("Latency", ("latency_ms",), "ms"),
        Column("Interval", ("low_ms", "high_ms"), "ms"),
        Column("Limit", ("limit_ms",), "ms"),
        Column("Margin", ("margin",), "%"),
        Column("Holds", ("held",), is_number=False),
    )
    rows = tuple(
        (
            text_cell(line.limit.name),
            number_cell(line.latency_ms, decimals),
            _span(line, decimals),
            number_cell(line.limit.limit_ms, decimals),
            Cell(f"{100 * line.limit.margin:g}", (line.limit.margin,)),
            text_cell(line.held.name, line.reason),
        )
        for line in lines
    )
    return Grid(columns, rows, tuple(notes))


def budget_checks(lines: Sequence[Line], is_strict: bool) -> tuple[Check, ...]:
    """OVER fails, UNKNOWN is an error, UNSURE is skipped, or fails where `is_strict`."""
    checks = []
    for line in lines:
        result = _OF_HELD[line.held]
        if is_strict and line.held is Held.UNSURE:
            result = Result.FAILED
        message = f"{line.held.name}: {line.reason or _against(line)}"
        check = Check(line.limit.name, result, line.latency_ms, line.held.name, message)
        checks.append(check)
    return tuple(checks)


def _against(line: Line) -> str:
    margin = f" with a margin of {line.limit.margin:.1%}" if line.limit.margin else ""
    return (
        f"{line.latency_ms:.4g} ms ({line.low_ms:.4g} to {line.high_ms:.4g}) against a limit of "
        f"{line.limit.limit_ms:.4g} ms{margin}"
    )


def _percent(share: float) -> Cell:
    return Cell(f"{100 * share:+.2f}", (share,))


def _interval(case: CaseComparison) -> Cell:
    found = case.interval
    if found is None:
        return Cell("—", (None, None))
    return Cell(f"{100 * found[0]:+.2f} to {100 * found[1]:+.2f}", found)


def _span(line: Line, decimals: int) -> Cell:
    if line.low_ms is None or line.high_ms is None:
        return Cell("—", (None, None))
    ends = (line.low_ms, line.high_ms)
    return Cell(f"{ends[0]:.{decimals}f} to {ends[1]:.{decimals}f}", ends)
