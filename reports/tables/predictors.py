"""Table: errors of latency models on operators that they were not fitted to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ...latency.table import GRANULARITY
from ..grid import Cell, Column, Grid, number_cell, text_cell
from ..inputs import ReportInputs
from ..models import HeldOutPoint, ModelFolder
from ..source import Source, distinct
from ..statistics import Errors, errors
from . import ReportTable, tables

ALL = "all kinds"


@dataclass(frozen=True)
class PredictorRow:
    """Held-out errors of one model on one device, for one kind of operator or all of them."""

    source: Source
    model: str
    kind: str
    errors: Errors


@tables.register("predictors")
class Predictors(ReportTable[PredictorRow]):
    """How well each model predicts operators held out when it was fitted."""

    title = "Latency models: error on operators held out"
    about = (
        "Every operator is predicted by a model that was fitted without it. Errors are of the "
        "measured latency; best mean error over all kinds of a device in bold."
    )
    needs = "No latency model with a held-out error was given; fit one with: elat fit."
    place = 65

    def collect(self, inputs: ReportInputs) -> tuple[PredictorRow, ...]:
        """For each model all kinds first, then each kind of operator."""
        ordered = sorted(inputs.models, key=lambda m: (m.device, m.name))
        return tuple(row for model in ordered for row in _rows(model))

    def lay_out(self, rows: tuple[PredictorRow, ...]) -> Grid:
        """A row a device, model and kind."""
        return Grid(
            (
                Column("Device", ("device",), is_number=False),
                Column("Model", ("model",), is_number=False),
                Column("Operators", ("kind",), is_number=False),
                Column("Held out", ("count",)),
                Column("Mean error", ("mape",), "%"),
                Column("Bias", ("bias",), "%"),
                Column("Within 5 %", ("within_5",), "%"),
                Column("Within 10 %", ("within_10",), "%"),
                Column("Spearman ρ", ("spearman",)),
            ),
            tuple(_cells(row, is_best=row is _best(rows, row.source.device)) for row in rows),
            _notes(rows),
            distinct(row.source for row in rows),
        )


def _rows(model: ModelFolder) -> list[PredictorRow]:
    if not model.held_out:
        return []
    groups: dict[str, list[HeldOutPoint]] = defaultdict(list)
    for point in model.held_out:
        groups[point.kind].append(point)
    parts = [(ALL, list(model.held_out)), *sorted(groups.items())]
    return [
        PredictorRow(
            model.source,
            model.name,
            kind,
            errors([p.predicted_ms for p in points], [p.measured_ms for p in points]),
        )
        for kind, points in (parts if len(groups) > 1 else parts[:1])
    ]


def _best(rows: Sequence[PredictorRow], device: str) -> PredictorRow | None:
    rivals = [row for row in rows if row.source.device == device and row.kind == ALL]
    return min(rivals, key=lambda row: row.errors.mape) if len(rivals) > 1 else None


def _cells(row: PredictorRow, *, is_best: bool) -> tuple[Cell, ...]:
    found = row.errors
    return (
        text_cell(row.source.device),
        text_cell(row.model),
        text_cell(row.kind),
        Cell(str(found.count), (found.count,)),
        Cell(f"{100 * found.mape:.1f}", (found.mape,), is_best=is_best),
        Cell(f"{100 * found.bias:+.1f}", (found.bias,)),
        Cell(f"{100 * found.within_5:.0f}", (found.within_5,)),
        Cell(f"{100 * found.within_10:.0f}", (found.within_10,)),
        number_cell(found.spearman, 3),
    )


def _notes(rows: Sequence[PredictorRow]) -> tuple[str, ...]:
    methods = {row.source.condition.method for row in rows if row.source.condition is not None}
    return tuple(
        f"What one entry of the tables is ({method}): {GRANULARITY[method]}."
        for method in sorted(methods)
    )
