"""Mean over the whole image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .checks import require_positive

if TYPE_CHECKING:
    from torch import nn


@operators.register("global_pool")
@dataclass(frozen=True)
class GlobalPool(Operator):
    """Mean over height and width: `(channels, r, r)` becomes `(channels,)`."""

    channels: int
    resolution: int

    def __post_init__(self) -> None:
        require_positive(self, "channels", "resolution")

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return ((self.channels, self.resolution, self.resolution),)

    @property
    def output_shape(self) -> Shape:
        return (self.channels,)

    @property
    def macs(self) -> int:
        return 0

    @property
    def params(self) -> int:
        return 0

    @property
    def traffic_elements(self) -> int:
        return self.channels * (self.resolution**2 + 1)

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1))

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        return builder.global_average_pool(inputs[0], keep_dims=False)

    def __str__(self) -> str:
        return f"GlobalPool {self.channels} {self.resolution}²"
