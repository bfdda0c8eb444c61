"""Figure: what families of networks cost and how far gradients travel in them, against depth.

Counted in built networks, the closed forms as thin lines behind; of no run, and so no part of
`elat report`: `elat topology --figure FILE` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ...core.errors import ConfigError
from ...latency.operators.aggregate import How
from ...search.aggregation.analysis import (
    expected_aggregated,
    expected_longest_path,
    expected_parameters,
)
from ...search.aggregation.counting import count
from ...search.aggregation.wiring import Family, Wiring
from ..style import MARKERS, Style, footer, headline, panels

LEAST_DEPTH = 4
_LINES = (
    (Family.PLAIN, How.SUM),
    (Family.RESIDUAL, How.SUM),
    (Family.DENSE, How.CONCAT),
    (Family.SPARSE, How.SUM),
    (Family.SPARSE, How.CONCAT),
)
_DASH = 5.0
_MARK = 7.5
# Least distance of two labels, as a share of a panel's height.
_GAP = 0.075


class Count(NamedTuple):
    """What one network has."""

    depth: int
    parameters: float
    path: float
    aggregated: float
    traffic_mb: float


class Expected(NamedTuple):
    """What closed forms give for one depth."""

    depth: int
    parameters: float
    path: float
    aggregated: float


class Line(NamedTuple):
    """One family."""

    label: str
    counts: tuple[Count, ...]
    expected: tuple[Expected, ...]


class Growth(NamedTuple):
    """All families at one width and resolution."""

    width: int
    base: int
    resolution: int
    lines: tuple[Line, ...]


def collect(most: int, *, base: int = 2, width: int = 16, resolution: int = 32) -> Growth:
    """Counts of built networks of 4, 8, 16 ... layers up to `most`, of every family.

    Raises:
        ConfigError: `most` is less than 8, or a size is out of range.
    """
    depths = [2**k for k in range(2, most.bit_length()) if 2**k <= most]
    if len(depths) < 2:
        raise ConfigError(f"The figure needs 8 layers at least, found {most}.")
    between = sorted({round(LEAST_DEPTH * 2 ** (k / 12)) for k in range(12 * len(depths) - 11)})
    lines = []
    for family, how in _LINES:
        wirings = {n: Wiring(family, n, base, width, how, resolution) for n in between}
        lines.append(
            Line(
                wirings[depths[0]].name.replace(f" base {base}", ""),
                tuple(_count(wirings[depth]) for depth in depths),
                tuple(_expected(wiring) for wiring in wirings.values()),
            )
        )
    return Growth(width, base, resolution, tuple(lines))


def _count(wiring: Wiring) -> Count:
    found = count(wiring.name, wiring.network())
    topology = found.topology
    return Count(
        wiring.layers,
        found.parameters,
        topology.longest_shortest_path,
        topology.aggregated[-1],
        found.traffic_bytes / 1e6,
    )


def _expected(wiring: Wiring) -> Expected:
    return Expected(
        wiring.layers,
        expected_parameters(wiring),
        expected_longest_path(wiring),
        expected_aggregated(wiring),
    )


def draw(info: Growth, style: Style) -> Figure:
    """A panel a quantity, against depth; both scales are logarithmic."""
    figure, axes = panels(style, 4, height_in=2.75)
    titles = (
        ("parameters", "Parameters", "parameters"),
        ("path", "Longest shortest gradient path", "links"),
        ("aggregated", "Outputs that the last layer reads", "outputs"),
        ("traffic_mb", "Memory traffic of one image", "MB (float32)"),
    )
    for one, (field, title, unit) in zip(axes, titles, strict=True):
        _draw_panel(one, info, field, style)
        one.set(title=title, xlabel="layers", ylabel=unit)
    headline(figure, "What layers aggregate, and what it costs")
    footer(
        figure,
        style,
        [
            f"Marks: counted in built networks of {info.width} channels at {info.resolution} x "
            f"{info.resolution} pixels, one 3x3 a layer, sparse with base {info.base}. Grey: "
            "closed forms. Where lines coincide their dashes alternate."
        ],
    )
    return figure


def _draw_panel(axes: Axes, info: Growth, field: str, style: Style) -> None:
    if field in Expected._fields:
        for line in info.lines:
            depths = [each.depth for each in line.expected]
            values = [getattr(each, field) for each in line.expected]
            axes.plot(depths, values, color=style.theme.muted, linewidth=0.6, alpha=0.7)
    groups = _coinciding(info.lines, field)
    for group in groups:
        for turn, position in enumerate(group):
            _draw_line(axes, info.lines[position], field, position, (turn, len(group)), style)
    depths = [count.depth for count in info.lines[0].counts]
    axes.set(xscale="log", yscale="log")
    axes.set_xlim(depths[0] / 1.15, depths[-1] * 1.15)
    axes.xaxis.set_major_locator(FixedLocator(depths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(_short))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=axes.get_ylim()[0] / 1.1)
    _name(axes, info.lines, field, groups, style)


def _coinciding(lines: Sequence[Line], field: str) -> list[list[int]]:
    """Numbers of lines, those together that are the same everywhere."""
    found: dict[tuple[float, ...], list[int]] = {}
    for position, line in enumerate(lines):
        key = tuple(getattr(count, field) for count in line.counts)
        found.setdefault(key, []).append(position)
    return list(found.values())


def _draw_line(
    axes: Axes, line: Line, field: str, position: int, turn: tuple[int, int], style: Style
) -> None:
    """A line; as number `turn[0]` of `turn[1]` that coincide its dashes leave room for theirs."""
    number, of = turn
    dashes = "-" if of == 1 else (_DASH * number, (_DASH, _DASH * (of - 1)))
    axes.plot(
        [count.depth for count in line.counts], [getattr(count, field) for count in line.counts],
        color=style.accent(position), linestyle=dashes, linewidth=1.5, zorder=3,
    )  # fmt: skip
    # Of marks on one another the first is the largest, and all but the last are hollow.
    axes.plot(
        [count.depth for count in line.counts], [getattr(count, field) for count in line.counts],
        color=style.accent(position), linestyle="none", marker=MARKERS[position],
        markersize=4.5 if number == of - 1 else _MARK + 2.0 * (of - 2 - number),
        markerfacecolor=style.accent(position) if number == of - 1 else "none",
        markeredgewidth=1.1, zorder=4 + number, clip_on=False,
    )  # fmt: skip


def _name(
    axes: Axes, lines: Sequence[Line], field: str, groups: Sequence[Sequence[int]], style: Style
) -> None:
    """Print the names beside the ends of lines, one below another, each in its colour."""
    ends = []
    for group in groups:
        end = getattr(lines[group[0]].counts[-1], field)
        share = float(axes.transLimits.transform(axes.transScale.transform((1.0, end)))[1])
        ends += [(share + _GAP * ((len(group) - 1) / 2 - k), p) for k, p in enumerate(group)]
    ends.sort()
    places = [share for share, _ in ends]
    for k in range(1, len(places)):
        places[k] = max(places[k], places[k - 1] + _GAP)
    # Below the title.
    places[-1] = min(places[-1], 0.98)
    for k in reversed(range(len(places) - 1)):
        places[k] = min(places[k], places[k + 1] - _GAP)
    for place, (_, position) in zip(places, ends, strict=True):
        axes.text(
            1.03, place, lines[position].label, transform=axes.transAxes, va="center",
            fontsize=7.5, color=style.accent(position), fontweight="bold",
        )  # fmt: skip


def _short(value: float, _: object = None) -> str:
    """`100 k`, `1 M`."""
    for factor, unit in ((1e6, " M"), (1e3, " k")):
        if value >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:g}"
