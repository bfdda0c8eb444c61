"""Figure: latency on one device against latency on another, network by network."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...search.result import MeasuredLatency
from ..inputs import ReportInputs
from ..networks import Network, networks
from ..source import Source
from ..statistics import kendall, spearman
from ..style import MARKERS, Style, comment, legend_below, panels
from . import ReportFigure, figures

MAX_PANELS = 3


@dataclass(frozen=True)
class Searched:
    """A searched network measured on both devices."""

    label: str
    first: MeasuredLatency
    second: MeasuredLatency


@dataclass(frozen=True)
class Pair:
    """Two devices, networks sampled from a space and measured on both, and the searched ones.

    Attributes:
        sampled: `(latency on the first, latency on the second)` in milliseconds.
        bounds_ms: The searched bound on each device, where there is just one.
    """

    first: Source
    second: Source
    sampled: tuple[tuple[float, float], ...]
    searched: tuple[Searched, ...]
    bounds_ms: tuple[float | None, float | None]

    @property
    def spearman(self) -> float | None:
        return spearman(*self._columns)

    @property
    def kendall(self) -> float | None:
        return kendall(*self._columns)

    @property
    def _columns(self) -> tuple[list[float], list[float]]:
        return [a for a, _ in self.sampled], [b for _, b in self.sampled]


@figures.register("cross_device")
class CrossDevice(ReportFigure[Pair]):
    """How a network's latency on one device tells that on another."""

    title = "One device against another"
    about = (
        "A network left of the cloud is fast on the first device for what it takes on the second. "
        "Thin lines are the bounds that were searched under."
    )
    needs = "No network was measured on two devices; do it with: elat verify RUN --device D."
    place = 50

    def collect(self, inputs: ReportInputs) -> tuple[Pair, ...]:
        """A pair of devices for each two that at least two networks were measured on both of."""
        rows = networks(inputs)
        sources = _sources(inputs, rows)
        found = []
        for first, second in combinations(sorted(sources), 2):
            sampled = _sampled(inputs, first, second)
            searched = _searched(rows, first, second)
            if len(sampled) + len(searched) >= 2:
                bounds = (_bound(rows, first), _bound(rows, second))
                found.append(Pair(sources[first], sources[second], sampled, searched, bounds))
        found.sort(key=lambda pair: -len(pair.sampled) - len(pair.searched))
        return tuple(found[:MAX_PANELS])

    def sources(self, rows: tuple[Pair, ...]) -> tuple[Source, ...]:
        return tuple(source for row in rows for source in (row.first, row.second))

    def describe(self, rows: tuple[Pair, ...]) -> str:
        """The rank correlations between devices in words."""
        parts = [
            f"{row.first.device} and {row.second.device}: Spearman {row.spearman:.2f} "
            f"over {len(row.sampled)} sampled networks"
            for row in rows
            if row.spearman is not None
        ]
        ranks = f"Rank correlation of {'; '.join(parts)}." if parts else ""
        return f"Measured latency of whole networks on two devices. {ranks}".strip()

    def draw(self, rows: tuple[Pair, ...], style: Style) -> Figure:
        height = 3.4 if len(rows) > 1 or style.is_narrow else 3.9
        figure, axes = panels(style, len(rows), height_in=height)
        labels = list(dict.fromkeys(network.label for row in rows for network in row.searched))
        for one, row in zip(axes, rows, strict=True):
            _draw_pair(one, row, labels, style)
        legend_below(figure, style, axes)
        return figure


def _sources(inputs: ReportInputs, rows: tuple[Network, ...]) -> dict[str, Source]:
    found = {m.device: m.source for m in inputs.models if m.networks}
    for row in rows:
        found.update({source.device: source for source in row.sources})
    return found


def _sampled(inputs: ReportInputs, first: str, second: str) -> tuple[tuple[float, float], ...]:
    by_device: dict[str, dict[tuple[str, tuple[int, ...]], float]] = {first: {}, second: {}}
    for model in inputs.models:
        if model.device in by_device:
            for network in model.networks:
                key = (model.space, network.choices)
                by_device[model.device][key] = network.measured_ms
    shared = sorted(by_device[first].keys() & by_device[second].keys())
    return tuple((by_device[first][key], by_device[second][key]) for key in shared)


def _searched(rows: tuple[Network, ...], first: str, second: str) -> tuple[Searched, ...]:
    return tuple(
        Searched(row.label, a, b)
        for row in rows
        if (a := row.on(first)) is not None and (b := row.on(second)) is not None
    )


def _bound(rows: tuple[Network, ...], device: str) -> float | None:
    bounds = {row.bound_ms for row in rows if row.target == device}
    return bounds.pop() if len(bounds) == 1 else None


def _draw_pair(axes: Axes, row: Pair, labels: list[str], style: Style) -> None:
    theme = style.theme
    axes.plot(
        [a for a, _ in row.sampled], [b for _, b in row.sampled], "o", color=theme.muted,
        alpha=0.55, markersize=4, markeredgewidth=0, label="sampled from the space",
    )  # fmt: skip
    for network in row.searched:
        position = labels.index(network.label)
        axes.errorbar(
            [network.first.latency_ms], [network.second.latency_ms],
            xerr=_bars(network.first), yerr=_bars(network.second),
            fmt=MARKERS[position % len(MARKERS)], color=style.accent(position), markersize=8,
            markeredgecolor=theme.surface, elinewidth=1.2, capsize=2.5, zorder=5,
            label=network.label,
        )  # fmt: skip
    for bound, line in zip(row.bounds_ms, (axes.axvline, axes.axhline), strict=True):
        if bound is not None:
            line(bound, color=theme.ink, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(
        xlabel=f"latency on {row.first.device} (ms)",
        ylabel=f"latency on {row.second.device} (ms)",
    )
    if row.spearman is not None and row.kendall is not None:
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.25 * (high - low))  # room above the points for the text
        comment(
            axes, style,
            f"Spearman ρ = {row.spearman:.2f}\nKendall τ = {row.kendall:.2f}\n"
            f"{len(row.sampled)} sampled networks",
        )  # fmt: skip


def _bars(found: MeasuredLatency) -> list[list[float]]:
    below, above = found.latency_ms - found.low_ms, found.high_ms - found.latency_ms
    return [[max(below, 0.0)], [max(above, 0.0)]]
