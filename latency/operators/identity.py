"""A copy of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .checks import require_positive

if TYPE_CHECKING:
    from torch import nn


@operators.register("identity")
@dataclass(frozen=True)
class Identity(Operator):
    """The input itself; measured alone, it is the cost of one copy and of the call."""

    channels: int
    resolution: int

    def __post_init__(self) -> None:
        require_positive(self, "channels", "resolution")

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return (self.output_shape,)

    @property
    def output_shape(self) -> Shape:
        return (self.channels, self.resolution, self.resolution)

    @property
    def macs(self) -> int:
        return 0

    @property
    def params(self) -> int:
        return 0

    @property
    def traffic_elements(self) -> int:
        return 2 * self.channels * self.resolution**2

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Identity()

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        return builder.identity(inputs[0])

    def __str__(self) -> str:
        return f"Identity {self.channels} {self.resolution}²"
