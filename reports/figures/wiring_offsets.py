"""Figure: which links were chosen, by layer and offset, against the exponential rule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ...search.architecture import Architecture
from ...search.spaces import space_from_description
from ...search.spaces.aggregation import AggregationSpace
from ..courses import known_sources, source_of
from ..inputs import ReportInputs
from ..link_maps import LinkCell, StageMap, shares, stage_maps
from ..networks import labelled, networks, target_of
from ..rule_overlap import RuleOverlap, rule_overlap
from ..source import Source, distinct
from ..style import Style, comment, panels
from ..wirings import Wiring, Wirings
from . import ReportFigure, figures

_SIDE = 0.88
_MOST_COUNTED = 12


@dataclass(frozen=True)
class Chosen:
    """What networks of one structure chose.

    Attributes:
        label: Who chose: `learned, fashion-mnist on local-ort`, `for local-ort`.
        shares: Of each link that is a choice, in how much of the networks it is open.
        overlap: How close they are to the rule; None where no link was chosen.
    """

    label: str
    networks: int
    base: int
    stages: tuple[StageMap, ...]
    shares: tuple[float, ...]
    overlap: RuleOverlap | None
    sources: tuple[Source, ...]


@figures.register("wiring_offsets")
class WiringOffsets(ReportFigure[Chosen]):
    """Which earlier outputs each layer was made to read."""

    title = "Which links were chosen"
    about = (
        "Each column is a layer, or the stage's output; each row is how far back what it reads "
        "lies. The stronger a cell's colour, the more of the networks have the link; where there "
        "are several, numbers count them. Outlined: the links of the exponential rule."
    )
    needs = (
        "No network of links was searched; search one with: elat search --space aggregation-tiny, "
        "or study them with: elat study CONFIG."
    )
    place = 36

    def collect(self, inputs: ReportInputs) -> tuple[Chosen, ...]:
        """The learned networks of each study, and the searched ones of each space."""
        return (*_of_studies(inputs), *_of_runs(inputs))

    def sources(self, rows: tuple[Chosen, ...]) -> tuple[Source, ...]:
        return distinct(source for row in rows for source in row.sources)

    def describe(self, rows: tuple[Chosen, ...]) -> str:
        """How close the chosen links are to the exponential rule."""
        parts = [
            f"{_named(row)}, base {row.base}: {row.overlap or 'no link was chosen'}."
            for row in rows
        ]
        return f"Chosen links. {' '.join(part[:1].upper() + part[1:] for part in parts)}"

    def draw(self, rows: tuple[Chosen, ...], style: Style) -> Figure:
        shown = [(row, stage) for row in rows for stage in row.stages]
        figure, axes = panels(style, len(shown), height_in=3.6)
        for one, (row, stage) in zip(axes, shown, strict=True):
            _draw_stage(one, row, stage, style, is_titled=len(rows) > 1)
        _legend(figure, rows, style)
        return figure


def _of_studies(inputs: ReportInputs) -> Iterator[Chosen]:
    for study in inputs.wirings:
        found: dict[object, list[tuple[AggregationSpace, Architecture]]] = {}
        for space, architecture in _learned(study):
            found.setdefault(space.nodes, []).append((space, architecture))
        for members in found.values():
            label = f"learned, {study.title}"
            yield _chosen(label, study.base, members, study.sources)


def _learned(study: Wirings) -> Iterator[tuple[AggregationSpace, Architecture]]:
    for row in study.rows:
        if row.wiring is Wiring.LEARNED:
            space = space_from_description(row.space)
            if isinstance(space, AggregationSpace):
                yield space, row.architecture


def _of_runs(inputs: ReportInputs) -> Iterator[Chosen]:
    known = known_sources(inputs)
    found: dict[object, list[tuple[AggregationSpace, Architecture]]] = {}
    names: dict[object, list[str]] = {}
    sources: dict[object, list[Source]] = {}
    for item, network in zip(labelled(inputs), networks(inputs), strict=True):
        space = space_from_description(item.run.result.space)
        if isinstance(space, AggregationSpace):
            found.setdefault(space, []).append((space, network.architecture))
            names.setdefault(space, []).append(item.label)
            source = source_of(item.run, target_of(item.run), known)
            sources.setdefault(space, []).extend([] if source is None else [source])
    for key, members in found.items():
        label = ", ".join(names[key]) if len(members) < 3 else f"searched in {members[0][0].name}"
        base = members[0][0].settings.base
        yield _chosen(label, base, members, distinct(sources[key]))


def _chosen(
    label: str,
    base: int,
    members: Sequence[tuple[AggregationSpace, Architecture]],
    sources: tuple[Source, ...],
) -> Chosen:
    space = members[0][0]
    architectures = [architecture for _, architecture in members]
    return Chosen(
        label, len(members), base, stage_maps(space, base), shares(architectures),
        rule_overlap(space, architectures, base), sources,
    )  # fmt: skip


def _named(row: Chosen) -> str:
    return row.label if row.networks == 1 else f"{row.label} ({row.networks} networks)"


def _draw_stage(
    axes: Axes, row: Chosen, stage: StageMap, style: Style, *, is_titled: bool
) -> None:
    theme = style.theme
    free = [cell for cell in stage.cells if cell.choice is not None]
    kept = [cell for cell in stage.cells if cell.choice is None]
    # A share is how opaque the accent is: it is then right on either theme's ground.
    _cells(axes, stage.cells, [to_rgba(theme.line)] * len(stage.cells))
    _cells(axes, free, [to_rgba(style.accent(0), _share(row, cell)) for cell in free])
    _cells(axes, kept, [to_rgba(theme.muted, 0.75)] * len(kept))
    for cell in stage.cells:
        if cell.is_on_rule:
            axes.add_patch(
                Rectangle(
                    _corner(cell), _SIDE, _SIDE, fill=False, edgecolor=style.accent(1),
                    linewidth=1.3, zorder=4,
                )
            )  # fmt: skip
    if row.networks > 1 and stage.size <= _MOST_COUNTED:
        for cell in free:
            share = _share(row, cell)
            axes.text(
                cell.number, cell.offset, f"{share * row.networks:.0f}", ha="center",
                va="center_baseline", fontsize=5.8, zorder=5,
                color=theme.surface if share > 0.55 else theme.ink,
            )  # fmt: skip
    axes.set_xticks(list(stage.ticks), list(stage.ticks.values()))
    axes.set_yticks(stage.offset_ticks)
    axes.set(
        xlim=(0.4, stage.size + 0.6), ylim=(0.4, stage.size + 0.6), aspect="equal",
        title=f"{row.label}: {stage.title}" if is_titled else stage.title,
        xlabel="layer", ylabel="offset",
    )  # fmt: skip
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if stage.stage == 0 and row.overlap is not None:
        comment(
            axes, style,
            f"on the rule {row.overlap.on_rule:.0%}\nby chance {row.overlap.expected_on_rule:.0%}",
        )  # fmt: skip


def _share(row: Chosen, cell: LinkCell) -> float:
    return 0.0 if cell.choice is None else row.shares[cell.choice]


def _cells(
    axes: Axes, cells: Sequence[LinkCell], colours: Sequence[tuple[float, float, float, float]]
) -> None:
    boxes = [Rectangle(_corner(cell), _SIDE, _SIDE) for cell in cells]
    axes.add_collection(PatchCollection(boxes, facecolors=colours, linewidths=0))


def _corner(cell: LinkCell) -> tuple[float, float]:
    return cell.number - _SIDE / 2, cell.offset - _SIDE / 2


def _legend(figure: Figure, rows: Sequence[Chosen], style: Style) -> None:
    theme, accent = style.theme, style.accent(0)
    handles = [
        Patch(facecolor=theme.line, label="closed"),
        Patch(facecolor=accent, label="open"),
        Patch(
            facecolor="none", edgecolor=style.accent(1), linewidth=1.3, label="exponential rule"
        ),
    ]
    if any(row.networks > 1 for row in rows):
        handles[1] = Patch(facecolor=accent, label="open in all networks")
        handles.insert(1, Patch(facecolor=accent, alpha=0.5, label="in half of them"))
    if any(cell.choice is None for row in rows for stage in row.stages for cell in stage.cells):
        handles.append(Patch(facecolor=theme.muted, alpha=0.75, label="always read"))
    figure.legend(
        handles=handles, loc="outside upper left", ncols=2 if style.is_narrow else len(handles),
        borderaxespad=0.2, columnspacing=1.4, handletextpad=0.5,
    )  # fmt: skip
