"""How every figure looks: palette, type sizes, light and dark, and bytes that do not change.

The accents are those of Okabe and Ito (2008), told apart by readers with any common colour-vision
deficiency; the dark theme takes the lighter ones. Shapes repeat what colours say.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", "--", "-.", ":")
PNG_DPI = 200


@dataclass(frozen=True)
class Theme:
    """Colours of one appearance, as `#rrggbb`."""

    name: str
    surface: str
    ink: str
    muted: str
    line: str
    accents: tuple[str, ...]


LIGHT = Theme(
    "light", "#ffffff", "#1c2128", "#5b6570", "#dfe3e8",
    ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#6f4fa0"),
)  # fmt: skip
DARK = Theme(
    "dark", "#171b21", "#e8ebef", "#a3adb8", "#343c46",
    ("#56b4e9", "#f08a3c", "#2fc39a", "#e59bc5", "#e9c84a", "#8fd0ff", "#b9a1e6"),
)  # fmt: skip


@dataclass(frozen=True)
class Style:
    """A theme at a width in inches; narrow figures stack what wide ones set side by side."""

    theme: Theme
    width_in: float

    @property
    def is_narrow(self) -> bool:
        return self.width_in < 5

    def accent(self, position: int) -> str:
        """Colour of the series at `position`; they come round again."""
        return self.theme.accents[position % len(self.theme.accents)]

    def applied(self) -> AbstractContextManager[None]:
        """A context in which matplotlib makes figures in this style."""
        theme = self.theme
        settings: Any = {
            "font.family": "DejaVu Sans",
            "font.size": 8.5,
            "axes.titlesize": 9.5,
            "axes.titleweight": "bold",
            "axes.titlelocation": "left",
            "axes.titlecolor": theme.ink,
            "axes.labelsize": 8.5,
            "axes.labelcolor": theme.ink,
            "axes.facecolor": theme.surface,
            "axes.edgecolor": theme.muted,
            "axes.linewidth": 0.7,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": theme.line,
            "grid.linewidth": 0.6,
            "figure.facecolor": theme.surface,
            "savefig.facecolor": theme.surface,
            "text.color": theme.ink,
            # Names come from files: a dollar in one is no formula.
            "text.parse_math": False,
            "xtick.color": theme.muted,
            "ytick.color": theme.muted,
            "xtick.labelcolor": theme.ink,
            "ytick.labelcolor": theme.ink,
            "xtick.labelsize": 8,
            "ytick.labelsize": 8,
            "legend.fontsize": 8,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "svg.hashsalt": "elat",
            "svg.fonttype": "path",
            "pdf.fonttype": 42,
            "path.simplify": True,
        }
        return mpl.rc_context(settings)


WIDE = Style(LIGHT, 7.6)
NARROW = Style(LIGHT, 3.8)


def panels(
    style: Style, count: int, *, height_in: float, columns: int = 2
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels, `height_in` inches each, in at most `columns` columns."""
    columns = 1 if style.is_narrow else min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(style.width_in, rows * height_in), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.06, h_pad=0.06)  # type: ignore[call-arg, union-attr]
    axes = [figure.add_subplot(rows, columns, position + 1) for position in range(count)]
    return figure, axes


def comment(axes: Axes, style: Style, text: str, *, corner: str = "upper left") -> None:
    """Print `text` small in a corner of the panel, on the panel's own ground."""
    x, horizontal = (0.03, "left") if "left" in corner else (0.97, "right")
    y, vertical = (0.97, "top") if "upper" in corner else (0.03, "bottom")
    axes.text(
        x, y, text, transform=axes.transAxes, ha=horizontal, va=vertical, fontsize=8,
        color=style.theme.ink, linespacing=1.4, zorder=6,
        bbox={"facecolor": style.theme.surface, "edgecolor": "none", "alpha": 0.85, "pad": 2.0},
    )  # fmt: skip


def legend_below(figure: Figure, style: Style, axes: Sequence[Axes], columns: int = 6) -> None:
    """One legend under all panels, each label once."""
    found: dict[str, Any] = {}
    for one in axes:
        for handle, label in zip(*one.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if found:
        figure.legend(
            list(found.values()),
            list(found),
            loc="outside upper left",
            ncols=min(len(found), 2 if style.is_narrow else columns),
            borderaxespad=0.2,
            columnspacing=1.4,
            handletextpad=0.5,
        )


def headline(figure: Figure, text: str) -> None:
    """Print `text` as the figure's title, over the legend where there is one.

    It becomes the legend's own title there: a separate one would be laid out on top of it.
    """
    if figure.legends:
        legend = figure.legends[0]
        legend.set_title(text, prop=FontProperties(size=12, weight="bold"))
        legend.set_alignment("left")
    else:
        figure.suptitle(text, x=0.01, ha="left", fontsize=12, fontweight="bold")


def freeze_layout(figure: Figure) -> None:
    """Lay `figure` out once and for all; else every file made of it would pay for that again."""
    figure.draw_without_rendering()
    # None, and not "none": a stand-in engine would make every saving draw twice.
    figure.set_layout_engine(None)


def recoloured(svg: bytes, theme: Theme) -> bytes:
    """`svg`, drawn in the light theme, in the colours of `theme`."""
    text = svg.decode()
    pairs = zip(_colours(LIGHT), _colours(theme), strict=True)
    swaps = {light: dark for light, dark in pairs}
    return re.sub(r"#[0-9a-f]{6}\b", lambda m: swaps.get(m[0], m[0]), text).encode()


def _colours(theme: Theme) -> tuple[str, ...]:
    return (theme.surface, theme.ink, theme.muted, theme.line, *theme.accents)


def watermark(figure: Figure, style: Style, text: str) -> None:
    """Write `text` large and pale across the figure."""
    figure.text(
        0.5, 0.5, text, ha="center", va="center", rotation=24, zorder=20,
        fontsize=26 if style.is_narrow else 50, fontweight="bold",
        color=style.theme.accents[1], alpha=0.22,
    )  # fmt: skip


def footer(figure: Figure, style: Style, lines: Iterable[str]) -> None:
    """Print `lines` small at the foot of the figure, left-aligned."""
    width = int(style.width_in * 15.5)
    text = "\n".join(part for line in lines for part in _wrapped(line, width))
    if text:
        figure.supxlabel(
            text, x=0.01, ha="left", fontsize=6.8, color=style.theme.muted, linespacing=1.35
        )


def svg_bytes(figure: Figure) -> bytes:
    """`figure` as SVG, the same bytes for the same figure."""
    return _saved(figure, "svg", {"Date": None, "Creator": None})


def pdf_bytes(figure: Figure) -> bytes:
    """`figure` as PDF with embedded TrueType, the same bytes for the same figure."""
    return _saved(figure, "pdf", {"CreationDate": None, "Creator": None, "Producer": None})


def png_bytes(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """`figure` as PNG, the same bytes for the same figure."""
    return _saved(figure, "png", {"Software": None}, dpi)


def _saved(figure: Figure, form: str, metadata: dict[str, None], dpi: int = PNG_DPI) -> bytes:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "elat", "svg.fonttype": "path", "pdf.fonttype": 42}):
        figure.savefig(buffer, format=form, metadata=metadata, dpi=dpi)
    return buffer.getvalue()


def _wrapped(line: str, width: int) -> list[str]:
    lines, current = [], ""
    for word in line.split():
        if current and len(current) + 1 + len(word) > width:
            lines.append(current)
            current = f"  {word}"
        else:
            current = (
                f"{current} {word}".strip()
                if not current.startswith("  ")
                else f"{current} {word}"
            )
    return [*lines, current] if current else lines
