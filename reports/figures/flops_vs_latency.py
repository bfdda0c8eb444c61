"""Figure: MACs against measured latency of whole networks, a panel a device."""

from __future__ import annotations

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...search.result import MeasuredLatency
from ..inputs import ReportInputs
from ..networks import networks
from ..source import Source
from ..statistics import kendall, spearman
from ..style import MARKERS, Style, comment, legend_below, panels
from . import ReportFigure, figures


@dataclass(frozen=True)
class Point:
    """A network's MACs and latency, with its interval; `label` is empty for sampled ones."""

    label: str
    macs: int
    latency_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class Panel:
    """One device: networks sampled from the space, and the searched ones.

    The rank correlations are of the sampled networks alone: searched ones are no fair sample.
    """

    source: Source
    sampled: tuple[Point, ...]
    searched: tuple[Point, ...]

    @property
    def spearman(self) -> float | None:
        return spearman([p.macs for p in self.sampled], [p.latency_ms for p in self.sampled])

    @property
    def kendall(self) -> float | None:
        return kendall([p.macs for p in self.sampled], [p.latency_ms for p in self.sampled])


@figures.register("flops_vs_latency")
class FlopsVsLatency(ReportFigure[Panel]):
    """How well multiply-adds rank networks by what they take."""

    title = "MACs are not latency"
    about = (
        "Grey: networks drawn at random from the space, measured whole. Coloured: the searched "
        "networks. If MACs decided latency, the points would lie on one rising curve."
    )
    needs = "No whole networks were measured; measure some with: elat calibrate --latency MODEL."
    place = 40

    def collect(self, inputs: ReportInputs) -> tuple[Panel, ...]:
        """A panel a measuring condition that has a network of known MACs, by device."""
        sources: dict[str, Source] = {}
        sampled: dict[str, dict[tuple[int, ...], Point]] = {}
        searched: dict[str, list[Point]] = {}
        for model in inputs.models:
            for network in model.networks:
                if network.macs is not None:
                    key = str(model.source)
                    sources.setdefault(key, model.source)
                    point = Point(
                        "", network.macs, network.measured_ms, network.low_ms, network.high_ms
                    )
                    sampled.setdefault(key, {})[network.choices] = point
        for row in networks(inputs):
            for found in row.latencies:
                source = Source.of(found.origin, found.condition)
                sources.setdefault(str(source), source)
                searched.setdefault(str(source), []).append(_searched(row.label, row.macs, found))
        return tuple(
            Panel(
                source,
                tuple(sampled.get(key, {}).values()),
                tuple(searched.get(key, [])),
            )
            for key, source in sorted(sources.items(), key=lambda item: item[1].device)
        )

    def sources(self, rows: tuple[Panel, ...]) -> tuple[Source, ...]:
        return tuple(row.source for row in rows)

    def describe(self, rows: tuple[Panel, ...]) -> str:
        """The rank correlations of each device in words."""
        parts = [
            f"{row.source.device}: Spearman {row.spearman:.2f}, Kendall {row.kendall:.2f} "
            f"over {len(row.sampled)} sampled networks"
            for row in rows
            if row.spearman is not None and row.kendall is not None
        ]
        ranks = f"Rank correlation of MACs with latency. {'; '.join(parts)}." if parts else ""
        return f"MACs against measured latency of whole networks. {ranks}".strip()

    def draw(self, rows: tuple[Panel, ...], style: Style) -> Figure:
        figure, axes = panels(style, len(rows), height_in=3.0)
        labels = list(dict.fromkeys(point.label for row in rows for point in row.searched))
        for one, row in zip(axes, rows, strict=True):
            _draw_panel(one, row, labels, style)
        legend_below(figure, style, axes)
        return figure


def _searched(label: str, macs: int, found: MeasuredLatency) -> Point:
    return Point(label, macs, found.latency_ms, found.low_ms, found.high_ms)


def _draw_panel(axes: Axes, row: Panel, labels: list[str], style: Style) -> None:
    axes.plot(
        [p.macs / 1e6 for p in row.sampled], [p.latency_ms for p in row.sampled], "o",
        color=style.theme.muted, alpha=0.55, markersize=4, markeredgewidth=0,
        label="sampled from the space",
    )  # fmt: skip
    for point in row.searched:
        position = labels.index(point.label)
        below, above = point.latency_ms - point.low_ms, point.high_ms - point.latency_ms
        axes.errorbar(
            [point.macs / 1e6], [point.latency_ms], [[max(below, 0)], [max(above, 0)]],
            fmt=MARKERS[position % len(MARKERS)], color=style.accent(position), markersize=8,
            markeredgecolor=style.theme.surface, elinewidth=1.2, capsize=2.5, zorder=5,
            label=point.label,
        )  # fmt: skip
    axes.set(title=row.source.device, xlabel="MACs (M)", ylabel="measured latency (ms)")
    axes.set_xlim(left=0)
    # Room above the points for the correlations.
    axes.set_ylim(0, 1.35 * max(p.high_ms for p in (*row.sampled, *row.searched)))
    if row.spearman is not None and row.kendall is not None:
        comment(
            axes, style,
            f"Spearman ρ = {row.spearman:.2f}\nKendall τ = {row.kendall:.2f}\n"
            f"{len(row.sampled)} sampled networks",
        )  # fmt: skip
