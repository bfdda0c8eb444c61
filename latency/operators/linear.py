"""Fully connected layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .checks import require_positive

if TYPE_CHECKING:
    from torch import nn


@operators.register("linear")
@dataclass(frozen=True)
class Linear(Operator):
    """Matrix product with bias."""

    in_features: int
    out_features: int

    def __post_init__(self) -> None:
        require_positive(self, "in_features", "out_features")

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return ((self.in_features,),)

    @property
    def output_shape(self) -> Shape:
        return (self.out_features,)

    @property
    def macs(self) -> int:
        return self.in_features * self.out_features

    @property
    def params(self) -> int:
        return self.macs + self.out_features

    @property
    def traffic_elements(self) -> int:
        return self.in_features + self.params + self.out_features

    def build(self) -> nn.Module:
        from torch import nn

        return nn.Linear(self.in_features, self.out_features)

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        from ..graph.fold import plain_weights

        return builder.linear(inputs[0], *plain_weights(module))

    def __str__(self) -> str:
        return f"Linear {self.in_features}→{self.out_features}"
