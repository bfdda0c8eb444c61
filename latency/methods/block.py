"""The operator alone, as a model of its own."""

from __future__ import annotations

from typing import ClassVar, final

from ..operators import Operator
from .recipe import Recipe, RecipeMethod


@final
class Block(RecipeMethod):
    """latency = T(operator): with the call and, where the runtime has them, layout changes."""

    granularity: ClassVar[str] = (
        "one operator as the network is built from (a whole block such as an MBConv is one), "
        "timed alone as a model of its own"
    )

    def recipe(self, operator: Operator) -> Recipe:
        return Recipe(operator, ((operator, 1.0),))
