"""Every primitive of an operator alone, as most tools build their tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, final

from ..operators import Operator
from ..operators.composite import Composite
from .recipe import Recipe, RecipeMethod


@final
class Isolated(RecipeMethod):
    """latency = the sum of T over the primitives: every convolution, addition and gate alone.

    Each primitive pays the call and its changes of layout, and none is fused with another.
    """

    granularity: ClassVar[str] = (
        "one operator as the network is built from: the sum of its primitives (an MBConv's "
        "convolutions, addition and squeeze-and-excitation), each timed alone as a model of its "
        "own"
    )

    def recipe(self, operator: Operator) -> Recipe:
        return Recipe.of(operator, ((part, 1.0) for part in primitives(operator)))


def primitives(operator: Operator) -> Iterator[Operator]:
    """What `operator` executes, in order, down to what no operator is a part of; none if free."""
    if operator.is_free:
        return
    if isinstance(operator, Composite):
        for part in operator.parts:
            yield from primitives(part)
    else:
        yield operator
