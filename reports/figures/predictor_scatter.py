"""Figure: operators that a model had not seen, predicted against measured, a panel a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from ...latency.models.evaluate import CROSS_VALIDATION, HeldOutRow
from ..inputs import ReportInputs
from ..source import Source
from ..statistics import Errors, errors
from ..style import MARKERS, Style, comment, legend_below, panels
from . import ReportFigure, figures

BAND = 0.10
# Above this many points the dots are drawn as pixels, so that the page stays small.
_VECTOR_POINTS = 1500


@dataclass(frozen=True)
class Panel:
    """Held-out predictions of one model on one device, with their errors over all kinds."""

    model: str
    source: Source
    points: tuple[HeldOutRow, ...]

    @property
    def errors(self) -> Errors:
        return errors([p.predicted_ms for p in self.points], [p.measured_ms for p in self.points])


@figures.register("predictor_scatter")
class PredictorScatter(ReportFigure[Panel]):
    """How well latency models predict operators they were not fitted to."""

    title = "Predicted against measured operators"
    about = (
        "Every point is an operator that was held out when the model was fitted. On the line the "
        "prediction is exact; the band is ±10%. Both axes are logarithmic."
    )
    needs = "No latency model with a held-out error was given; fit one with: elat fit."
    place = 70

    def collect(self, inputs: ReportInputs) -> tuple[Panel, ...]:
        """A panel a model that has held-out predictions, by device and name."""
        found = [
            Panel(m.name, m.source, m.held_out.rows)
            for m in inputs.models
            if m.held_out and m.held_out.method == CROSS_VALIDATION and m.held_out.rows
        ]
        return tuple(sorted(found, key=lambda panel: (panel.source.device, panel.model)))

    def sources(self, rows: tuple[Panel, ...]) -> tuple[Source, ...]:
        return tuple(row.source for row in rows)

    def describe(self, rows: tuple[Panel, ...]) -> str:
        """The mean error of each model in words."""
        parts = [
            f"{row.model} on {row.source.device} {row.errors.mape:.1%} over {row.errors.count}"
            for row in rows
        ]
        return f"Mean absolute error of operators held out: {'; '.join(parts)}."

    def draw(self, rows: tuple[Panel, ...], style: Style) -> Figure:
        figure, axes = panels(style, len(rows), height_in=3.1, columns=3 if len(rows) > 4 else 2)
        kinds = sorted({point.kind for row in rows for point in row.points})
        for one, row in zip(axes, rows, strict=True):
            _draw_panel(one, row, kinds, style)
        legend_below(figure, style, axes)
        return figure


def _draw_panel(axes: Axes, row: Panel, kinds: list[str], style: Style) -> None:
    values = [v for p in row.points for v in (p.predicted_ms, p.measured_ms) if v > 0]
    ends = np.array([min(values) / 1.25, max(values) * 1.25])
    axes.fill_between(
        ends, ends * (1 - BAND), ends * (1 + BAND), color=style.theme.muted, alpha=0.18,
        linewidth=0, label="±10%",
    )  # fmt: skip
    axes.plot(ends, ends, color=style.theme.muted, linewidth=0.9)
    for position, kind in enumerate(kinds):
        points = [p for p in row.points if p.kind == kind]
        axes.plot(
            [p.measured_ms for p in points], [p.predicted_ms for p in points],
            MARKERS[position % len(MARKERS)], color=style.accent(position), markersize=4,
            alpha=0.75, markeredgewidth=0, label=kind,
            rasterized=len(row.points) > _VECTOR_POINTS,
        )  # fmt: skip
    axes.set(
        title=f"{row.model}, {row.source.device}", xlabel="measured (ms)", ylabel="predicted (ms)",
        xscale="log", yscale="log", xlim=ends, ylim=ends,
    )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=_steps(ends), numticks=6))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    found = row.errors
    rank = "" if found.spearman is None else f"\nSpearman ρ = {found.spearman:.3f}"
    comment(
        axes, style,
        f"mean error {found.mape:.1%}\nwithin 5%: {found.within_5:.0%}\n"
        f"within 10%: {found.within_10:.0%}{rank}",
    )  # fmt: skip


def _steps(ends: NDArray[np.float64]) -> tuple[float, ...]:
    """Ticks in a decade: few where there are many decades, so that labels keep clear."""
    decades = np.log10(ends[1] / ends[0])
    return (1.0, 2.0, 5.0) if decades < 2.0 else (1.0,)
