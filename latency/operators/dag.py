"""Operators joined as a directed acyclic graph: a block with branches, or a whole network."""

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


@operators.register("dag")
@dataclass(frozen=True)
class Dag(Composite):
    """Operators in execution order, each with the values that it reads; the last one's is given.

    Value 0 is the network's input and value `k` the output of operator `k - 1`. Free operators
    (`Zero`) pass their input on: they are skipped in the graph and built as identities, so that
    the module keeps one sub-module for every operator.

    Args:
        operators: At least one.
        inputs: For each operator the numbers of the values it reads, in its own order.
    """

    operators: tuple[Operator, ...]
    inputs: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        valid = isinstance(self.operators, tuple) and all(
            isinstance(operator, Operator) for operator in self.operators
        )
        require(valid, self, f"operators must be a tuple of operators, found {self.operators!r}")
        require(len(self.operators) > 0, self, "at least one operator is needed")
        require(
            len(self.inputs) == len(self.operators),
            self,
            f"{len(self.operators)} operators need as many inputs, found {len(self.inputs)}",
        )
        count = len(self.operators[0].input_shapes)
        require(count == 1, self, f"{self.operators[0]} has {count} inputs, the first takes one")
        shapes: list[Shape] = [self.operators[0].input_shapes[0]]
        for index, (operator, numbers) in enumerate(zip(self.operators, self.inputs, strict=True)):
            known = all(type(number) is int and 0 <= number <= index for number in numbers)
            require(known, self, f"{operator} reads {numbers!r}, it may read 0 to {index}")
            found = tuple(shapes[number] for number in numbers)
            require(
                found == operator.input_shapes,
                self,
                f"{operator} takes {operator.input_shapes}, values {numbers} are {found}",
            )
            shapes.append(operator.output_shape)

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
        """A module with `nodes`, one sub-module for every operator, in order."""
        from torch import nn

        from ..blocks import Joined

        return Joined(
            [nn.Identity() if op.is_free else op.build() for op in self.operators], self.inputs
        )

    def emit(self, builder: GraphBuilder, module: nn.Module, inputs: tuple[Value, ...]) -> Value:
        if self.is_free:
            return self.operators[0].emit(builder, module, inputs)
        values = [inputs[0]]
        for index, (operator, numbers) in enumerate(zip(self.operators, self.inputs, strict=True)):
            read = tuple(values[number] for number in numbers)
            if operator.is_free:
                values.append(read[0])
            else:
                part = module.get_submodule(f"nodes.{index}")
                values.append(operator.emit(builder, part, read))
        return values[-1]

    def __str__(self) -> str:
        return (
            f"Dag of {len(self.operators)} operators [{self.operators[0]}, …, "
            f"{self.operators[-1]}]"
        )
