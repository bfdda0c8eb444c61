"""Concatenation along the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .checks import require, require_positive

if TYPE_CHECKING:
    from torch import nn


@operators.register("concat")
@dataclass(frozen=True)
class Concat(Operator):
    """Inputs of `channels[i]` channels, one behind the other."""

    channels: tuple[int, ...]
    resolution: int

    def __post_init__(self) -> None:
        require_positive(self, "resolution")
        valid = isinstance(self.channels, tuple) and len(self.channels) >= 2
        require(
            valid and all(type(c) is int and c >= 1 for c in self.channels),
            self,
            f"channels must be two or more integers of at least 1, found {self.channels!r}",
        )

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return tuple((c, self.resolution, self.resolution) for c in self.channels)

    @property
    def output_shape(self) -> Shape:
        return (sum(self.channels), self.resolution, self.resolution)

    @property
    def macs(self) -> int:
        return 0

    @property
    def params(self) -> int:
        return 0

    @property
    def traffic_elements(self) -> int:
        return 2 * sum(self.channels) * self.resolution**2

    def build(self) -> nn.Module:
        from ..blocks import Concatenation

        return Concatenation()

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        return builder.concat(inputs)

    def __str__(self) -> str:
        return f"Concat {'+'.join(map(str, self.channels))} {self.resolution}²"
