"""Sum of several tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..graph.ir import Activation, GraphBuilder, Value
from . import operators
from .activations import ACTIVATIONS, activation_layer
from .add import Add
from .base import Shape
from .checks import coerce, require, require_positive
from .composite import Composite

if TYPE_CHECKING:
    from torch import nn


@operators.register("sum")
@dataclass(frozen=True)
class Sum(Composite):
    """Elementwise sum of two or more inputs of one shape, and an activation.

    Lowered to a chain of additions, and not to ONNX's `Sum` or TFLite's `ADD_N`. In networks of 2
    to 64 inputs (docs/aggregation-cost.md), `Sum` took 0.95 to 1.04 times as long as the chain, up
    to 1.9 times where ONNX Runtime puts additions into the convolutions before them; `ADD_N` took
    1.03 to 1.34 times as long, and there is none for int8. A tree took 0.8 to 1.27 times as long.

    Args:
        count: How many inputs.
        activation: `none`, `relu`, `relu6` or `hswish`.
    """

    count: int
    channels: int
    resolution: int
    activation: Activation = Activation.NONE

    def __post_init__(self) -> None:
        require_positive(self, "count", "channels", "resolution")
        require(self.count >= 2, self, f"count must be at least 2, found {self.count}")
        coerce(self, "activation", Activation, ACTIVATIONS)

    @cached_property
    def parts(self) -> tuple[Add, ...]:
        """The additions in order; the last one has the activation."""
        plain = (Add(self.channels, self.resolution),) * (self.count - 2)
        return (*plain, Add(self.channels, self.resolution, self.activation))

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return (self.output_shape,) * self.count

    @property
    def output_shape(self) -> Shape:
        return (self.channels, self.resolution, self.resolution)

    def build(self) -> nn.Module:
        from ..joins import Total

        return Total(activation_layer(self.activation))

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        total = inputs[0]
        for part, value in zip(self.parts, inputs[1:], strict=True):
            total = builder.add(total, value, part.activation)
        return total

    def __str__(self) -> str:
        act = "" if self.activation is Activation.NONE else f" {self.activation}"
        return f"Sum {self.count}x{self.channels} {self.resolution}²{act}"
