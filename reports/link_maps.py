"""The links of a space as they are drawn: by layer and offset, the exponential rule marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..search.architecture import Architecture
from ..search.spaces.aggregation import AggregationSpace
from ..search.spaces.wirings import powers

OUTPUT = "out"
# More numbers than this along an axis cannot be read in a panel of a figure.
_MOST_TICKS = 14


@dataclass(frozen=True)
class LinkCell:
    """One link of a stage.

    Attributes:
        number: The aggregation that reads: a layer from 1, or behind the last the output.
        offset: How far back what it reads lies; 1 is the layer before.
        choice: The link's number in the space; None where it is always read.
        is_on_rule: Whether the exponential rule has it.
    """

    number: int
    offset: int
    choice: int | None
    is_on_rule: bool


@dataclass(frozen=True)
class StageMap:
    """All candidate links of a stage of so many layers."""

    stage: int
    layers: int
    cells: tuple[LinkCell, ...]

    @property
    def title(self) -> str:
        return f"stage {self.stage + 1}"

    @property
    def size(self) -> int:
        """Greatest number and offset: those of the stage's output."""
        return self.layers + 1

    @property
    def ticks(self) -> dict[int, str]:
        """Which aggregations are named along an axis: `1`, `2`, ..., `out`."""
        every = -(-self.size // _MOST_TICKS)
        # The name of the output is wider than a number: the last layer gives way to it.
        last = self.size - max(1, self.size // 6)
        return {**{n: str(n) for n in range(1, last + 1, every)}, self.size: OUTPUT}

    @property
    def offset_ticks(self) -> tuple[int, ...]:
        """Which offsets are named along an axis."""
        return tuple(range(1, self.size + 1, -(-self.size // _MOST_TICKS)))


def stage_maps(space: AggregationSpace, base: int) -> tuple[StageMap, ...]:
    """The candidate links of every stage of `space`, against the rule of `base`."""
    found: list[list[LinkCell]] = [[] for _ in space.sides]
    for node in space.nodes:
        rule = powers(node.number, base)
        choices = {source: node.first + k for k, source in enumerate(node.free)}
        found[node.stage] += [
            LinkCell(node.number, node.number - source, choices.get(source), source in rule)
            for source in node.candidates
        ]
    layers = {node.stage: node.layers for node in space.nodes}
    return tuple(StageMap(stage, layers[stage], tuple(cells)) for stage, cells in enumerate(found))


def shares(architectures: Sequence[Architecture]) -> tuple[float, ...]:
    """Of each choice, the share of `architectures` in which the link is open."""
    choices = zip(*(each.choices for each in architectures), strict=True)
    return tuple(sum(column) / len(column) for column in choices)
