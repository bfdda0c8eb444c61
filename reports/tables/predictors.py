"""Table: errors of latency models on operators that they were not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...latency.methods import METHODS
from ...latency.models.evaluate import CROSS_VALIDATION, HeldOut, HeldOutRow
from ..grid import Cell, Column, Grid, number_cell, text_cell
from ..inputs import ReportInputs
from ..models import ModelFolder
from ..source import Source, distinct
from ..statistics import Errors, relative_errors, spearman
from . import ReportTable, tables

ALL = "all kinds"


@dataclass(frozen=True)
class PredictorRow:
    """Held-out errors of one model on one device, for one kind of operator or all of them.

    Attributes:
        is_predicted: Whether the operators were predicted; else the error is the noise of the
            measurements that a table looks up.
    """

    source: Source
    model: str
    kind: str
    is_predicted: bool
    errors: Errors


@tables.register("predictors")
class Predictors(ReportTable[PredictorRow]):
    """How well each model predicts operators held out when it was fitted."""

    title = "Latency models: error on operators held out"
    about = (
        "Every operator is predicted by a model that was fitted without it. Errors are shares of "
        "the measured latency; the best predicting model of a device in bold."
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
                Column("Count", ("count",)),
                Column("Mean error", ("mape",), "%"),
                Column("Within 5%", ("within_5",), "%"),
                Column("Within 10%", ("within_10",), "%"),
                Column("Spearman ρ", ("spearman",)),
                Column("Error of", ("error_of",), is_number=False),
            ),
            tuple(_cells(row, is_best=row is _best(rows, row.source.device)) for row in rows),
            _notes(rows),
            distinct(row.source for row in rows),
        )


def held_out_errors(held: HeldOut) -> dict[str, Errors]:
    """Errors over all rows, and by kind where there are several.

    Raises:
        ValueError: Nothing was held out.
    """
    is_predicted = held.method == CROSS_VALIDATION
    found = {ALL: _errors(held.rows, is_predicted)}
    kinds = sorted({row.kind for row in held.rows})
    for kind in kinds if len(kinds) > 1 else ():
        found[kind] = _errors([row for row in held.rows if row.kind == kind], is_predicted)
    return found


def _errors(rows: Sequence[HeldOutRow], is_predicted: bool) -> Errors:
    rank = spearman([r.predicted_ms for r in rows], [r.measured_ms for r in rows])
    return relative_errors([r.relative_error for r in rows], rank if is_predicted else None)


def _rows(model: ModelFolder) -> list[PredictorRow]:
    held = model.held_out
    if held is None or not held.rows:
        return []
    is_predicted = held.method == CROSS_VALIDATION
    return [
        PredictorRow(model.source, model.name, kind, is_predicted, found)
        for kind, found in held_out_errors(held).items()
    ]


def _best(rows: Sequence[PredictorRow], device: str) -> PredictorRow | None:
    rivals = [r for r in rows if r.source.device == device and r.kind == ALL and r.is_predicted]
    return min(rivals, key=lambda row: row.errors.mape) if len(rivals) > 1 else None


def _cells(row: PredictorRow, *, is_best: bool) -> tuple[Cell, ...]:
    found = row.errors
    return (
        text_cell(row.source.device),
        text_cell(row.model),
        text_cell(row.kind),
        Cell(str(found.count), (found.count,)),
        Cell(f"{100 * found.mape:.1f}", (found.mape,), is_best=is_best),
        Cell(f"{100 * found.within_5:.0f}", (found.within_5,)),
        Cell(f"{100 * found.within_10:.0f}", (found.within_10,)),
        number_cell(found.spearman, 3),
        text_cell("prediction" if row.is_predicted else "measurement"),
    )


def _notes(rows: Sequence[PredictorRow]) -> tuple[str, ...]:
    notes = []
    if any(not row.is_predicted for row in rows):
        notes.append(
            "Error of measurement: the model looks latencies up and predicts nothing, so what is "
            "shown is the deviation between launches over the mean."
        )
    methods = {row.source.condition.method for row in rows if row.source.condition is not None}
    notes += [
        f"What one entry of the tables is ({method}): {METHODS[method].granularity}."
        for method in sorted(methods)
    ]
    return tuple(notes)
