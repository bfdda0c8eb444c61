"""One frame's links, where these are what is searched: how probable each is, stage by stage."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ..search.spaces.aggregation import OPEN
from .courses import ShownCourse
from .film_panels import Moving, unmoved
from .link_maps import StageMap
from .style import Style

_LEFT, _WIDTH, _BOTTOM, _TOP = 0.062, 0.53, 0.195, 0.835
_MOST_ABREAST = 3
_BETWEEN = 0.042
_PROBABILITIES = mpl.colormaps["cividis"]


def link_panels(figure: Figure, shown: ShownCourse, style: Style) -> list[Moving]:
    """Draw a panel a stage at the left of `figure`; returns what moves, in drawing order.

    A cell is a link, a dot in it says that it is likelier open than closed.
    """
    theme = style.theme
    figure.text(
        _LEFT, 0.89, "Probability that a link is open", fontsize=8.5, fontweight="bold",
        color=theme.ink,
    )  # fmt: skip
    about = "Outlined: exponential rule. Grey: always read. Dot: likelier open than closed."
    figure.text(_LEFT, 0.055, about, fontsize=6.5, color=theme.muted)
    found: list[Moving] = []
    for axes, stage in zip(_axes(figure, shown.stages), shown.stages, strict=True):
        image, moving = _stage(figure, axes, shown, stage, style)
        found += moving
    bar = figure.add_axes((0.606, 0.405, 0.011, _TOP - 0.405))
    figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1]).outline.set_visible(False)
    return [*found, _count(figure, shown, style)]


def open_links(shown: ShownCourse, frame: int) -> int:
    """How many links are likelier open than closed."""
    return sum(choice == OPEN for choice in shown.course.likeliest(frame))


def _axes(figure: Figure, stages: tuple[StageMap, ...]) -> list[Axes]:
    """A panel a stage, in rows of at most three."""
    rows = -(-len(stages) // _MOST_ABREAST)
    columns = -(-len(stages) // rows)
    width = (_WIDTH - (columns - 1) * _BETWEEN) / columns
    pitch = (_TOP - _BOTTOM + 0.1) / rows
    return [
        figure.add_axes(
            (
                _LEFT + (number % columns) * (width + _BETWEEN),
                _TOP + 0.1 - (number // columns + 1) * pitch,
                width,
                pitch - 0.1,
            )
        )
        for number, _ in enumerate(stages)
    ]


def _stage(
    figure: Figure, axes: Axes, shown: ShownCourse, stage: StageMap, style: Style
) -> tuple[AxesImage, list[Moving]]:
    theme, size = style.theme, stage.size
    cell_pt = 72 * figure.get_figwidth() * axes.get_position().width / size
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelsize=min(7.0, 0.75 * cell_pt), pad=2)
    axes.set_title(stage.title, pad=3)
    axes.set_xticks(list(stage.ticks), list(stage.ticks.values()))
    axes.set_yticks(stage.offset_ticks)
    axes.set_xlabel("layer", labelpad=2)
    if stage.stage == 0:
        axes.set_ylabel("offset", labelpad=2)
    kept = [(c.number - 0.5, c.offset - 0.5) for c in stage.cells if c.choice is None]
    boxes = [Rectangle(corner, 1, 1) for corner in kept]
    axes.add_collection(PatchCollection(boxes, facecolors=theme.line, linewidths=0))
    image = axes.imshow(
        np.zeros((size, size)), _PROBABILITIES.with_extremes(bad=(0, 0, 0, 0)), vmin=0, vmax=1,
        aspect="auto", interpolation="nearest", origin="lower",
        extent=(0.5, size + 0.5, 0.5, size + 0.5),
    )  # fmt: skip
    axes.set(xlim=(0.5, size + 0.5), ylim=(0.5, size + 0.5))
    edges, thickness = np.arange(size + 1) + 0.5, min(1.2, 0.12 * cell_pt)
    gaps = [
        axes.vlines(edges, 0.5, size + 0.5, theme.surface, linewidth=thickness),
        axes.hlines(edges, 0.5, size + 0.5, theme.surface, linewidth=thickness),
    ]
    rule = [Rectangle((c.number - 0.5, c.offset - 0.5), 1, 1) for c in stage.cells if c.is_on_rule]
    outlines = axes.add_collection(
        PatchCollection(rule, facecolors="none", edgecolors=style.accent(1), linewidths=1.0)
    )
    dots = Line2D(
        [], [], linestyle="", marker="o", markersize=min(4.5, 0.4 * cell_pt),
        markerfacecolor=theme.surface, markeredgecolor=theme.ink, markeredgewidth=0.6,
    )  # fmt: skip
    axes.add_line(dots)
    show_image, show_dots = _showing(shown, stage, image, dots)
    still: list[Moving] = [(artist, unmoved) for artist in (*gaps, outlines)]
    return image, [(image, show_image), *still, (dots, show_dots)]


def _showing(
    shown: ShownCourse, stage: StageMap, image: AxesImage, dots: Line2D
) -> tuple[Callable[[int], None], Callable[[int], None]]:
    free = [cell for cell in stage.cells if cell.choice is not None]
    numbers = np.asarray([cell.number for cell in free])
    offsets = np.asarray([cell.offset for cell in free])
    links = np.asarray([cell.choice for cell in free])

    def show_image(frame: int) -> None:
        values = np.full((stage.size, stage.size), np.nan)
        values[offsets - 1, numbers - 1] = shown.course.probabilities[frame, links, OPEN]
        image.set_data(np.ma.masked_invalid(values))

    def show_dots(frame: int) -> None:
        likely = np.asarray(shown.course.likeliest(frame))[links] == OPEN
        dots.set_data(numbers[likely], offsets[likely])

    return show_image, show_dots


def _count(figure: Figure, shown: ShownCourse, style: Style) -> Moving:
    text = figure.text(_LEFT, 0.095, "", fontsize=8, color=style.theme.ink)

    def show(frame: int) -> None:
        text.set_text(f"{open_links(shown, frame)} of {shown.blocks} links likelier open")

    return text, show
