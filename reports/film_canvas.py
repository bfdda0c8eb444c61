"""One frame of a search's film: what is sure, what it costs, and what would be chosen now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.text import Text

from .courses import ShownCourse
from .film_files import Pixels
from .film_links import link_panels
from .film_panels import Moving, panels, unmoved
from .source import distinct, has_simulated
from .style import Style, Theme

# 960 x 540 pixels at 120 dots an inch.
WIDTH_IN, HEIGHT_IN = 8.0, 4.5
DPI = 120
_MOST_NAMED_BLOCKS = 32
_PROBABILITIES = mpl.colormaps["cividis"]


class FilmCanvas:
    """Draws any frame of one search, fast: what does not move is drawn once.

    The same frame of the same course has the same pixels, in whatever order frames are asked for.

    Args:
        shown: The search.
        style: Theme; the width is the film's own.
        dpi: Dots an inch; a frame is 8 by 4.5 inches.
    """

    def __init__(self, shown: ShownCourse, style: Style, dpi: int = DPI) -> None:
        self._shown = shown
        self._style = style
        self._rows = np.arange(shown.widest)[:, None]
        with (
            style.applied(),
            mpl.rc_context({"axes.titlesize": 8.5, "font.size": 7.5, "axes.labelsize": 7.5}),
        ):
            self._figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=dpi)
            self._canvas = FigureCanvasAgg(self._figure)
            self._moving: list[Moving] = []
            self._seldom: list[Moving] = []
            self._draw_words()
            if shown.stages:
                self._moving += link_panels(self._figure, shown, style)
            else:
                self._draw_probabilities()
                self._draw_choice()
            self._moving += panels(self._figure, shown, style)
            self._draw_watermark()
            for artist, _ in (*self._seldom, *self._moving):
                artist.set_animated(True)
            self._canvas.draw()  # type: ignore[no-untyped-call]
            self._still = self._scene = self._taken()
            self._chosen: tuple[int, ...] = ()

    def draw(self, frame: int) -> Pixels:
        """Frame `frame` of the course: `height width 3`."""
        with self._style.applied():
            chosen = self._shown.course.likeliest(frame)
            if chosen != self._chosen:
                # Names are most of the work of a frame, and seldom change.
                self._compose(self._still, self._seldom, frame)
                self._scene, self._chosen = self._taken(), chosen
            self._compose(self._scene, self._moving, frame)
        pixels = np.asarray(self._canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        return pixels[..., :3].copy()

    def _compose(self, ground: Any, artists: list[Moving], frame: int) -> None:
        self._canvas.restore_region(ground)  # type: ignore[no-untyped-call]
        for artist, show in artists:
            show(frame)
            self._figure.draw_artist(artist)

    def _taken(self) -> Any:
        """What is drawn now, to go on from."""
        return self._canvas.copy_from_bbox(self._figure.bbox)  # type: ignore[no-untyped-call]

    @property
    def _gap_pt(self) -> float:
        """Between blocks, never so wide that it hides them."""
        return min(1.2, 0.2 * 72 * 0.53 * WIDTH_IN / self._shown.blocks)

    def _draw_words(self) -> None:
        shown, theme = self._shown, self._style.theme
        self._figure.text(
            0.018, 0.945, f"Search {shown.label}", fontsize=11.5, fontweight="bold",
            color=theme.ink,
        )  # fmt: skip
        sources = [f"Source: {source}" for source in distinct(shown.sources)]
        self._figure.text(0.018, 0.018, "\n".join(sources), fontsize=5.6, color=theme.muted)
        now = self._figure.text(0.985, 0.945, "", fontsize=9.5, ha="right", color=theme.muted)

        def show(frame: int) -> None:
            course = shown.course
            now.set_text(f"{course.phase[frame]}, step {course.step[frame]:,} of {shown.total:,}")

        self._moving.append((now, show))

    def _draw_probabilities(self) -> None:
        shown, theme = self._shown, self._style.theme
        axes = self._figure.add_axes((0.062, 0.405, 0.53, 0.465))
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set_title("Probability of each candidate")
        axes.set_yticks(range(shown.widest), shown.row_labels)
        axes.set_xticks([])
        axes.tick_params(length=0)
        colours = _PROBABILITIES.with_extremes(bad=theme.surface)
        image = axes.imshow(
            np.zeros((shown.widest, shown.blocks)), colours, vmin=0, vmax=1, aspect="auto",
            interpolation="nearest",
        )  # fmt: skip
        edges = np.arange(shown.blocks + 1) - 0.5
        gaps = axes.vlines(edges, -0.5, shown.widest - 0.5, theme.surface, linewidth=self._gap_pt)
        best = Line2D(
            [], [], linestyle="", marker="o", markersize=4.5, markerfacecolor=theme.surface,
            markeredgecolor=theme.ink, markeredgewidth=0.8,
        )  # fmt: skip
        axes.add_line(best)
        bar = self._figure.add_axes((0.606, 0.405, 0.011, 0.465))
        self._figure.colorbar(image, cax=bar, ticks=[0, 0.5, 1]).outline.set_visible(False)
        blocks = np.arange(shown.blocks)

        def show_image(frame: int) -> None:
            image.set_data(self._probabilities(frame))

        def show_best(frame: int) -> None:
            best.set_data(blocks, shown.course.likeliest(frame))

        self._moving += [(image, show_image), (gaps, unmoved), (best, show_best)]

    def _probabilities(
        self, frame: int
    ) -> np.ma.MaskedArray[tuple[int, ...], np.dtype[np.float64]]:
        values = self._shown.course.probabilities[frame].T.astype(np.float64)
        absent = self._rows >= np.asarray(self._shown.course.choices)[None, :]
        return np.ma.masked_array(values, absent)

    def _draw_choice(self) -> None:
        """The most probable candidate of every block, by colour and by name."""
        shown, theme = self._shown, self._style.theme
        axes = self._figure.add_axes((0.062, 0.175, 0.53, 0.125))
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set_title("Most probable architecture")
        axes.set(yticks=[], xlabel="choice block, input at the left")
        axes.tick_params(length=0)
        every = max(1, -(-shown.blocks // (24 if shown.blocks < 100 else 14)))
        ticks = range(0, shown.blocks, every)
        axes.set_xticks(ticks, [str(block + 1) for block in ticks])
        colours = [self._style.accent(number) for number in range(shown.widest)]
        image = axes.imshow(
            np.zeros((1, shown.blocks)), ListedColormap([*colours, theme.line]),
            vmin=-0.5, vmax=shown.widest + 0.5, aspect="auto", interpolation="nearest",
        )  # fmt: skip
        gaps = axes.vlines(
            np.arange(shown.blocks + 1) - 0.5, -0.5, 0.5, theme.surface, linewidth=self._gap_pt
        )
        self._seldom += [(image, self._showing_choice(image)), (gaps, unmoved)]
        if shown.blocks <= _MOST_NAMED_BLOCKS:
            upright = 0 if shown.blocks <= 12 else 90
            for block in range(shown.blocks):
                text = axes.text(
                    block, 0, "", ha="center", va="center", rotation=upright, fontsize=6.5,
                    fontweight="bold",
                )  # fmt: skip
                self._seldom.append((text, self._naming(block, text)))

    def _showing_choice(self, image: AxesImage) -> Callable[[int], None]:
        shown = self._shown

        def show(frame: int) -> None:
            chosen = [
                shown.widest if labels[choice].is_free else choice
                for labels, choice in zip(shown.labels, shown.course.likeliest(frame), strict=True)
            ]
            image.set_data([chosen])

        return show

    def _naming(self, block: int, text: Text) -> Callable[[int], None]:
        theme, labels = self._style.theme, self._shown.labels[block]
        inks = [_readable_on(self._style.accent(n), theme) for n in range(len(labels))]

        def show(frame: int) -> None:
            choice = int(self._shown.course.probabilities[frame, block].argmax())
            label = labels[choice]
            text.set_text(label.text)
            text.set_color(theme.muted if label.is_free else inks[choice])

        return show

    def _draw_watermark(self) -> None:
        if has_simulated(self._shown.sources):
            text = self._figure.text(
                0.33, 0.64, "SIMULATED", ha="center", va="center", rotation=20, fontsize=34,
                fontweight="bold", color=self._style.theme.accents[1], alpha=0.4,
            )  # fmt: skip
            self._moving.append((text, unmoved))


def _readable_on(colour: str, theme: Theme) -> str:
    """Dark or light text, whichever stands out from `colour` (relative luminance)."""
    red, green, blue = (value**2.2 for value in to_rgb(colour))
    is_light = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.3
    light, dark = sorted((theme.surface, theme.ink), key=lambda c: -sum(to_rgb(c)))
    return dark if is_light else light
