"""Networks of stages in which layers aggregate earlier outputs: one builder for every family."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ...latency.graph.ir import Activation, Pooling
from ...latency.operators.channel_pad import ChannelPad
from ...latency.operators.channel_slice import ChannelSlice
from ...latency.operators.conv import Conv, Norm
from ...latency.operators.dag import Dag
from ...latency.operators.dag_builder import DagBuilder
from ...latency.operators.global_pool import GlobalPool
from ...latency.operators.linear import Linear
from ...latency.operators.pool import Pool
from .joins import Aggregator, Join, Output
from .layers import Layer, normed, point
from .topology import Topology

IMAGE_CHANNELS = 3


class Shortcut(StrEnum):
    """How what enters a stage of other width or resolution becomes its output 0."""

    ZEROS = "zeros"
    """Every second pixel, and zeros for the new channels (He et al. 2016, option A)."""
    COMMON = "common"
    """A 1x1 convolution behind the norm and ReLU of the first layer (He et al. 2016b)."""
    OWN = "own"
    """A 1x1 convolution behind a norm and ReLU of its own (dual path networks)."""


@dataclass(frozen=True)
class Stage:
    """Layers of one resolution.

    Args:
        topology: What each layer reads, and as its last row what the stage's output reads.
        layer: What each layer computes.
        join: How layers join what they read.
        shortcut: How the input becomes output 0, and its width; the first layer reads the input
            itself. None where output 0 is the input.
        inner: With a shortcut, the leading channels of output 0 that are its inner part.
        stride: With a shortcut, by how much resolution falls.
        runs: Whether the sum of all outputs so far is kept, as in residual networks.
    """

    topology: Topology
    layer: Layer
    join: Join = Join.APART
    shortcut: tuple[Shortcut, int] | None = None
    inner: int = 0
    stride: int = 1
    runs: bool = True

    def add(self, builder: DagBuilder, value: int) -> int:
        """The output of the stage on `value`: what it aggregates."""
        rows = self.topology.sources[:-1]
        if self.shortcut is None:
            # Where nothing is concatenated, the input is the first summand.
            first = Output(outer=value) if self.layer.outer else Output(inner=value)
            aggregator = Aggregator(builder, first, self.join, runs=self.runs)
        else:
            output, first = self._enter(builder, value, *self.shortcut)
            aggregator = Aggregator(builder, first, self.join, runs=self.runs)
            aggregator.append(output)
            rows = rows[1:]
        for read in rows:
            aggregator.append(self.layer.add(builder, aggregator.read(read)))
        return aggregator.read(self.topology.sources[-1])

    def _enter(
        self, builder: DagBuilder, value: int, shortcut: Shortcut, width: int
    ) -> tuple[Output, Output]:
        """The output of the first layer, and output 0."""
        is_common = shortcut is Shortcut.COMMON
        entering = normed(builder, value) if is_common else value
        if shortcut is Shortcut.ZEROS:
            passed = _with_zeros(builder, value, width, self.stride)
        else:
            before = entering if is_common else normed(builder, value)
            passed = point(builder, before, width, self.stride)
        output = self.layer.add(builder, entering, self.stride, is_normed=is_common)
        if not self.layer.outer:
            return output, Output(inner=passed)
        channels, side, _ = builder.shape(passed)
        parts = ((0, self.inner), (self.inner, channels))
        inner, outer = (builder.add(ChannelSlice(channels, side, *p), passed) for p in parts)
        return output, Output(inner, outer)


@dataclass(frozen=True)
class Transition:
    """Batch norm, ReLU, a 1x1 convolution and 2x2 average pooling between two stages.

    Args:
        width: The width behind it, of the width before it.
    """

    width: Callable[[int], int]

    def add(self, builder: DagBuilder, value: int) -> int:
        """The input of the next stage."""
        channels = self.width(builder.shape(value)[0])
        value = point(builder, normed(builder, value), channels)
        return builder.add(Pool(channels, builder.shape(value)[1], 2, 2, Pooling.AVERAGE), value)


@dataclass(frozen=True)
class Stem:
    """What is done to the image first.

    Args:
        channels: Width of the output.
        kernel: Side of the window; 7 and 3 with `halves` for ImageNet.
        halves: Whether the convolution has stride 2, norm and ReLU, and a 3x3 maximum of stride 2
            behind it; else it is a convolution alone.
    """

    channels: int
    kernel: int = 3
    halves: bool = False

    def add(self, builder: DagBuilder) -> int:
        """The input of the first stage."""
        side = builder.shape(0)[1]
        if not self.halves:
            none = Activation.NONE
            bare = Conv(
                IMAGE_CHANNELS, self.channels, side, self.kernel, activation=none, norm=Norm.NONE
            )
            return builder.add(bare, 0)
        conv = Conv(
            IMAGE_CHANNELS, self.channels, side, self.kernel, 2, activation=Activation.RELU
        )
        value = builder.add(conv, 0)
        return builder.add(Pool(self.channels, conv.out_resolution, 3, 2, Pooling.MAX), value)


@dataclass(frozen=True)
class AggregationNetwork:
    """Stem, stages with transitions between them, norm, ReLU, global pooling, classifier.

    Args:
        transition: Between stages; None where stages enter by shortcuts.
    """

    stem: Stem
    stages: tuple[Stage, ...]
    transition: Transition | None = None

    def network(self, classes: int, resolution: int) -> Dag:
        """The network for images of `resolution` pixels a side."""
        builder = DagBuilder((IMAGE_CHANNELS, resolution, resolution))
        value = self.stem.add(builder)
        for index, stage in enumerate(self.stages):
            if index > 0 and self.transition is not None:
                value = self.transition.add(builder, value)
            value = stage.add(builder, value)
        value = normed(builder, value)
        channels, side, _ = builder.shape(value)
        value = builder.add(GlobalPool(channels, side), value)
        builder.add(Linear(channels, classes), value)
        return builder.finish()

    @property
    def links(self) -> int:
        """What layers and stage outputs read, all stages together."""
        return sum(stage.topology.links for stage in self.stages)


def _with_zeros(builder: DagBuilder, value: int, width: int, stride: int) -> int:
    channels, side, _ = builder.shape(value)
    if stride > 1:
        value = builder.add(Pool(channels, side, 1, stride, Pooling.MAX), value)
        side = builder.shape(value)[1]
    if width > channels:
        value = builder.add(ChannelPad(channels, width, side), value)
    return value
