"""Spaces of links: which earlier outputs each layer aggregates (Zhu et al. 2018, section 3).

The networks are DenseNet's and SparseNet's (Huang et al. 2017; Zhu et al. 2018) with one width a
stage, so that a layer's cost depends on how many outputs it reads and not on which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field

from ...core.config import Settings, parse
from ...core.errors import ConfigError
from ...latency.graph.ir import Activation, Pooling
from ...latency.operators import Operator
from ...latency.operators.aggregate import Aggregate, How
from ...latency.operators.batch_norm import BatchNorm
from ...latency.operators.conv import Conv, Norm
from ...latency.operators.dag_builder import DagBuilder
from ...latency.operators.global_pool import GlobalPool
from ...latency.operators.linear import Linear
from ...latency.operators.pool import Pool
from ..aggregation.topology import Topology
from ..architecture import Architecture
from . import families
from .base import Row, SearchSpace
from .links import Node, best_links, count_wirings, in_degrees, node_scores, readers, unread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    from ...latency.operators.dag import Dag

_NAME = "aggregation"
_DRAWS = 10_000
OPEN = 1


class Candidates(StrEnum):
    """Which links may be chosen: all, or those of the exponential rule and some more."""

    ALL = "all"
    EXPONENTIAL = "exponential"


class Previous(StrEnum):
    """Whether every layer reads the one before it, or chooses that link as well."""

    KEPT = "kept"
    FREE = "free"


class StageSettings(Settings):
    """Layers at one resolution, each of the same width.

    Attributes:
        growth: Channels of every layer's output, and of the stage's input.
    """

    layers: int = Field(ge=1)
    growth: int = Field(ge=1)


class AggregationSettings(Settings):
    """What a YAML file of this family says.

    Attributes:
        stem_stride: Of the 3x3 convolution on the image.
        how: How a layer joins the outputs that it reads: `concat` or `sum`.
        candidates: `all` links, or `exponential`: the offsets 1, base, base^2, ... of SparseNet.
        base: Of the exponential rule, c in the paper.
        extra: With `exponential`, so many more links a layer: the smallest other offsets.
        previous: Whether the link to the layer before is always there (`kept`) or chosen (`free`,
            with all candidates only).
        head: Channels of the 1x1 convolution on the last stage's outputs.
    """

    resolution: int = Field(ge=4)
    in_channels: int = Field(ge=1)
    classes: int = Field(ge=2)
    stem_stride: int = Field(default=1, ge=1, le=2)
    stages: tuple[StageSettings, ...] = Field(min_length=1)
    how: How = How.CONCAT
    candidates: Candidates = Candidates.ALL
    base: int = Field(default=2, ge=2)
    extra: int = Field(default=0, ge=0)
    previous: Previous = Previous.KEPT
    head: int = Field(ge=1)


@families.register(_NAME)
@dataclass(frozen=True)
class AggregationSpace(SearchSpace):
    """Stages of layers that each read earlier outputs of their stage; every link is a choice.

    A stage has the values 0, its input, to N, the output of its last layer. Layer `l` is an
    aggregation (`Aggregate`) of some of 0 to l - 1 with a 3x3 convolution. Its number N + 1, the
    stage's output, reads some of 0 to N and has a 1x1 convolution: to the next stage's width, with
    2x2 average pooling behind it, or to the head. Behind the head: batch norm, ReLU, global
    pooling, classifier.

    A choice is a link, closed (0) or open (1), numbered by reader and then by source. A row is an
    aggregation, its operators those of 0, 1, 2, ... open links: the probability of each is that of
    a Poisson-binomial in-degree, the sum of independent links.
    """

    title: str
    settings: AggregationSettings

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any], source: str) -> Self:
        space = cls(name, parse(AggregationSettings, dict(settings), source))
        found = space.settings
        if found.candidates is Candidates.ALL and found.extra:
            raise ConfigError(f"{source}: extra: all links are candidates already; leave it out.")
        if found.candidates is not Candidates.ALL and found.previous is Previous.FREE:
            raise ConfigError(f"{source}: previous: free needs candidates: all.")
        if not space.options:
            raise ConfigError(f"{source}: stages: there is no link to choose; give more layers.")
        try:
            _ = space.rows, space.fixed
        except ConfigError as error:
            raise ConfigError(f"{source}: these settings give no network: {error}") from error
        return space

    def describe(self) -> dict[str, Any]:
        return {"family": _NAME, "name": self.title, **self.settings.model_dump(mode="json")}

    @property
    def name(self) -> str:
        return self.title

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every aggregation in execution order: the layers of a stage, and then its output."""
        found: list[Node] = []
        first = 0
        for stage, settings in enumerate(self.settings.stages):
            for number in range(1, settings.layers + 2):
                kept, free = self._sources(number)
                found.append(Node(stage, number, settings.layers, kept, free, first))
                first += len(free)
        return tuple(found)

    def _sources(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What aggregation `number` always reads, and what it may read besides."""
        s = self.settings
        keeps = s.previous is Previous.KEPT or number == 1
        kept = (number - 1,) if keeps else ()
        candidates = set(range(number))
        if s.candidates is Candidates.EXPONENTIAL:
            rule = set(Topology.exponential(number, s.base).sources[-1])
            nearest = sorted(candidates - rule, reverse=True)
            candidates = rule | set(nearest[: s.extra])
        return kept, tuple(sorted(candidates - set(kept)))

    @cached_property
    def options(self) -> tuple[int, ...]:
        return (2,) * sum(len(node.free) for node in self.nodes)

    def option_label(self, choice: int, option: int) -> str:
        return "open" if option == OPEN else "closed"

    def is_left_out(self, choice: int, option: int) -> bool:
        return option != OPEN

    @cached_property
    def stem(self) -> Conv:
        """The convolution on the image."""
        s = self.settings
        return Conv(
            s.in_channels, s.stages[0].growth, s.resolution, 3, s.stem_stride,
            activation=Activation.NONE, norm=Norm.NONE,
        )  # fmt: skip

    @cached_property
    def sides(self) -> tuple[int, ...]:
        """Resolution of each stage, in pixels."""
        found = [self.stem.out_resolution]
        for stage, _ in enumerate(self.settings.stages[1:]):
            found.append(self.pool(stage, found[-1]).output_shape[1])
        return tuple(found)

    def pool(self, stage: int, side: int) -> Pool:
        """What halves the image of `side` pixels behind `stage`."""
        return Pool(self.settings.stages[stage + 1].growth, side, 2, 2, Pooling.AVERAGE)

    @cached_property
    def tail(self) -> tuple[Operator, ...]:
        """What follows the last aggregation."""
        head, side = self.settings.head, self.sides[-1]
        norm = BatchNorm(head, side, Activation.RELU)
        return norm, GlobalPool(head, side), Linear(head, self.settings.classes)

    @cached_property
    def fixed(self) -> tuple[Operator, ...]:
        pools = (self.pool(stage, side) for stage, side in enumerate(self.sides[:-1]))
        return (self.stem, *pools, *self.tail)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        return tuple(
            tuple(
                self.aggregate(node, degree) if degree else None
                for degree in range(len(node.kept), len(node.kept) + len(node.free) + 1)
            )
            for node in self.nodes
        )

    def aggregate(self, node: Node, degree: int) -> Aggregate:
        """The operator of `node` where it reads `degree` outputs."""
        stages = self.settings.stages
        out, kernel = stages[node.stage].growth, 3
        if node.is_output:
            kernel = 1
            is_last = node.stage + 1 == len(stages)
            out = self.settings.head if is_last else stages[node.stage + 1].growth
        channels, side = stages[node.stage].growth, self.sides[node.stage]
        return Aggregate(degree, channels, out, side, kernel, self.settings.how)

    @cached_property
    def size(self) -> int:
        if self.settings.previous is Previous.KEPT:
            return 1 << len(self.options)
        return prod([count_wirings(stage.layers) for stage in self.settings.stages])

    @property
    def is_additive(self) -> bool:
        return False

    def row_probabilities(self, probs: Tensor) -> Tensor:
        """The distribution of every in-degree: Poisson-binomial, exact and differentiable."""
        return in_degrees(self.nodes, probs[..., OPEN])

    def row_choices(self, choices: Sequence[int]) -> tuple[int, ...]:
        return tuple(sum(choices[node.first : node.behind]) for node in self.nodes)

    def row_scores(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return node_scores(self.nodes, scores)

    def from_rows(
        self, rows: Sequence[int], scores: NDArray[np.float64] | None = None
    ) -> tuple[int, ...]:
        return best_links(self.nodes, rows, scores)

    def coverage(self) -> tuple[tuple[int, ...], ...]:
        return readers(self.nodes)

    def counted(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(range(node.first, node.behind)) for node in self.nodes)

    def capacity(self) -> NDArray[np.float64]:
        import numpy as np

        return np.tile([-1.0, 0.0], (len(self.options), 1))

    def fault(self, choices: Sequence[int]) -> str | None:
        for node in self.nodes:
            if not node.sources(choices):
                return f"{node} reads nothing"
        if (missing := unread(self.nodes, choices)) is not None:
            stage, number = missing
            return f"nothing reads output {number} of stage {stage + 1}"
        return None

    def sources(self, architecture: Architecture) -> tuple[tuple[tuple[int, ...], ...], ...]:
        """Of each stage, what each aggregation reads: layers 1 to N, and the stage's output."""
        self.check(architecture)
        stages: list[list[tuple[int, ...]]] = [[] for _ in self.settings.stages]
        for node in self.nodes:
            stages[node.stage].append(node.sources(architecture.choices))
        return tuple(map(tuple, stages))

    def of_sources(self, sources: Sequence[Sequence[Sequence[int]]]) -> Architecture:
        """The architecture in which aggregations read `sources`, as `sources()` gives them.

        Raises:
            ConfigError: A link is no candidate, or a kept one is missing.
        """
        choices: list[int] = []
        for node in self.nodes:
            wanted = set(sources[node.stage][node.number - 1])
            if not set(node.kept) <= wanted or not wanted <= {*node.kept, *node.free}:
                raise ConfigError(
                    f"{node} of {self.name} cannot read {sorted(wanted)}: it reads {node.kept} "
                    f"always and of {node.free} what is chosen."
                )
            choices += [int(source in wanted) for source in node.free]
        found = Architecture(self.name, tuple(choices))
        self.check(found)
        return found

    def operators(self, architecture: Architecture) -> tuple[Operator, ...]:
        return self.network(architecture).operators

    def all_operators(self) -> tuple[Operator, ...]:
        found: dict[Operator, None] = dict.fromkeys(self.fixed)
        for row in self.rows:
            found |= dict.fromkeys(operator for operator in row if operator is not None)
        return tuple(found)

    def network(self, architecture: Architecture) -> Dag:
        self.check(architecture)
        builder = DagBuilder(self.stem.input_shapes[0])
        values = [builder.add(self.stem, 0)]
        for node in self.nodes:
            sources = node.sources(architecture.choices)
            joined = self.aggregate(node, len(sources))
            values.append(builder.add(joined, *(values[source] for source in sources)))
            if node.is_output:
                value = values[-1]
                if node.stage + 1 < len(self.sides):
                    value = builder.add(self.pool(node.stage, self.sides[node.stage]), value)
                values = [value]
        for operator in self.tail:
            values.append(builder.add(operator, values[-1]))
        return builder.finish()

    def draw(self, count: int, generator: Generator) -> Tensor:
        import torch

        kept: list[Tensor] = []
        for _ in range(_DRAWS):
            drawn = torch.randint(2, (count, len(self.options)), generator=generator)
            kept += [row for row in drawn if self.fault(row.tolist()) is None]
            if len(kept) >= count:
                return torch.stack(kept[:count])
        raise ConfigError(
            f"Hardly any links drawn at random make a network of {self.name}; take previous: kept."
        )

    def text(self, architecture: Architecture) -> str:
        """In-degree of each aggregation, stage by stage: `1 2 2 3 | 1 2 3 3`."""
        return " | ".join(
            " ".join(str(len(read)) for read in stage) for stage in self.sources(architecture)
        )
