"""The path-level tree space of ProxylessNAS for CIFAR (Cai et al. 2019, section 4.1).

The search code was never released. The space follows the released network: blocks of PyramidNet
(Han et al. 2017) whose middle is a tree of PathLevel-EAS (Cai et al. 2018), normalising first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, Self

from pydantic import Field

from ...core.config import Settings, parse
from ...core.errors import ConfigError
from ...latency.graph.ir import Activation, Pooling
from ...latency.operators import Operator, Shape
from ...latency.operators.add import Add
from ...latency.operators.batch_norm import BatchNorm
from ...latency.operators.channel_pad import ChannelPad
from ...latency.operators.channel_shuffle import ChannelShuffle
from ...latency.operators.channel_slice import ChannelSlice
from ...latency.operators.conv import Conv, Norm
from ...latency.operators.depth_conv import DepthConv
from ...latency.operators.global_pool import GlobalPool
from ...latency.operators.linear import Linear
from ...latency.operators.point_conv import PointConv
from ...latency.operators.pool import Pool
from ...latency.operators.zero import Zero
from . import families
from .blocks import BlockSpace, ChoiceBlock, Step

_NAME = "path-tree"


class EdgeKind(StrEnum):
    """What may stand on an edge of a tree; shapes stay what they are.

    `DEPTH` is batch norm, ReLU, a depthwise and a pointwise convolution, `POINT` the same without
    the depthwise one. `AVERAGE` is of the image's pixels alone. `IDENTITY` passes its input on.
    """

    DEPTH = "depth"
    POINT = "point"
    AVERAGE = "average"
    MAX = "max"
    IDENTITY = "identity"


class EdgeSettings(Settings):
    """One candidate of every edge; `kernel` and `dilation` are of those kinds that have them."""

    kind: EdgeKind
    kernel: int = Field(default=3, ge=1)
    dilation: int = Field(default=1, ge=1)


class StageSettings(Settings):
    """Blocks at one resolution; the first of them has the stride.

    Attributes:
        widths: Output channels of each block.
    """

    stride: int = Field(ge=1, le=2)
    widths: tuple[int, ...] = Field(min_length=1)


class PathTreeSettings(Settings):
    """What a YAML file of this family says.

    Attributes:
        stem: Width of the 3x3 convolution on the image.
        bottleneck: How many times wider a block's output is than its tree.
        groups: Of the 3x3 convolution at the root, which widens the tree for its parts.
        parts: Into how many equal parts of the channels the root splits; their results are added.
        branches: Edges of the nodes at each level below the root, whose results are added.
        candidates: What may stand on each edge, in this order.
    """

    resolution: int = Field(ge=4)
    in_channels: int = Field(ge=1)
    classes: int = Field(ge=2)
    stem: int = Field(ge=1)
    stages: tuple[StageSettings, ...] = Field(min_length=1)
    bottleneck: int = Field(ge=1)
    groups: int = Field(ge=1)
    parts: int = Field(ge=1)
    branches: tuple[int, ...] = Field(min_length=1)
    candidates: tuple[EdgeSettings, ...] = Field(min_length=2)


@families.register(_NAME)
@dataclass(frozen=True)
class PathTree(BlockSpace):
    """Residual blocks around trees whose edges are chosen.

    A block of bottleneck width c is batch norm, 1x1 convolution to c; batch norm, ReLU, grouped
    3x3 convolution to `parts * c`, shuffle; the tree; batch norm, ReLU, 1x1 convolution to the
    block's width, batch norm; plus the block's input, averaged over 2x2 pixels where the stride is
    2 and padded with zero channels. The tree hands each node of the first level its part x of the
    channels and adds up `x + batch norm(node(x))`. A node hands its input to each of its edges,
    the output of an edge to a node of the next level, and adds up what comes back.

    Edges are choice blocks, numbered from the root down, an edge ahead of those behind it.
    """

    title: str
    settings: PathTreeSettings

    @classmethod
    def from_settings(cls, name: str, settings: Mapping[str, Any], source: str) -> Self:
        space = cls(name, parse(PathTreeSettings, dict(settings), source))
        bottleneck = space.settings.bottleneck
        for width in (width for stage in space.settings.stages for width in stage.widths):
            if width < 1 or width % bottleneck:
                raise ConfigError(
                    f"{source}: stages: a width of {width} is no multiple of the bottleneck "
                    f"{bottleneck}."
                )
        edges = space.settings.candidates
        if len(set(map(repr, edges))) < len(edges):
            raise ConfigError(f"{source}: candidates: one of them occurs twice; leave one out.")
        try:
            _ = space.program
        except ConfigError as error:
            raise ConfigError(f"{source}: these settings give no network: {error}") from error
        return space

    def describe(self) -> dict[str, Any]:
        return {"family": _NAME, "name": self.title, **self.settings.model_dump(mode="json")}

    @property
    def name(self) -> str:
        return self.title

    @property
    def blocks(self) -> tuple[ChoiceBlock, ...]:
        return tuple(self._drawing.blocks)

    @cached_property
    def program(self) -> tuple[Step, ...]:
        return tuple(self._drawing.steps)

    def label(self, operator: Operator) -> str:
        if isinstance(operator, DepthConv):
            apart = f"d{operator.dilation}" if operator.dilation > 1 else ""
            return f"dw{operator.kernel}{apart}"
        if isinstance(operator, Pool):
            return f"{operator.pooling}{operator.kernel}"
        return "skip" if operator.is_free else "pw"

    @cached_property
    def _drawing(self) -> _Drawing:
        """The whole network, drawn from the image to the classes."""
        s = self.settings
        image = (s.in_channels, s.resolution, s.resolution)
        drawing = _Drawing(s, [image])
        x = drawing.convolve(0, s.stem, kernel=3)
        x = drawing.normalise(x, Activation.NONE)
        for stage in s.stages:
            for index, width in enumerate(stage.widths):
                x = drawing.draw_block(x, width, stage.stride if index == 0 else 1)
        x = drawing.normalise(x, Activation.RELU)
        channels, side, _ = drawing.shapes[x]
        x = drawing.place(GlobalPool(channels, side), x)
        drawing.place(Linear(channels, s.classes), x)
        return drawing


@dataclass
class _Drawing:
    """A program as it grows; values are told by their numbers, `shapes` says what they are."""

    settings: PathTreeSettings
    shapes: list[Shape]
    steps: list[Step] = field(default_factory=list)
    blocks: list[ChoiceBlock] = field(default_factory=list)

    def place(self, operator: Operator, *inputs: int) -> int:
        """Number of the output of `operator` on the values `inputs`."""
        self.steps.append(Step(inputs, operator=operator))
        self.shapes.append(operator.output_shape)
        return len(self.steps)

    def choose(self, x: int) -> int:
        """Number of the output of a new choice block on the value `x`."""
        self.steps.append(Step((x,), block=len(self.blocks)))
        self.shapes.append(self.shapes[x])
        channels, side, _ = self.shapes[x]
        edges = (_edge(edge, channels, side) for edge in self.settings.candidates)
        self.blocks.append(ChoiceBlock(tuple(edges)))
        return len(self.steps)

    def convolve(
        self, x: int, width: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> int:
        channels, side, _ = self.shapes[x]
        plain = Conv(
            channels, width, side, kernel, stride, groups, Activation.NONE, norm=Norm.NONE
        )
        return self.place(plain, x)

    def normalise(self, x: int, activation: Activation) -> int:
        channels, side, _ = self.shapes[x]
        return self.place(BatchNorm(channels, side, activation), x)

    def add_up(self, values: list[int]) -> int:
        total, *rest = values
        for value in rest:
            channels, side, _ = self.shapes[total]
            total = self.place(Add(channels, side), total, value)
        return total

    def draw_block(self, x: int, width: int, stride: int) -> int:
        """A residual block to `width` channels."""
        s = self.settings
        inner = width // s.bottleneck
        y = self.convolve(self.normalise(x, Activation.NONE), inner)
        y = self.normalise(y, Activation.RELU)
        y = self.convolve(y, s.parts * inner, kernel=3, stride=stride, groups=s.groups)
        _, side, _ = self.shapes[y]
        if s.groups > 1:
            y = self.place(ChannelShuffle(s.parts * inner, side, s.groups), y)
        y = self._draw_tree(y, inner)
        y = self.convolve(self.normalise(y, Activation.RELU), width)
        y = self.normalise(y, Activation.NONE)
        return self.add_up([self._draw_shortcut(x, width, stride), y])

    def _draw_tree(self, x: int, inner: int) -> int:
        parts = self.settings.parts
        channels, side, _ = self.shapes[x]
        outputs = []
        for index in range(parts):
            part = x
            if parts > 1:
                begin = index * inner
                part = self.place(ChannelSlice(channels, side, begin, begin + inner), x)
            y = self.normalise(self._draw_node(part, 0), Activation.NONE)
            outputs.append(self.add_up([y, part]))
        return self.add_up(outputs)

    def _draw_node(self, x: int, level: int) -> int:
        outputs = []
        for _ in range(self.settings.branches[level]):
            y = self.choose(x)
            is_leaf = level + 1 == len(self.settings.branches)
            outputs.append(y if is_leaf else self._draw_node(y, level + 1))
        return self.add_up(outputs)

    def _draw_shortcut(self, x: int, width: int, stride: int) -> int:
        channels, side, _ = self.shapes[x]
        if stride > 1:
            x = self.place(Pool(channels, side, stride, stride, Pooling.AVERAGE), x)
            _, side, _ = self.shapes[x]
        return x if channels == width else self.place(ChannelPad(channels, width, side), x)


def _edge(edge: EdgeSettings, channels: int, side: int) -> Operator:
    """The candidate that `edge` describes, from `channels` at `side` pixels to the same."""
    match edge.kind:
        case EdgeKind.DEPTH:
            return DepthConv(channels, channels, side, edge.kernel, dilation=edge.dilation)
        case EdgeKind.POINT:
            return PointConv(channels, channels, side)
        case EdgeKind.AVERAGE:
            return Pool(channels, side, edge.kernel, 1, Pooling.AVERAGE, counts_padding=False)
        case EdgeKind.MAX:
            return Pool(channels, side, edge.kernel, 1, Pooling.MAX)
        case EdgeKind.IDENTITY:
            return Zero(channels, side)
