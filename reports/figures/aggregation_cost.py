"""Figure: what networks spend on aggregating earlier outputs, and what slices save."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..aggregation import DeviceCosts, Shape
from ..inputs import ReportInputs
from ..source import Source
from ..style import MARKERS, Style, legend_below, panels
from . import ReportFigure, figures

_PARTS = ("join: additions or copies", "batch norm and ReLU", "3x3 convolutions")
# Room behind a full bar for its times, as a share of the bar.
_ROOM = 1.1


@dataclass(frozen=True)
class Bar:
    """One network.

    Attributes:
        shares: Of its parts in the layers' time, in the order of the legend; in [0, 1] but for
            noise, with the sum 1.
        layers_ms: All layers by their parts.
        whole_ms: The whole network as measured, if it could be.
    """

    name: str
    shares: tuple[float, ...]
    layers_ms: float
    whole_ms: float | None

    @property
    def label(self) -> str:
        """The join's share and both times in words."""
        whole = "" if self.whole_ms is None else f" ({self.whole_ms:#.3g})"
        return f"{self.shares[0]:.0%} of {self.layers_ms:#.3g}{whole} ms"


@dataclass(frozen=True)
class Line:
    """How long slices take over copy and convolution: (outputs joined, ratio), ascending."""

    shape: Shape
    points: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Panel:
    """One device: bars for each shape, and lines."""

    source: Source
    bars: tuple[tuple[Shape, tuple[Bar, ...]], ...]
    lines: tuple[Line, ...]


@figures.register("aggregation_cost")
class AggregationCost(ReportFigure[Panel]):
    """Where the time of dense and sparse networks goes, by sum and by concatenation."""

    title = "What aggregation costs"
    about = (
        "Bars: shares of the layers' time, each part timed behind what stands before it and "
        "summed over the layers; beside them the join's share of that time and, in brackets, the "
        "whole network as measured. Below: time of a 1x1 convolution of joined outputs in weight "
        "slices, over that of copying and convolving them; under 1 slices are faster."
    )
    needs = (
        "No cost of aggregation was given; measure it with: elat exam aggregation-cost --device "
        "local-ort --out DIR."
    )
    place = 46

    def collect(self, inputs: ReportInputs) -> tuple[Panel, ...]:
        """A panel a device and file."""
        return tuple(_panel(found) for costs in inputs.aggregations for found in costs.devices)

    def sources(self, rows: tuple[Panel, ...]) -> tuple[Source, ...]:
        return tuple(row.source for row in rows)

    def describe(self, rows: tuple[Panel, ...]) -> str:
        """The join's share of every network in words."""
        parts = []
        for row in rows:
            for shape, bars in row.bars:
                found = ", ".join(f"{bar.name} {bar.shares[0]:.0%}" for bar in bars)
                parts.append(f"{row.source.device}, {shape}: {found}")
        return f"Share of the layers' time that is spent joining outputs. {'; '.join(parts)}."

    def draw(self, rows: tuple[Panel, ...], style: Style) -> Figure:
        depth = max(len(row.bars) for row in rows)
        figure, axes = panels(style, (depth + 1) * len(rows), height_in=2.1, columns=len(rows))
        for column, row in enumerate(rows):
            for level, (shape, bars) in enumerate(row.bars):
                one = axes[level * len(rows) + column]
                _draw_bars(one, bars, style)
                size = f"{shape.layers} layers, {shape.width} x {shape.resolution}²"
                one.set(title=f"{row.source.device}: {size}", xlabel="share of time (%)")
            _draw_lines(axes[depth * len(rows) + column], row, style)
        legend_below(figure, style, axes, columns=3)
        return figure


def _panel(costs: DeviceCosts) -> Panel:
    shapes = dict.fromkeys(network.shape for network in costs.networks)
    bars = tuple(
        (
            shape,
            tuple(
                Bar(
                    network.name,
                    tuple(map(network.share, (network.join, network.norm, network.conv))),
                    network.layers.ms,
                    None if network.whole is None else network.whole.ms,
                )
                for network in costs.networks
                if network.shape == shape
            ),
        )
        for shape in shapes
    )
    lines = tuple(
        Line(
            shape,
            tuple(sorted((s.degree, s.ratio) for s in costs.slices if s.shape == shape)),
        )
        for shape in dict.fromkeys(each.shape for each in costs.slices)
    )
    return Panel(costs.source, bars, lines)


def _draw_bars(axes: Axes, bars: tuple[Bar, ...], style: Style) -> None:
    colours = (style.accent(1), style.accent(0), style.accent(2))
    places = range(len(bars))
    lefts = [0.0] * len(bars)
    for position, (label, colour) in enumerate(zip(_PARTS, colours, strict=True)):
        widths = [max(0.0, bar.shares[position]) for bar in bars]
        axes.barh(places, widths, left=lefts, height=0.66, color=colour, label=label)
        lefts = [left + width for left, width in zip(lefts, widths, strict=True)]
    for place, end, bar in zip(places, lefts, bars, strict=True):
        axes.annotate(
            bar.label, (end, place), xytext=(4, 0), textcoords="offset points", va="center",
            fontsize=7, color=style.theme.ink,
        )  # fmt: skip
    axes.set_yticks(list(places), [bar.name for bar in bars])
    axes.set_ylim(len(bars) - 0.5, -0.5)
    axes.set_xlim(0, 1 + _ROOM)
    axes.set_xticks([0.0, 0.25, 0.5, 0.75, 1.0], ["0", "25", "50", "75", "100"])
    axes.grid(visible=False, axis="y")


def _draw_lines(axes: Axes, row: Panel, style: Style) -> None:
    degrees = sorted({degree for line in row.lines for degree, _ in line.points})
    for position, line in enumerate(row.lines):
        axes.plot(
            *zip(*line.points, strict=True), marker=MARKERS[position % len(MARKERS)],
            color=style.accent(3 + position), markersize=5,
            label=f"slices, {line.shape.width} x {line.shape.resolution}²",
        )  # fmt: skip
    axes.axhline(1.0, color=style.theme.muted, linewidth=0.8, linestyle="--")
    axes.set(
        title=f"{row.source.device}: slices / copy and 1x1", xlabel="outputs joined",
        ylabel="time ratio", xscale="log",
    )  # fmt: skip
    axes.xaxis.set_major_locator(FixedLocator(degrees))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.set_ylim(0, 1.08 * max([1.0, *(ratio for line in row.lines for _, ratio in line.points)]))
