"""Operators one after another: a part of a network, or all of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..graph.ir import GraphBuilder, Value
from . import operators
from .base import Operator, Shape
from .checks import require
from .composite import Composite

if TYPE_CHECKING:
    from torch import nn


@operators.register("chain")
@dataclass(frozen=True)
class Chain(Composite):
    """Single-input operators one after another; each takes the shape its predecessor gives.

    Free operators (`Zero`) pass their input on: they are skipped in the graph and built as
    identities, so that the module keeps one sub-module for every operator.
    """

    operators: tuple[Operator, ...]

    def __post_init__(self) -> None:
        valid = isinstance(self.operators, tuple) and all(
            isinstance(operator, Operator) for operator in self.operators
        )
        require(valid, self, f"operators must be a tuple of operators, found {self.operators!r}")
        require(len(self.operators) > 0, self, "at least one operator is needed")
        for operator in self.operators:
            count = len(operator.input_shapes)
            require(count == 1, self, f"{operator} has {count} inputs, a chain passes on one")
        for first, second in zip(self.operators, self.operators[1:], strict=False):
            require(
                first.output_shape == second.input_shapes[0],
                self,
                f"{first} gives {first.output_shape}, {second} takes {second.input_shapes[0]}",
            )

    @property
    def input_shapes(self) -> tuple[Shape, ...]:
        return self.operators[0].input_shapes

    @property
    def output_shape(self) -> Shape:
        return self.operators[-1].output_shape

    @property
    def parts(self) -> tuple[Operator, ...]:
        return self.operators

    @property
    def is_free(self) -> bool:
        return all(operator.is_free for operator in self.operators)

    def build(self) -> nn.Module:
        """A sequence with one sub-module for every operator, in order."""
        from torch import nn

        return nn.Sequential(
            *(nn.Identity() if op.is_free else op.build() for op in self.operators)
        )

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        if self.is_free:
            return self.operators[0].emit(builder, module, inputs)
        value = inputs[0]
        for index, operator in enumerate(self.operators):
            if not operator.is_free:
                value = operator.emit(builder, module.get_submodule(str(index)), (value,))
        return value

    def __str__(self) -> str:
        if len(self.operators) <= 3:
            return "Chain [" + ", ".join(map(str, self.operators)) + "]"
        return (
            f"Chain of {len(self.operators)} operators "
            f"[{self.operators[0]}, …, {self.operators[-1]}]"
        )
