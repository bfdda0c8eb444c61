"""Figure: the chosen architectures, a row each, a box a block."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from ...latency.operators.mbconv import MBConv
from ...search.spaces import BlockSpace, space_from_description
from ..inputs import ReportInputs
from ..networks import networks
from ..source import Source, distinct
from ..style import Style
from . import ReportFigure, figures

_SLOT = 1.0
_STAGE_GAP = 0.45


@dataclass(frozen=True)
class Block:
    """A choice block as drawn; `kernel` and `expand` are None for what is no MBConv.

    Attributes:
        stage: Blocks of one stage share output width and resolution.
        text: The space's own label of the chosen candidate.
    """

    text: str
    kernel: int | None
    expand: int | None
    is_skipped: bool
    stage: tuple[int, int]


@dataclass(frozen=True)
class Drawing:
    """One network: its name, a line about it, and its blocks from input to output."""

    label: str
    detail: str
    blocks: tuple[Block, ...]
    sources: tuple[Source, ...]

    @property
    def depth(self) -> int:
        """How many choice blocks are executed."""
        return sum(not block.is_skipped for block in self.blocks)


@figures.register("architectures")
class Architectures(ReportFigure[Drawing]):
    """What each search chose, block by block."""

    title = "The chosen architectures"
    about = (
        "Input at the left. A box is an MBConv block: its height and colour are the kernel, its "
        "width the expansion; a dashed outline is a block that was left out. Above each stage: "
        "its resolution and width."
    )
    needs = "No searched network of choice blocks was given; make one with: elat search."
    place = 60

    def collect(self, inputs: ReportInputs) -> tuple[Drawing, ...]:
        """A drawing for each run of blocks, in the order of the specialisation table."""
        spaces = {run.result.space.get("name"): run.result.space for run in inputs.runs}
        found = []
        for row in networks(inputs):
            space = space_from_description(spaces[row.space])
            if not isinstance(space, BlockSpace):
                continue
            chosen = space.chosen(row.architecture)
            blocks = tuple(
                _block(space.label(operator), operator, choice.candidates[0].output_shape)
                for operator, choice in zip(chosen, space.blocks, strict=True)
            )
            own = row.on(row.target)
            latency = f"{own.latency_ms:.3g} ms on {row.target}, " if own is not None else ""
            detail = f"{latency}{row.macs / 1e6:.3g} M MACs"
            printed = tuple(source for source in row.sources if source.device == row.target)
            found.append(Drawing(row.label, detail, blocks, printed))
        return tuple(found)

    def sources(self, rows: tuple[Drawing, ...]) -> tuple[Source, ...]:
        return distinct(source for row in rows for source in row.sources)

    def describe(self, rows: tuple[Drawing, ...]) -> str:
        """Depth and mean kernel of each network in words."""
        parts = []
        for row in rows:
            kernels = [block.kernel for block in row.blocks if block.kernel is not None]
            mean = f", mean kernel {sum(kernels) / len(kernels):.1f}" if kernels else ""
            parts.append(f"{row.label}: {row.depth} of {len(row.blocks)} blocks{mean}")
        return f"The searched architectures. {'; '.join(parts)}."

    def draw(self, rows: tuple[Drawing, ...], style: Style) -> Figure:
        height = 1.15 if style.is_narrow else 1.25
        figure = Figure(figsize=(style.width_in, 0.45 + height * len(rows)), layout="constrained")
        kernels = sorted({b.kernel for row in rows for b in row.blocks if b.kernel is not None})
        widest = max((b.expand or 1 for row in rows for b in row.blocks), default=1)
        axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
        for one, row in zip(axes, rows, strict=True):
            _draw_row(one, row, kernels, widest, style)
        handles = [
            Patch(facecolor=style.accent(i), label=f"kernel {kernel}×{kernel}")
            for i, kernel in enumerate(kernels)
        ]
        skipped = Patch(
            facecolor="none", edgecolor=style.theme.muted, linestyle="--", label="left out"
        )
        figure.legend(
            handles=[*handles, skipped], loc="outside upper left",
            ncols=2 if style.is_narrow else 4, borderaxespad=0.2,
        )  # fmt: skip
        return figure


def _block(text: str, operator: object, output: tuple[int, ...]) -> Block:
    stage = (output[-1], output[0])
    if isinstance(operator, MBConv):
        return Block(text, operator.kernel, operator.expand, is_skipped=False, stage=stage)
    return Block(
        text, None, None, is_skipped=bool(getattr(operator, "is_free", False)), stage=stage
    )


def _draw_row(axes: Axes, row: Drawing, kernels: list[int], widest: int, style: Style) -> None:
    theme = style.theme
    axes.set_axis_off()
    axes.set_title(row.label, pad=14)
    axes.set_title(
        row.detail, loc="right", pad=14, fontsize=7.5, fontweight="normal", color=theme.muted
    )
    left = 0.0
    for stage, group in groupby(row.blocks, key=lambda block: block.stage):
        blocks = list(group)
        width = len(blocks) * _SLOT
        axes.text(
            left + width / 2, 1.32, f"{stage[0]}² × {stage[1]}", ha="center", va="bottom",
            fontsize=7.2, color=theme.muted,
        )  # fmt: skip
        axes.plot(
            [left + 0.08, left + width - 0.08], [1.26, 1.26], color=theme.muted, linewidth=0.7
        )
        for position, block in enumerate(blocks):
            _draw_block(axes, block, left + (position + 0.5) * _SLOT, kernels, widest, style)
        left += width + _STAGE_GAP
    axes.plot(
        [-0.1, left - _STAGE_GAP + 0.1], [0.5, 0.5], color=theme.line, linewidth=1.2, zorder=0
    )
    axes.set(xlim=(-0.15, left - _STAGE_GAP + 0.15), ylim=(-0.12, 1.6))


def _draw_block(
    axes: Axes, block: Block, centre: float, kernels: list[int], widest: int, style: Style
) -> None:
    theme = style.theme
    if block.is_skipped:
        width, height, face, edge, dash = 0.3, 0.3, theme.surface, theme.muted, "--"
    elif block.kernel is None or block.expand is None:
        width, height, face, edge, dash = 0.8, 0.6, theme.muted, theme.muted, "-"
    else:
        position = kernels.index(block.kernel)
        width = 0.32 + 0.58 * block.expand / widest
        height = 0.4 + 0.6 * (position + 1) / len(kernels)
        face = edge = style.accent(position)
        dash = "-"
    axes.add_patch(
        FancyBboxPatch(
            (centre - width / 2, 0.5 - height / 2), width, height,
            boxstyle="round,pad=0,rounding_size=0.07", facecolor=face, edgecolor=edge,
            linestyle=dash, linewidth=0.9, mutation_aspect=1.0,
        )
    )  # fmt: skip
    if block.is_skipped:
        return
    text = block.text
    if block.kernel is not None:
        kernel = f"{block.kernel}" if style.is_narrow else f"{block.kernel}×{block.kernel}"
        text = f"{kernel}\ne{block.expand}"
    axes.text(
        centre, 0.5, text, ha="center", va="center", color=theme.surface, linespacing=1.15,
        fontsize=5.8 if style.is_narrow else 6.8, fontweight="bold",
    )  # fmt: skip
