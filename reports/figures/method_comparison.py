"""Figure: sums over operators by each way to time them, against measured networks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ..inputs import ReportInputs
from ..method_comparison import MethodComparison
from ..source import Source
from ..style import MARKERS, Style, legend_below, panels
from . import ReportFigure, figures


@dataclass(frozen=True)
class Line:
    """One method: the ratio of its sum to each measured network, and its errors in [0, 1].

    Attributes:
        plain: Mean absolute error of the sums; None where no sum is known.
        calibrated: The same after calibration, each network left out; None where none fits.
        spearman: Rank correlation of sums and measured networks.
    """

    name: str
    ratios: tuple[float, ...]
    plain: float | None
    calibrated: float | None
    spearman: float | None


@dataclass(frozen=True)
class Panel:
    """One device and space."""

    source: Source
    space: str
    ceiling: float
    lines: tuple[Line, ...]

    @property
    def title(self) -> str:
        return f"{self.source.device}, {self.space}"


@figures.register("method_comparison")
class MethodComparisonFigure(ReportFigure[Panel]):
    """How the latencies of operators add up to networks, by the way in which they were timed."""

    title = "Do operators add up to networks?"
    about = (
        "Left: sum over a network's operators over its measured time, a dot a random network, the "
        "bar their mean; 1 is right. Right: mean absolute error of the plain sum, and of the sum "
        "calibrated on the other networks. Dashed: the best sum of one number an operator that a "
        "fit to these networks finds."
    )
    needs = (
        "No comparison of methods was given; make it with: elat compare-methods --device "
        "local-ort --space proxyless-tiny --out DIR."
    )
    place = 43

    def collect(self, inputs: ReportInputs) -> tuple[Panel, ...]:
        """A panel a comparison, methods in their order."""
        return tuple(map(_panel, inputs.methods))

    def sources(self, rows: tuple[Panel, ...]) -> tuple[Source, ...]:
        return tuple(row.source for row in rows)

    def describe(self, rows: tuple[Panel, ...]) -> str:
        """Every method's two errors in words."""
        parts = []
        for row in rows:
            found = "; ".join(
                f"{line.name} {_percent(line.plain)} plain, {_percent(line.calibrated)} calibrated"
                for line in row.lines
            )
            parts.append(f"{row.title}: {found}; best additive fit {_percent(row.ceiling)}")
        return f"Mean error of sums over operators against networks. {'. '.join(parts)}."

    def draw(self, rows: tuple[Panel, ...], style: Style) -> Figure:
        height_in = 0.75 + 0.27 * max(len(row.lines) for row in rows)
        figure, axes = panels(style, 2 * len(rows), height_in=height_in)
        for position, row in enumerate(rows):
            _draw_ratios(axes[2 * position], row, style)
            _draw_errors(axes[2 * position + 1], row, style)
        legend_below(figure, style, axes, columns=5)
        return figure


def _panel(comparison: MethodComparison) -> Panel:
    lines = []
    for mark in comparison.marks:
        errors = comparison.errors(mark)
        lines.append(
            Line(
                str(mark.method).replace("_", " "),
                comparison.ratios(mark),
                None if errors is None else errors.mape,
                mark.calibrated,
                None if errors is None else errors.spearman,
            )
        )
    return Panel(comparison.source, comparison.space, comparison.ceiling, tuple(lines))


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _draw_ratios(axes: Axes, row: Panel, style: Style) -> None:
    for place, line in enumerate(row.lines):
        if not line.ratios:
            continue
        # A fixed pattern of heights keeps dots apart; a random one would differ from file to file.
        heights = [place + 0.26 * math.sin(2.4 * index) for index in range(len(line.ratios))]
        axes.scatter(
            line.ratios, heights, s=8, color=style.accent(0), alpha=0.5, linewidths=0,
            label="a network",
        )  # fmt: skip
        mean = sum(line.ratios) / len(line.ratios)
        axes.plot(
            [mean, mean], [place - 0.38, place + 0.38], color=style.theme.ink, linewidth=1.8,
            label="mean",
        )  # fmt: skip
    axes.axvline(1.0, color=style.theme.muted, linewidth=0.8)
    axes.set(title=row.title, xlabel="sum of operators / network")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    _name_lines(axes, row)


def _draw_errors(axes: Axes, row: Panel, style: Style) -> None:
    """Both errors of each method on a logarithmic axis, joined by a line, and in figures."""
    for place, line in enumerate(row.lines):
        known = [100 * e for e in (line.plain, line.calibrated) if e is not None]
        if not known:
            continue
        axes.plot(known, [place] * len(known), color=style.theme.muted, linewidth=1.0, zorder=1)
        for value, label, colour, marker in (
            (line.plain, "plain sum", style.accent(1), MARKERS[0]),
            (line.calibrated, "calibrated", style.accent(2), MARKERS[1]),
        ):
            if value is not None:
                axes.plot(
                    [100 * value], [place], marker=marker, color=colour, markersize=5.5,
                    linestyle="none", label=label,
                )  # fmt: skip
        axes.annotate(
            f"{_figure(line.plain)} → {_figure(line.calibrated)}", (max(known), place),
            xytext=(6, 0), textcoords="offset points", va="center", fontsize=7,
            color=style.theme.ink,
        )  # fmt: skip
    axes.axvline(
        100 * row.ceiling, color=style.theme.ink, linewidth=0.9, linestyle="--",
        label="best additive fit",
    )  # fmt: skip
    axes.set(title="", xlabel="mean absolute error (%)", xscale="log")
    # Room for the figures behind the largest error.
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * 3.0)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    _name_lines(axes, row)


def _figure(share: float | None) -> str:
    if share is None:
        return "?"
    return f"{100 * share:.0f}" if share >= 0.0995 else f"{100 * share:.1f}"


def _name_lines(axes: Axes, row: Panel) -> None:
    axes.set_yticks(range(len(row.lines)), [line.name for line in row.lines])
    axes.set_ylim(len(row.lines) - 0.5, -0.5)
