"""Operators that are made of others, and cost what these do together."""

from __future__ import annotations

from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import GraphBuilder, Value
from .base import Operator, Shape

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Composite(Operator):
    """An operator whose costs are the sums of those of its parts."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Operator, ...]:
        """What is executed, in order."""

    @property
    def macs(self) -> int:
        return sum(part.macs for part in self.parts)

    @property
    def params(self) -> int:
        return sum(part.params for part in self.parts)

    @property
    def traffic_elements(self) -> int:
        return sum(part.traffic_elements for part in self.parts)


@dataclass(frozen=True)
class Sequential(Composite):
    """Parts one after another, each a sub-module of its own name."""

    @property
    @abstractmethod
    def named_parts(self) -> Mapping[str, Operator]:
        """The parts in order, by the name of their sub-module."""

    @property
    def parts(self) -> tuple[Operator, ...]:
        return tuple(self.named_parts.values())

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return self.parts[0].input_shapes

    @property
    def output_shape(self) -> Shape:
        return self.parts[-1].output_shape

    def build(self) -> nn.Module:
        """A sequence of the parts."""
        from torch import nn

        return nn.Sequential(
            OrderedDict((name, part.build()) for name, part in self.named_parts.items())
        )

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        value = inputs[0]
        for name, part in self.named_parts.items():
            value = part.emit(builder, module.get_submodule(name), (value,))
        return value
