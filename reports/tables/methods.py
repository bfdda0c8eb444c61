"""Table: sums over operators by each way to time them, against measured networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...latency.methods import METHODS
from ..grid import Cell, Column, Grid, best_index, number_cell, text_cell
from ..inputs import ReportInputs
from ..method_comparison import MethodComparison, MethodMark
from ..source import distinct
from ..statistics import Errors
from . import ReportTable, tables

_ERROR = "Mean absolute error"


@dataclass(frozen=True)
class MethodRow:
    """One method of one comparison."""

    comparison: MethodComparison
    mark: MethodMark

    @property
    def errors(self) -> Errors | None:
        return self.comparison.errors(self.mark)


@tables.register("methods")
class Methods(ReportTable[MethodRow]):
    """How the latencies of operators add up to networks, by the way in which they were timed."""

    title = "Ways to time operators"
    about = (
        "Sums over operators against whole networks measured in the same rounds: ratio of sum to "
        "network with its standard deviation between networks; error of the plain sum, and after "
        "calibration on the other networks; rank correlation; what the method cost."
    )
    needs = (
        "No comparison of methods was given; make it with: elat compare-methods --device "
        "local-ort --space proxyless-tiny --out DIR."
    )
    place = 42

    def collect(self, inputs: ReportInputs) -> tuple[MethodRow, ...]:
        """A row a method, in the order of the comparisons."""
        return tuple(
            MethodRow(comparison, mark)
            for comparison in inputs.methods
            for mark in comparison.marks
        )

    def lay_out(self, rows: tuple[MethodRow, ...]) -> Grid:
        """Where, by what method, ratio, errors, rank, cost; the best of each device marked."""
        columns: list[tuple[Column, list[Cell]]] = [
            (
                Column("Device", ("device",), is_number=False),
                [text_cell(row.comparison.source.device) for row in rows],
            ),
            (
                Column("Space", ("space",), is_number=False),
                [text_cell(row.comparison.space) for row in rows],
            ),
            (
                Column("Method", ("method",), is_number=False),
                [text_cell(str(row.mark.method)) for row in rows],
            ),
            (Column("Sum / network", ("ratio_mean", "ratio_std")), list(map(_ratio, rows))),
            (
                Column("Plain", ("mape_percent",), "%", _ERROR),
                _ranked(rows, lambda row: None if row.errors is None else 100 * row.errors.mape),
            ),
            (
                Column("Calibrated", ("calibrated_percent",), "%", _ERROR),
                _ranked(
                    rows,
                    lambda row: None if row.mark.calibrated is None else 100 * row.mark.calibrated,
                ),
            ),
            (
                Column("Rank ρ", ("spearman",)),
                [number_cell(None if r.errors is None else r.errors.spearman, 3) for r in rows],
            ),
            (Column("Models", ("cases",)), [_count(row.mark.cases) for row in rows]),
            (Column("Profiles", ("profiles",)), [_count(row.mark.profiles) for row in rows]),
            (
                Column("Time", ("busy_min",), "min"),
                [number_cell(row.mark.busy_s / 60, 1) for row in rows],
            ),
        ]
        return Grid(
            tuple(column for column, _ in columns),
            tuple(zip(*(cells for _, cells in columns), strict=True)),
            _notes(rows),
            distinct(row.comparison.source for row in rows),
        )


def _ratio(row: MethodRow) -> Cell:
    errors, spread = row.errors, row.comparison.spread(row.mark)
    if errors is None:
        return Cell(number_cell(None, 3).text, (None, None))
    detail = "" if spread is None else f"±{spread:.3f}"
    return Cell(f"{1 + errors.bias:.3f}", (1 + errors.bias, spread), detail)


def _ranked(rows: tuple[MethodRow, ...], value: Callable[[MethodRow], float | None]) -> list[Cell]:
    """The values with one decimal, two where small, the least of each comparison marked."""
    best = set()
    for comparison in dict.fromkeys(row.comparison for row in rows):
        places = [i for i, row in enumerate(rows) if row.comparison == comparison]
        found = best_index(value(rows[i]) for i in places)
        if found is not None:
            best.add(places[found])
    return [number_cell(value(row), 2, is_best=i in best) for i, row in enumerate(rows)]


def _notes(rows: tuple[MethodRow, ...]) -> tuple[str, ...]:
    notes = []
    for comparison in dict.fromkeys(row.comparison for row in rows):
        where = f"{comparison.source.device}, {comparison.space}"
        notes.append(
            f"{where}: {len(comparison.networks)} random networks, protocol "
            f"{comparison.protocol}; the best sum of one number an operator that a fit to these "
            f"networks finds errs by {comparison.ceiling:.2%}, each network left out."
        )
        notes += [
            f"{where}, {mark.method}: no latency of {len(mark.missing)} operators, "
            f"{mark.missing[0]} among them; networks that hold one have no sum."
            for mark in comparison.marks
            if mark.missing
        ]
    methods = dict.fromkeys(row.mark.method for row in rows)
    notes += [f"{method}: {METHODS[method].granularity}." for method in methods]
    return tuple(notes)


def _count(value: int) -> Cell:
    return Cell(str(value), (value,))
