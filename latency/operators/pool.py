"""Window pooling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import GraphBuilder, Pooling, Value
from . import operators
from .base import Operator, Shape
from .checks import coerce, require, require_positive

if TYPE_CHECKING:
    from torch import nn


@operators.register("pool")
@dataclass(frozen=True)
class Pool(Operator):
    """Average or maximum over a square window; averages count the zero padding, as in torch.

    Padding is `(kernel - 1) // 2` on every side: an odd kernel keeps the resolution at stride 1, a
    2x2 window of stride 2 halves it.
    """

    channels: int
    resolution: int
    kernel: int
    stride: int
    pooling: Pooling = Pooling.AVERAGE

    def __post_init__(self) -> None:
        require_positive(self, "channels", "resolution", "kernel", "stride")
        coerce(self, "pooling", Pooling, tuple(Pooling))
        require(
            self.out_resolution >= 1,
            self,
            f"a window of {self.kernel} does not fit an image of {self.resolution}",
        )

    @property
    def padding(self) -> int:
        """Rows and columns of padding on every side."""
        return (self.kernel - 1) // 2

    @property
    def out_resolution(self) -> int:
        """Side of the square output, in pixels."""
        return (self.resolution + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return ((self.channels, self.resolution, self.resolution),)

    @property
    def output_shape(self) -> Shape:
        return (self.channels, self.out_resolution, self.out_resolution)

    @property
    def macs(self) -> int:
        return 0

    @property
    def params(self) -> int:
        return 0

    @property
    def traffic_elements(self) -> int:
        return self.channels * (self.resolution**2 + self.out_resolution**2)

    def build(self) -> nn.Module:
        from torch import nn

        if self.pooling is Pooling.MAX:
            return nn.MaxPool2d(self.kernel, self.stride, self.padding)
        return nn.AvgPool2d(self.kernel, self.stride, self.padding)

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        return builder.pool(inputs[0], self.pooling, self.kernel, self.stride, self.padding)

    def __str__(self) -> str:
        return (
            f"Pool {self.channels} {self.resolution}² {self.pooling} k{self.kernel} s{self.stride}"
        )
