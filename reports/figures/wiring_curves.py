"""Figure: test accuracy against latency and parameters, a line a wiring over the scales."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..inputs import ReportInputs
from ..source import Source, distinct
from ..style import DASHES, MARKERS, Style, legend_below, panels
from ..wirings import Wiring, WiringGroup, Wirings, groups_of
from . import ReportFigure, figures

Values = tuple[float, ...]


@dataclass(frozen=True)
class Mark:
    """The networks of one wiring at one scale: latencies in ms, parameters, accuracies in %.

    Attributes:
        mean: Of the three.
        spread: Their sample standard deviations; 0 where all networks are one, or there is one.
    """

    scale: int
    latency_ms: Values
    params: Values
    accuracy: Values
    mean: tuple[float, float, float]
    spread: tuple[float, float, float]


@dataclass(frozen=True)
class Line:
    """One wiring: its marks by rising scale."""

    wiring: Wiring
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Panel:
    """One study, which is drawn twice: against latency and against parameters."""

    title: str
    lines: tuple[Line, ...]
    sources: tuple[Source, ...]


@figures.register("wiring_curves")
class WiringCurves(ReportFigure[Panel]):
    """What accuracy each wiring reaches at what latency and with how many parameters."""

    title = "Accuracy of wirings at their latency and parameters"
    about = (
        "A line a wiring over the widths of the study; large marks are means over seeds, with one "
        "standard deviation each way, and small ones the single networks. Higher at the same "
        "place is better."
    )
    needs = "No study of wirings was given; make one with: elat study CONFIG."
    place = 34

    def collect(self, inputs: ReportInputs) -> tuple[Panel, ...]:
        """A panel a study that has networks."""
        return tuple(_panel(study) for study in inputs.wirings if study.rows)

    def sources(self, rows: tuple[Panel, ...]) -> tuple[Source, ...]:
        return distinct(source for row in rows for source in row.sources)

    def describe(self, rows: tuple[Panel, ...]) -> str:
        """Accuracy and latency of every mark in words."""
        parts = []
        for row in rows:
            for line in row.lines:
                marks = (f"{mark.mean[2]:.2f} % at {mark.mean[0]:.3g} ms" for mark in line.marks)
                parts.append(f"{line.wiring} {', '.join(marks)}")
        return f"Mean test accuracy at measured latency: {'; '.join(parts)}."

    def draw(self, rows: tuple[Panel, ...], style: Style) -> Figure:
        figure, axes = panels(style, 2 * len(rows), height_in=3.5)
        for left, right, row in zip(axes[::2], axes[1::2], rows, strict=True):
            _draw_panel(left, row, 0, 1.0, style)
            left.set(title=row.title, xlabel="measured latency (ms)")
            _draw_panel(right, row, 1, 1e3, style)
            right.set(xlabel="parameters (thousands)")
            if style.is_narrow:
                right.set(title=row.title)
            else:
                right.sharey(left)
        for one in axes:
            one.set_ylabel("test accuracy (%)")
        legend_below(figure, style, axes)
        return figure


def _panel(study: Wirings) -> Panel:
    found: dict[Wiring, list[Mark]] = {}
    for group in groups_of(study):
        found.setdefault(group.wiring, []).append(_mark(group))
    lines = tuple(Line(wiring, tuple(marks)) for wiring, marks in found.items())
    return Panel(study.title, lines, study.sources)


def _mark(group: WiringGroup) -> Mark:
    return Mark(
        group.scale,
        tuple(row.measured.latency_ms for row in group.rows),
        tuple(float(row.params) for row in group.rows),
        tuple(100 * row.test_accuracy for row in group.rows),
        (group.latency_ms, group.params, 100 * group.accuracy),
        (
            group.latency_spread or 0.0,
            group.params_spread or 0.0,
            100 * (group.accuracy_spread or 0.0),
        ),
    )


def _draw_panel(axes: Axes, row: Panel, quantity: int, unit: float, style: Style) -> None:
    """Accuracy against `quantity`, 0 for latency and 1 for parameters, in units of `unit`."""
    for line in row.lines:
        position = list(Wiring).index(line.wiring)
        shape, colour = MARKERS[position % len(MARKERS)], style.accent(position)
        for mark in line.marks:
            values = (mark.latency_ms, mark.params)[quantity]
            axes.plot(
                [x / unit for x in values], mark.accuracy, shape, color=colour, alpha=0.4,
                markersize=3.5, markeredgewidth=0, zorder=3,
            )  # fmt: skip
        places = [mark.mean[quantity] / unit for mark in line.marks]
        heights = [mark.mean[2] for mark in line.marks]
        axes.errorbar(
            places, heights, xerr=[mark.spread[quantity] / unit for mark in line.marks],
            yerr=[mark.spread[2] for mark in line.marks], fmt="none", ecolor=colour,
            elinewidth=1.0, capsize=2, zorder=4,
        )  # fmt: skip
        axes.plot(
            places, heights, marker=shape, linestyle=DASHES[position % len(DASHES)], color=colour,
            markersize=6.5, markeredgecolor=style.theme.surface, markeredgewidth=0.7,
            linewidth=1.3, zorder=5, label=str(line.wiring),
        )  # fmt: skip
    axes.margins(0.08)
