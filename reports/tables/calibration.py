"""Table: whole networks, the raw sum of operators against the calibrated prediction."""

from __future__ import annotations

from dataclasses import dataclass

from ..grid import Cell, Column, Grid, number_cell, text_cell
from ..inputs import ReportInputs
from ..source import Source, distinct
from ..statistics import Errors, affine_left_out, errors
from . import ReportTable, tables


@dataclass(frozen=True)
class CalibrationRow:
    """Errors of one model on whole networks.

    Attributes:
        raw: Of the sum of predicted operators.
        calibrated: Of the calibrated prediction, on the networks it was fitted to.
        left_out: Of a straight line from sum to measurement, each network predicted by a line
            fitted without it; None for fewer than four networks.
    """

    source: Source
    model: str
    space: str
    raw: Errors
    calibrated: Errors
    left_out: Errors | None


@tables.register("calibration")
class CalibrationTable(ReportTable[CalibrationRow]):
    """How far whole networks are from the sum of their operators, before and after calibration."""

    title = "Whole networks: before and after calibration"
    about = (
        "Networks drawn at random from the space and measured whole. Calibrated errors are on the "
        "networks that the calibration was fitted to; left out: each network predicted by a "
        "straight line from sum to latency that was fitted without it."
    )
    needs = "No calibrated model was given; calibrate one with: elat calibrate --latency MODEL."
    place = 72

    def collect(self, inputs: ReportInputs) -> tuple[CalibrationRow, ...]:
        """A row a calibrated model, by device and name."""
        rows = []
        for model in sorted(inputs.models, key=lambda m: (m.device, m.name)):
            if not model.calibration:
                continue
            measured = [n.measured_ms for n in model.calibration]
            sums = [n.sum_ms for n in model.calibration]
            line = affine_left_out(sums, measured)
            rows.append(
                CalibrationRow(
                    model.source,
                    model.name,
                    model.space,
                    errors(sums, measured),
                    errors([n.predicted_ms for n in model.calibration], measured),
                    None if line is None else errors(line, measured),
                )
            )
        return tuple(rows)

    def lay_out(self, rows: tuple[CalibrationRow, ...]) -> Grid:
        """Mean error, bias and rank correlation before and after."""
        raw, after = "Sum of operators", "Calibrated"
        return Grid(
            (
                Column("Device", ("device",), is_number=False),
                Column("Model", ("model",), is_number=False),
                Column("Networks", ("count",)),
                Column("Mean error", ("sum_mape",), "%", raw),
                Column("Bias", ("sum_bias",), "%", raw),
                Column("Spearman ρ", ("sum_spearman",), "", raw),
                Column("Mean error", ("calibrated_mape",), "%", after),
                Column("Left out", ("left_out_mape",), "%", after),
                Column("Bias", ("calibrated_bias",), "%", after),
                Column("Within 5 %", ("calibrated_within_5",), "%", after),
            ),
            tuple(_cells(row) for row in rows),
            (),
            distinct(row.source for row in rows),
        )


def _cells(row: CalibrationRow) -> tuple[Cell, ...]:
    raw, after, left = row.raw, row.calibrated, row.left_out
    return (
        text_cell(row.source.device),
        text_cell(row.model),
        Cell(str(raw.count), (raw.count,)),
        Cell(f"{100 * raw.mape:.1f}", (raw.mape,)),
        Cell(f"{100 * raw.bias:+.1f}", (raw.bias,)),
        number_cell(raw.spearman, 3),
        Cell(f"{100 * after.mape:.1f}", (after.mape,)),
        Cell("—", (None,)) if left is None else Cell(f"{100 * left.mape:.1f}", (left.mape,)),
        Cell(f"{100 * after.bias:+.1f}", (after.bias,)),
        Cell(f"{100 * after.within_5:.0f}", (after.within_5,)),
    )
