"""What every operator answers: shapes, costs, a torch module and its lowered graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import Graph, GraphBuilder, Shape, Value

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Operator", "Shape"]


@dataclass(frozen=True)
class Operator(ABC):
    """One operator with everything that decides its latency except where it runs.

    Instances are frozen, hashable and comparable: they *are* the keys of tables. Shapes are of one
    sample, without the batch axis; the batch is part of the condition.
    """

    @property
    @abstractmethod
    def input_shapes(self) -> tuple[Shape, ...]:
        """One shape per input: `(channels, height, width)` or `(channels,)`."""

    @property
    @abstractmethod
    def output_shape(self) -> Shape:
        """Shape of the output of one sample."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-adds of one sample (one multiply-add is one MAC)."""

    @property
    @abstractmethod
    def params(self) -> int:
        """Trainable parameters of `build()`, batch norm's scale and shift included."""

    @property
    @abstractmethod
    def traffic_elements(self) -> int:
        """Tensor elements that the folded primitives read and write for one sample, weights too.

        Times the bytes of an element this is the memory traffic if nothing stays in a cache.
        """

    @property
    def is_free(self) -> bool:
        """Whether the operator executes nothing, so that its latency is 0 by definition."""
        return False

    @abstractmethod
    def build(self) -> nn.Module:
        """The operator as a module, from `(batch, *shape)` to `(batch, *output_shape)`."""

    @abstractmethod
    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        """Append what `module` (from `build()`, in eval mode) executes on `inputs`.

        Raises:
            UnsupportedOperatorError: There is nothing to execute, or no primitive for it.
        """

    def lower(self, module: nn.Module, batch: int = 1) -> Graph:
        """The whole operator as a graph with the weights of `module`, batch norm folded."""
        builder = GraphBuilder()
        inputs = tuple(builder.input((batch, *shape)) for shape in self.input_shapes)
        return builder.finish(self.emit(builder, module, inputs))
