"""Text and tables as matplotlib figures, for the PDF and the PNG of a whole report."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from .grid import Cell, Grid
from .source import has_simulated
from .style import Style, watermark

_POINTS = 72.0
_MARGIN = 14.0
_GAP = 9.0
_BODY = 8.0
_SMALLEST = 5.5


def table_sheet(title: str, about: str, grid: Grid, style: Style) -> Figure:
    """`grid` as a figure under its title; type shrinks until the columns fit the width."""
    size = _fitting_size(grid, style.width_in * _POINTS - 2 * _MARGIN)
    needed = sum(_widths(grid, size)) + _GAP * (len(grid.columns) - 1) + 2 * _MARGIN
    width = max(style.width_in * _POINTS, needed)
    line = size * 1.75
    below = [part for text in _tail(grid) for part in _wrapped(text, width, 6.8)]
    intro = _wrapped(about, width, 7.6)
    heads = 2 if grid.has_groups else 1
    height = (
        _MARGIN * 2
        + 18
        + 11 * len(intro)
        + 8
        + line * (heads + len(grid.rows))
        + 10 * len(below)
        + 8
    )
    figure = Figure(figsize=(width / _POINTS, height / _POINTS))
    page = _Page(figure, style, width, height)
    page.text(_MARGIN, 12, title, 10.5, bold=True)
    page.skip(18)
    for part in intro:
        page.text(_MARGIN, 8, part, 7.6, muted=True)
        page.skip(11)
    page.skip(8)
    _draw_grid(page, grid, size, line)
    page.skip(8)
    for part in below:
        page.text(_MARGIN, 7, part, 6.8, muted=True)
        page.skip(10)
    if has_simulated(grid.sources):
        watermark(figure, style, "SIMULATED")
    return figure


def text_sheet(title: str, lead: str, items: Sequence[tuple[str, str]], style: Style) -> Figure:
    """A title, a lead and headed paragraphs as a figure."""
    width = style.width_in * _POINTS
    blocks = [(head, _wrapped(text, width, 8.2)) for head, text in items]
    leads = _wrapped(lead, width, 8.2)
    height = (
        2 * _MARGIN
        + 26
        + 12 * len(leads)
        + 8
        + sum(15 + 12 * len(lines) + 9 for _, lines in blocks)
    )
    figure = Figure(figsize=(style.width_in, height / _POINTS))
    page = _Page(figure, style, width, height)
    page.text(_MARGIN, 15, title, 14, bold=True)
    page.skip(26)
    for part in leads:
        page.text(_MARGIN, 8, part, 8.2, muted=True)
        page.skip(12)
    page.skip(8)
    for head, lines in blocks:
        page.text(_MARGIN, 10, head, 9.2, bold=True)
        page.skip(15)
        for part in lines:
            page.text(_MARGIN, 8, part, 8.2)
            page.skip(12)
        page.skip(9)
    return figure


class _Page:
    """A cursor that runs down a figure in points."""

    def __init__(self, figure: Figure, style: Style, width: float, height: float) -> None:
        self.figure = figure
        self.style = style
        self.width = width
        self._height = height
        self._down = _MARGIN

    def skip(self, points: float) -> None:
        self._down += points

    def text(
        self, x: float, drop: float, text: str, size: float, *, bold: bool = False,
        muted: bool = False, align: str = "left",
    ) -> None:  # fmt: skip
        theme = self.style.theme
        self.figure.text(
            x / self.width, 1 - (self._down + drop) / self._height, text, fontsize=size,
            ha=align, va="baseline", fontweight="bold" if bold else "normal",
            color=theme.muted if muted else theme.ink, parse_math=False,
        )  # fmt: skip

    def rule(self, left: float, right: float, *, strong: bool = False) -> None:
        from matplotlib.lines import Line2D

        y = 1 - self._down / self._height
        theme = self.style.theme
        self.figure.add_artist(
            Line2D(
                [left / self.width, right / self.width], [y, y],
                color=theme.ink if strong else theme.line, linewidth=0.8 if strong else 0.5,
            )
        )  # fmt: skip


def _draw_grid(page: _Page, grid: Grid, size: float, line: float) -> None:
    widths = _widths(grid, size)
    total = sum(widths) + _GAP * (len(widths) - 1)
    starts = [_MARGIN + sum(widths[:i]) + _GAP * i for i in range(len(widths))]
    page.rule(_MARGIN, _MARGIN + total, strong=True)
    if grid.has_groups:
        first = 0
        for group, count in grid.groups:
            last = first + count - 1
            left, right = starts[first], starts[last] + widths[last]
            if group:
                for text in [_clipped(group, right - left, size)]:
                    page.text(
                        (left + right) / 2, line * 0.7, text, size, muted=True, align="center"
                    )
            first += count
        page.skip(line)
    for column, start, width in zip(grid.columns, starts, widths, strict=True):
        _put(page, column.head, start, width, line, size, is_number=column.is_number, muted=True)
    page.skip(line)
    page.rule(_MARGIN, _MARGIN + total)
    for row in grid.rows:
        for column, cell, start, width in zip(grid.columns, row, starts, widths, strict=True):
            _put(
                page, _joined(cell), start, width, line, size, is_number=column.is_number,
                bold=cell.is_best,
            )  # fmt: skip
        page.skip(line)
    page.rule(_MARGIN, _MARGIN + total, strong=True)


def _put(
    page: _Page, text: str, start: float, width: float, line: float, size: float, *,
    is_number: bool, muted: bool = False, bold: bool = False,
) -> None:  # fmt: skip
    x = start + width if is_number else start
    page.text(
        x, line * 0.7, text, size, bold=bold, muted=muted, align="right" if is_number else "left"
    )


def _fitting_size(grid: Grid, width: float) -> float:
    gaps = _GAP * (len(grid.columns) - 1)
    needed = sum(_widths(grid, _BODY))
    return max(_SMALLEST, min(_BODY, _BODY * (width - gaps) / needed))


def _widths(grid: Grid, size: float) -> list[float]:
    return [
        max(
            _text_width(column.head, size),
            *(_text_width(_joined(row[i]), size, bold=row[i].is_best) for row in grid.rows),
            0.0,
        )
        for i, column in enumerate(grid.columns)
    ]


def _text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Width in points, of a canvas of 72 dots an inch so that a dot is a point."""
    canvas = FigureCanvasAgg(Figure(figsize=(1, 1), dpi=_POINTS))
    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    renderer = canvas.get_renderer()  # type: ignore[no-untyped-call]
    width, _, _ = renderer.get_text_width_height_descent(text, font, ismath=False)
    return float(width)


def _clipped(text: str, width: float, size: float) -> str:
    while len(text) > 4 and _text_width(text, size) > width:
        text = text[:-2].rstrip(" ,(…") + "…"
    return text


def _wrapped(text: str, width: float, size: float) -> list[str]:
    # DejaVu Sans sets 0.56 of its size a character on average over running text.
    return textwrap.wrap(text, max(20, int((width - 2 * _MARGIN) / (0.56 * size))))


def _joined(cell: Cell) -> str:
    return f"{cell.text} {cell.detail}" if cell.detail else cell.text


def _tail(grid: Grid) -> list[str]:
    return [*grid.notes, *(f"Source: {source}" for source in grid.sources)]
