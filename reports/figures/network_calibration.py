"""Figure: whole networks, sum of operators and calibrated prediction against measurement."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..inputs import ReportInputs
from ..models import CalibrationNetwork
from ..source import Source
from ..statistics import Errors, errors
from ..style import Style, comment, legend_below, panels
from . import ReportFigure, figures

BAND = 0.05


@dataclass(frozen=True)
class Panel:
    """The calibration networks of one model on one device."""

    model: str
    source: Source
    networks: tuple[CalibrationNetwork, ...]

    @property
    def raw(self) -> Errors:
        """Of the sum of the operators."""
        return errors([n.sum_ms for n in self.networks], [n.measured_ms for n in self.networks])

    @property
    def calibrated(self) -> Errors:
        """Of the calibrated prediction, on the networks that the calibration was fitted to."""
        return errors(
            [n.predicted_ms for n in self.networks], [n.measured_ms for n in self.networks]
        )


@figures.register("network_calibration")
class NetworkCalibration(ReportFigure[Panel]):
    """What calibration on whole networks changes."""

    title = "Whole networks: sum of operators and calibrated prediction"
    about = (
        "Hollow: the sum of the predicted operators. Filled: the same after calibration on whole "
        "networks. Bars are the confidence intervals of the measurement; the band is ±5%."
    )
    needs = "No calibrated model was given; calibrate one with: elat calibrate --latency MODEL."
    place = 75

    def collect(self, inputs: ReportInputs) -> tuple[Panel, ...]:
        """A panel a calibrated model, by device and name."""
        found = [Panel(m.name, m.source, m.networks) for m in inputs.models if m.networks]
        return tuple(sorted(found, key=lambda panel: (panel.source.device, panel.model)))

    def sources(self, rows: tuple[Panel, ...]) -> tuple[Source, ...]:
        return tuple(row.source for row in rows)

    def describe(self, rows: tuple[Panel, ...]) -> str:
        """Both mean errors of each model in words."""
        parts = [
            f"{row.model} on {row.source.device} {row.raw.mape:.1%} as a sum and "
            f"{row.calibrated.mape:.1%} calibrated, over {len(row.networks)} networks"
            for row in rows
        ]
        return f"Mean absolute error of whole networks: {'; '.join(parts)}."

    def draw(self, rows: tuple[Panel, ...], style: Style) -> Figure:
        figure, axes = panels(style, len(rows), height_in=3.1, columns=3 if len(rows) > 4 else 2)
        for one, row in zip(axes, rows, strict=True):
            _draw_panel(one, row, style)
        legend_below(figure, style, axes)
        return figure


def _draw_panel(axes: Axes, row: Panel, style: Style) -> None:
    theme = style.theme
    measured = np.array([n.measured_ms for n in row.networks])
    sums = np.array([n.sum_ms for n in row.networks])
    predicted = np.array([n.predicted_ms for n in row.networks])
    low = np.maximum(measured - [n.low_ms for n in row.networks], 0)
    high = np.maximum([n.high_ms for n in row.networks] - measured, 0)
    values = np.concatenate([measured, sums, predicted])
    margin = 0.06 * (values.max() - values.min()) or 0.1 * values.max()
    ends = np.array([max(values.min() - margin, 0), values.max() + margin])
    axes.fill_between(
        ends, ends * (1 - BAND), ends * (1 + BAND), color=theme.muted, alpha=0.18, linewidth=0,
        label="±5%",
    )  # fmt: skip
    axes.plot(ends, ends, color=theme.muted, linewidth=0.9)
    axes.plot(
        measured, sums, "s", markersize=4.5, markerfacecolor="none",
        markeredgecolor=style.accent(1), label="sum of operators",
    )  # fmt: skip
    axes.errorbar(
        measured, predicted, xerr=np.vstack([low, high]), fmt="o", markersize=4.5,
        color=style.accent(0), ecolor=style.accent(0), elinewidth=0.8, markeredgewidth=0,
        label="calibrated",
    )  # fmt: skip
    axes.set(
        title=f"{row.model}, {row.source.device}", xlabel="measured (ms)", ylabel="predicted (ms)",
        xlim=ends, ylim=ends,
    )  # fmt: skip
    comment(
        axes, style,
        f"mean error\nsum {row.raw.mape:.1%}\ncalibrated {row.calibrated.mape:.1%}\n"
        f"{len(row.networks)} networks",
    )  # fmt: skip
