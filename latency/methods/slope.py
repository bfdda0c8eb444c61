"""Copies of an operator side by side: what a copy more costs.

T(n) is a network of n copies of the operator, each with weights of its own, whose outputs a `Sum`
adds up. With S(f) = (f(6) - f(2)) / 4 the cost of one more of what f holds n times,

    latency = S(T) - S(Sum).

The call and a change of layout of the network's input and output are in both networks and drop
out; so do the convolutions that give an operator of several inputs what all its copies read. An
operator without weights would compute the same in each copy, and a runtime may then run one of
them for all. Its copies each read convolutions of their own, for every distinct shape s that it
reads one. With N_s(n) the network of n such convolutions and a `Sum`,

    latency = S(T) - S(Sum) - sum over s of (S(N_s) - S(Sum of shape s)).

What gives no image cannot be added up. A fully connected layer is the difference that `in_situ`
takes as well, which is exact; a global average pool, or another such operator of one image, is the
network of a convolution and the operator minus that of the convolution.

Limits: n - 1 additions are timed alone, while ONNX Runtime puts some into the convolutions before
them (`operators/sum.py`); six copies of a large operator hold more weights than a network may have
in its caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import ClassVar, final

from ..operators import Operator
from ..operators.base import Shape
from ..operators.chain import Chain
from ..operators.dag_builder import DagBuilder
from ..operators.linear import Linear
from ..operators.sum import Sum
from .hosts import NARROW, distinct_inputs, neck
from .in_situ import linear_recipe
from .recipe import Recipe, RecipeMethod

FEW, MANY = 2, 6

Term = tuple[Operator, float]


@final
class Slope(RecipeMethod):
    """latency = (T(6 copies) - T(2 copies)) / 4 minus the same of the sum that joins them."""

    granularity: ClassVar[str] = (
        "one operator as the network is built from (a whole block such as an MBConv is one): what "
        "it costs more to run another copy of it beside others"
    )

    def recipe(self, operator: Operator) -> Recipe:
        if isinstance(operator, Linear):
            return linear_recipe(operator)
        shapes, out = distinct_inputs(operator), operator.output_shape
        if len(out) != 3:
            first = neck(operator.input_shapes[0])
            return Recipe(operator, ((Chain((first, operator)), 1.0), (Chain((first,)), -1.0)))
        terms = [
            *_slope(partial(_copies, operator)),
            *_negated(_slope(partial(_total, out))),
        ]
        if operator.params == 0:
            for shape in shapes:
                terms += _negated(_slope(partial(_copies, neck(shape))))
                terms += _slope(partial(_total, shape))
        return Recipe.of(operator, terms)


def _slope(network: Callable[[int], Operator]) -> Iterator[Term]:
    """What one more of what `network(count)` holds `count` times costs."""
    weight = 1.0 / (MANY - FEW)
    yield network(MANY), weight
    yield network(FEW), -weight


def _negated(terms: Iterator[Term]) -> Iterator[Term]:
    return ((model, -weight) for model, weight in terms)


def _total(shape: Shape, count: int) -> Sum:
    return Sum(count, shape[0], shape[1])


def _copies(operator: Operator, count: int) -> Operator:
    """`count` copies of `operator` on one input, and their sum."""
    shapes = distinct_inputs(operator)
    if len(operator.input_shapes) == 1 and operator.params > 0:
        builder = DagBuilder(operator.input_shapes[0])
        outputs = [builder.add(operator, 0) for _ in range(count)]
    else:
        builder = DagBuilder((NARROW, *shapes[0][1:]))
        sources: dict[Shape, int] = {}
        outputs = []
        for _ in range(count):
            if not sources or operator.params == 0:
                sources = {shape: builder.add(neck(shape), 0) for shape in shapes}
            outputs.append(builder.add(operator, *(sources[s] for s in operator.input_shapes)))
    builder.add(_total(operator.output_shape, count), *outputs)
    return builder.finish()
