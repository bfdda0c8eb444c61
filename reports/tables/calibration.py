"""Table: whole networks, the raw sum of operators against the calibrated prediction."""

from __future__ import annotations

from dataclasses import dataclass

from ...latency.additive_fit import AdditiveFit
from ...latency.calibration import Calibration
from ..grid import ABSENT, Cell, Column, Grid, number_cell, text_cell
from ..inputs import ReportInputs
from ..models import ModelFolder, additive_yardstick
from ..source import Source, distinct
from ..statistics import Errors, errors
from . import ReportTable, tables


@dataclass(frozen=True)
class CalibrationRow:
    """Errors of one model on whole networks.

    Attributes:
        raw: Of the sum of predicted operators; None where the networks were not recorded.
        calibrated: Of the calibrated prediction, on the networks it was fitted to.
        additive: Of a sum of one latency a choice that is fitted to the same networks alone.
    """

    source: Source
    model: str
    calibration: Calibration
    raw: Errors | None
    calibrated: Errors | None
    additive: AdditiveFit | None


@tables.register("calibration")
class CalibrationTable(ReportTable[CalibrationRow]):
    """How far whole networks are from the sum of their operators, before and after calibration."""

    title = "Whole networks: before and after calibration"
    about = (
        "Networks drawn at random from the space and measured whole. Left out: every network "
        "predicted by a calibration fitted without it. Fitted sum: one latency a choice, fitted "
        "by ridge regression to these networks alone, each left out in turn; what the networks "
        "tell without any measured operator."
    )
    needs = "No calibrated model was given; calibrate one with: elat calibrate --latency MODEL."
    place = 72

    def collect(self, inputs: ReportInputs) -> tuple[CalibrationRow, ...]:
        """A row a calibrated model, by device and name."""
        ordered = sorted(inputs.models, key=lambda m: (m.device, m.name))
        return tuple(
            _row(model, model.calibration) for model in ordered if model.calibration is not None
        )

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
                Column("Within 5%", ("calibrated_within_5",), "%", after),
                Column("Fitted sum", ("additive_left_out_mape",), "%"),
                Column("Form", ("form",), is_number=False),
            ),
            tuple(_cells(row) for row in rows),
            tuple(_formula(row) for row in rows),
            distinct(row.source for row in rows),
        )


def _row(model: ModelFolder, calibration: Calibration) -> CalibrationRow:
    measured = [n.measured_ms for n in model.networks]
    raw = errors([n.sum_ms for n in model.networks], measured) if measured else None
    after = errors([n.predicted_ms for n in model.networks], measured) if measured else None
    yardstick = additive_yardstick(model.networks)
    return CalibrationRow(model.source, model.name, calibration, raw, after, yardstick)


def _cells(row: CalibrationRow) -> tuple[Cell, ...]:
    found, raw, after = row.calibration, row.raw, row.calibrated
    return (
        text_cell(row.source.device),
        text_cell(row.model),
        Cell(str(found.networks), (found.networks,)),
        _percent(found.mape_before),
        Cell(ABSENT, (None,)) if raw is None else Cell(f"{100 * raw.bias:+.1f}", (raw.bias,)),
        number_cell(None if raw is None else raw.spearman, 3),
        _percent(found.mape_after),
        _percent(found.loo_mape),
        _percent(None if after is None else after.within_5, 0),
        _percent(None if row.additive is None else row.additive.loo_mape),
        text_cell(found.form),
    )


def _percent(share: float | None, decimals: int = 1) -> Cell:
    return Cell(ABSENT if share is None else f"{100 * share:.{decimals}f}", (share,))


def _formula(row: CalibrationRow) -> str:
    c = row.calibration
    terms = [f"{c.slope:.4g} × sum"]
    if c.intercept_ms:
        terms.append(_signed(c.intercept_ms, "ms"))
    if c.per_operator_ms:
        terms.append(_signed(c.per_operator_ms, "ms × operators"))
    if c.correction is not None:
        terms.append("+ a correction of each operator")
    return f"{row.model} on {row.source.device}: latency = {' '.join(terms)}."


def _signed(value: float, unit: str) -> str:
    return f"{'+' if value >= 0 else '−'} {abs(value):.4g} {unit}"
