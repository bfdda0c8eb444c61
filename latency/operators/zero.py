"""The operator that executes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from ...core.errors import UnsupportedOperatorError
from ..graph.ir import GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .checks import require_positive

if TYPE_CHECKING:
    from torch import nn


@operators.register("zero")
@dataclass(frozen=True)
class Zero(Operator):
    """An output of zeros, which nobody computes: its latency is 0 by definition.

    As the residual branch of a block it leaves the block's shortcut alone, so that choosing it
    removes the block; in a `Chain` it therefore passes its input on.
    """

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
        return 0

    @property
    def is_free(self) -> bool:
        return True

    def build(self) -> nn.Module:
        from ..blocks import Zeros

        return Zeros()

    def emit(
        self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]
    ) -> NoReturn:
        raise UnsupportedOperatorError(
            f"{self} executes nothing and is never lowered; its latency is 0 by definition."
        )

    def __str__(self) -> str:
        return f"Zero {self.channels} {self.resolution}²"
