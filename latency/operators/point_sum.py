"""Pointwise convolution of a concatenation, computed in slices without the concatenation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING

from ..graph.ir import Activation, GraphBuilder, Value
from . import operators
from .activations import ACTIVATIONS, activation_layer
from .base import Operator, Shape
from .checks import coerce, require, require_positive
from .composite import Composite
from .concat import Concat
from .conv import Conv, Norm
from .sum import Sum

if TYPE_CHECKING:
    from torch import nn


@operators.register("point_sum")
@dataclass(frozen=True)
class PointSum(Composite):
    """`y = sum_s W_s x_s`, and an activation: a 1x1 convolution of inputs left where they are.

    With `W = [W_1 ... W_n]` it equals the convolution `W` of the concatenated inputs (`plain`),
    which is never written. It is n convolutions and a chain of n - 1 additions.

    Args:
        in_channels: Of each input; two or more.
        resolution: Side of the square image, in pixels.
        activation: `none`, `relu`, `relu6` or `hswish`.
    """

    in_channels: tuple[int, ...]
    out_channels: int
    resolution: int
    activation: Activation = Activation.NONE

    def __post_init__(self) -> None:
        require_positive(self, "out_channels", "resolution")
        valid = isinstance(self.in_channels, tuple) and len(self.in_channels) >= 2
        require(
            valid and all(type(c) is int and c >= 1 for c in self.in_channels),
            self,
            f"in_channels must be two or more integers of at least 1, found {self.in_channels!r}",
        )
        coerce(self, "activation", Activation, ACTIVATIONS)

    @cached_property
    def plain(self) -> tuple[Concat, Conv]:
        """The concatenation and the convolution that compute the same with the same weights."""
        joined = self._point(sum(self.in_channels), self.activation)
        return Concat(self.in_channels, self.resolution), joined

    @cached_property
    def parts(self) -> tuple[Operator, ...]:
        """The convolution of each input, and the sum."""
        points = (self._point(channels, Activation.NONE) for channels in self.in_channels)
        total = Sum(len(self.in_channels), self.out_channels, self.resolution, self.activation)
        return (*points, total)

    def _point(self, channels: int, activation: Activation) -> Conv:
        return Conv(
            channels, self.out_channels, self.resolution, 1, activation=activation, norm=Norm.NONE
        )

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return self.plain[0].input_shapes

    @property
    def output_shape(self) -> Shape:
        return (self.out_channels, self.resolution, self.resolution)

    def build(self) -> nn.Module:
        """A module with `conv`, whose weight is that of the plain convolution."""
        from ..joins import SlicedPoint

        return SlicedPoint(self.in_channels, self.out_channels, activation_layer(self.activation))

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        from ..graph.fold import plain_weights

        weight, bias = plain_weights(module.get_submodule("conv"))
        ends = tuple(accumulate(self.in_channels))
        terms = tuple(
            builder.conv(value, weight[:, end - channels : end].copy(), bias)
            for value, channels, end in zip(inputs, self.in_channels, ends, strict=True)
        )
        return self.parts[-1].emit(builder, module, terms)

    def __str__(self) -> str:
        act = "" if self.activation is Activation.NONE else f" {self.activation}"
        joined = "+".join(map(str, self.in_channels))
        return f"PointSum {joined}→{self.out_channels} {self.resolution}²{act}"
