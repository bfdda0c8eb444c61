"""Table: wirings at the latency of the sparse network: size, accuracy, cost, difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..grid import ABSENT, Cell, Column, Grid, decimals_for, number, number_cell, text_cell
from ..inputs import ReportInputs
from ..source import distinct
from ..wirings import Contrast, WiringGroup, Wirings, contrast_of, groups_of
from . import ReportTable, tables


@dataclass(frozen=True)
class ComparedRow:
    """One wiring at one scale of a study, and how it compares with the sparse networks there."""

    study: Wirings
    group: WiringGroup
    contrast: Contrast | None

    @property
    def bound_ms(self) -> float:
        """The latency that the networks of the scale were to keep."""
        return self.group.rows[0].bound_ms


_Columns = tuple[Column, list[Cell]]


@tables.register("wirings")
class WiringsTable(ReportTable[ComparedRow]):
    """What each wiring reached at each scale, over seeds."""

    title = "Wirings at the same latency"
    about = (
        "A scale is the width of the sparse network, whose upper confidence limit is the bound of "
        "the others; ± is the sample standard deviation over seeds. The difference is that of "
        "mean test accuracies to the sparse networks. Best accuracy of a scale in bold."
    )
    needs = "No study of wirings was given; make one with: elat study CONFIG."
    place = 32

    def collect(self, inputs: ReportInputs) -> tuple[ComparedRow, ...]:
        """A row a scale and wiring, scale by scale."""
        return tuple(
            ComparedRow(study, group, contrast_of(group, study))
            for study in inputs.wirings
            for group in sorted(groups_of(study), key=lambda group: group.scale)
        )

    def lay_out(self, rows: tuple[ComparedRow, ...]) -> Grid:
        """Scale, wiring, accuracy, difference, latency, size, and what learning took."""
        columns: list[_Columns] = [
            *_studies(rows),
            (Column("Scale", ("scale",)), [_count(row.group.scale) for row in rows]),
            (Column("Wiring", ("wiring", "growth"), is_number=False), [*map(_wiring, rows)]),
            _accuracies(rows),
            _differences(rows),
            _latencies(rows),
            _bounds(rows),
            _scaled(rows, "Parameters", "params", "k", lambda g: g.params, 1e3),
            (Column("Links", ("links",)), [number_cell(row.group.links, 0) for row in rows]),
            _scaled(rows, "MACs", "macs", "M", lambda g: g.macs, 1e6),
            (
                Column("Before retraining", ("before_training",), "%"),
                [_percent(row.group.before_training) for row in rows],
            ),
            (
                Column("Search CPU", ("search_cpu_s",), "min"),
                [_minutes(row.group.cpu_s) for row in rows],
            ),
        ]
        return Grid(
            tuple(column for column, _ in columns),
            tuple(zip(*(cells for _, cells in columns), strict=True)),
            _notes(rows),
            distinct(source for row in rows for source in row.study.sources),
        )


def _studies(rows: Sequence[ComparedRow]) -> list[_Columns]:
    titles = [row.study.title for row in rows]
    if len({id(row.study) for row in rows}) < 2:
        return []
    return [(Column("Study", ("study",), is_number=False), [text_cell(title) for title in titles])]


def _wiring(row: ComparedRow) -> Cell:
    growth = row.group.rows[0].growth
    detail = "" if growth == row.group.scale else f"(width {growth})"
    return Cell(str(row.group.wiring), (str(row.group.wiring), growth), detail)


def _latencies(rows: Sequence[ComparedRow]) -> _Columns:
    places = decimals_for((row.group.latency_ms for row in rows), 4)
    cells = []
    for row in rows:
        spread = row.group.latency_spread
        detail = "" if spread is None else f"± {spread:.{places}f}"
        mean = row.group.latency_ms
        cells.append(Cell(number(mean, places), (mean, spread), detail))
    return Column("Latency", ("latency_ms", "latency_ms_std"), "ms"), cells


def _bounds(rows: Sequence[ComparedRow]) -> _Columns:
    places = decimals_for((row.bound_ms for row in rows), 4)
    cells = []
    for row in rows:
        kept, count = row.group.kept, len(row.group.rows)
        detail = f"({number(row.bound_ms, places)} ms)"
        cells.append(Cell(f"{kept} of {count}", (kept, count, row.bound_ms), detail))
    return Column("Within bound", ("within_bound", "networks", "bound_ms")), cells


def _scaled(
    rows: Sequence[ComparedRow],
    title: str,
    name: str,
    unit: str,
    value: Callable[[WiringGroup], float],
    scale: float,
) -> _Columns:
    values = [value(row.group) for row in rows]
    places = decimals_for(each / scale for each in values)
    cells = [Cell(number(each / scale, places), (each,)) for each in values]
    return Column(title, (name,), unit), cells


def _accuracies(rows: Sequence[ComparedRow]) -> _Columns:
    cells = []
    for row in rows:
        rivals = [
            other.group.accuracy
            for other in rows
            if other.study is row.study and other.group.scale == row.group.scale
        ]
        mean, spread = row.group.accuracy, row.group.accuracy_spread
        detail = "(one seed)" if spread is None else f"± {100 * spread:.2f}"
        is_best = len(rivals) > 1 and mean == max(rivals)
        cells.append(Cell(number(100 * mean, 2), (mean, spread), detail, is_best))
    return Column("Test accuracy", ("test_accuracy", "test_accuracy_std"), "%"), cells


def _differences(rows: Sequence[ComparedRow]) -> _Columns:
    fields = ("difference", "difference_low", "difference_high")
    return Column("Difference", fields, "points"), [_difference(row.contrast) for row in rows]


def _difference(found: Contrast | None) -> Cell:
    if found is None:
        return Cell(ABSENT, (None, None, None))
    low, high = found.low, found.high
    detail = "" if low is None or high is None else f"[{low:+.2f}, {high:+.2f}]"
    return Cell(f"{found.points:+.2f}", (found.points, low, high), detail)


def _percent(share: float | None) -> Cell:
    return Cell(ABSENT if share is None else f"{100 * share:.2f}", (share,))


def _minutes(seconds: float | None) -> Cell:
    return Cell(ABSENT if seconds is None else f"{seconds / 60:.1f}", (seconds,))


def _count(value: int) -> Cell:
    return Cell(str(value), (value,))


def _notes(rows: Sequence[ComparedRow]) -> tuple[str, ...]:
    studies = {id(row.study): row.study for row in rows}.values()
    steps = [
        f"{study.title}: every network was trained from scratch for {study.steps} weight steps; "
        f"the exponential rule is that of base {study.base}."
        for study in studies
    ]
    return (
        *steps,
        "A latency without ± is that of one network, which all seeds train.",
        "Brackets after a difference hold its 95% interval by Welch's t test over seeds, each by "
        "itself: of twenty such intervals about one leaves out the true difference.",
        "Within bound: networks whose upper confidence limit is within the bound in latency; the "
        "dense ones with the same parameters were not asked to be.",
        "Before retraining: of learned networks, on validation images with the weights of the "
        "supernet.",
    )
