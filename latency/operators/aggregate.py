"""A layer that reads several earlier outputs: aggregation, batch norm, ReLU, convolution."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from ..graph.ir import Activation, GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .batch_norm import BatchNorm
from .checks import coerce, require_positive
from .composite import Composite
from .concat import Concat
from .conv import Conv, Norm
from .sum import Sum

if TYPE_CHECKING:
    from torch import nn


class How(StrEnum):
    """How outputs are aggregated: one behind the other, or added up."""

    CONCAT = "concat"
    SUM = "sum"


@operators.register("aggregate")
@dataclass(frozen=True)
class Aggregate(Composite):
    """`sources` inputs of `channels` each, joined, normalised, rectified and convolved.

    The layer of DenseNet (Huang et al. 2017, section 3) and SparseNet (Zhu et al. 2018) where the
    inputs are concatenated, and of a pre-activation ResNet's kind where they are added up. The
    convolution has stride 1 and no norm of its own: the readers of its output normalise it.

    Args:
        sources: How many earlier outputs are read.
        resolution: Side of the square image, in pixels; it stays.
        kernel: Side of the square window; odd.
        how: `concat` or `sum`.
    """

    sources: int
    channels: int
    out_channels: int
    resolution: int
    kernel: int
    how: How = How.CONCAT

    def __post_init__(self) -> None:
        require_positive(self, "sources", "channels", "out_channels", "resolution", "kernel")
        coerce(self, "how", How, tuple(How))
        _ = self.parts

    @cached_property
    def parts(self) -> tuple[Operator, ...]:
        """What is executed, in order: the join (none for one input), the norm, the convolution."""
        channels, side = self.channels, self.resolution
        joins: tuple[Operator, ...] = ()
        if self.sources > 1 and self.how is How.CONCAT:
            joins = (Concat((channels,) * self.sources, side),)
            channels *= self.sources
        elif self.sources > 1:
            joins = (Sum(self.sources, channels, side),)
        norm = BatchNorm(channels, side, Activation.RELU)
        conv = Conv(
            channels, self.out_channels, side, self.kernel, activation=Activation.NONE,
            norm=Norm.NONE,
        )  # fmt: skip
        return (*joins, norm, conv)

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return ((self.channels, self.resolution, self.resolution),) * self.sources

    @property
    def output_shape(self) -> Shape:
        return (self.out_channels, self.resolution, self.resolution)

    def build(self) -> nn.Module:
        """A module with `norm` and `conv`, as `BatchNorm` and `Conv` build them."""
        from ..blocks import Aggregated

        *_, norm, conv = self.parts
        return Aggregated(norm.build(), conv.build(), adds=self.how is How.SUM)

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        *joins, norm, conv = self.parts
        value = inputs[0]
        for join in joins:
            value = join.emit(builder, module, inputs)
        value = norm.emit(builder, module.get_submodule("norm"), (value,))
        return conv.emit(builder, module.get_submodule("conv"), (value,))

    def __str__(self) -> str:
        return (
            f"Aggregate {self.sources}x{self.channels}→{self.out_channels} {self.resolution}² "
            f"k{self.kernel} {self.how}"
        )
