"""Figure: how wrong predicted networks are after so many minutes of measuring.

Of an exam and no run, and so no part of `elat report`: `elat exam choosing --figure FILE`.
"""

from __future__ import annotations

from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from ..style import MARKERS, Style, footer, headline, legend_below, panels


class Curve(NamedTuple):
    """One order of measuring.

    Attributes:
        points: Minutes, and the mean absolute relative error of networks, at which every seed's
            model could answer.
    """

    label: str
    points: tuple[tuple[float, float], ...]


class Curves(NamedTuple):
    """All orders on one device and space."""

    title: str
    full_minutes: float
    curves: tuple[Curve, ...]


def draw(info: Curves, style: Style) -> Figure:
    """Error against minutes, the error on a logarithmic scale; the full measurement as a line."""
    figure, (axes,) = panels(style, 1, height_in=3.2)
    silent = [curve.label for curve in info.curves if not curve.points]
    for position, curve in enumerate(info.curves):
        if not curve.points:
            continue
        minutes, errors = zip(*curve.points, strict=True)
        axes.plot(
            minutes,
            [100 * error for error in errors],
            marker=MARKERS[position],
            color=style.accent(position),
            label=curve.label,
            markersize=4.5,
        )
    axes.axvline(info.full_minutes, color=style.theme.muted, linestyle="--", linewidth=1)
    longest = max((p[0] for c in info.curves for p in c.points), default=info.full_minutes)
    axes.set(xlim=(0, 1.05 * max(longest, info.full_minutes)), yscale="log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(lambda value, _: "")
    axes.set(xlabel="minutes of measuring", ylabel="error of random networks (%)")
    legend_below(figure, style, [axes])
    headline(figure, "What so many minutes of measuring tell")
    footer(
        figure,
        style,
        [
            f"{info.title}. Mean absolute relative error of the sums of random networks, what is "
            "not measured predicted. Dashed: everything measured once; after it, again. Points at "
            "which a model refused an operator are left out"
            + (f": all of `{', '.join(silent)}`." if silent else ".")
        ],
    )
    return figure
