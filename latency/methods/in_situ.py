"""Operators timed as they run in a network: between two cheap neighbours, minus the neighbours.

An operator timed alone pays what it does not pay inside a network: the call itself and, in ONNX
Runtime, a change of layout at both ends. Its *host* is a network of a 1x1 convolution from a
narrow input to the operator's input, the operator, and a global average pool of its output. With
h(s) the host of shape s without an operator,

    latency = T(host) - h(input shape) / 2 - h(output shape) / 2.

Over a chain the halves cancel telescope-wise: what is left of the neighbours is the half in front
of the first operator and behind the last, and these two have none (a network's own input needs no
convolution before it; the pool is the network's own). Hosts are measured like any other network.

An operator of several inputs has one such convolution for every distinct shape it reads, and half
of each of these shapes' bare hosts is subtracted. A host reads the same value twice where two
inputs have one shape, so that no runtime can fuse the operator into the convolution before it.
"""

from __future__ import annotations

from typing import ClassVar, final

from ...core.errors import UnsupportedOperatorError
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.dag import Dag
from ..operators.global_pool import GlobalPool
from ..operators.linear import Linear
from .hosts import NARROW, bare_host, distinct_inputs, neck
from .recipe import Recipe, RecipeMethod

_LINEAR_RESOLUTION = 4


@final
class InSitu(RecipeMethod):
    """latency = T(host) - h(input shape) / 2 - h(output shape) / 2."""

    granularity: ClassVar[str] = (
        "one operator as the network is built from (a whole block such as an MBConv is one), "
        "as it runs inside a network: timed between two neighbours, minus the neighbours"
    )

    def recipe(self, operator: Operator) -> Recipe:
        shape = operator.input_shapes[0]
        if isinstance(operator, Linear):
            return linear_recipe(operator)
        if isinstance(operator, GlobalPool):
            return Recipe(operator, ((bare_host(shape), 0.5),))
        shapes, out = distinct_inputs(operator), operator.output_shape
        if len(out) != 3:
            raise UnsupportedOperatorError(
                f"{operator} does not map images to images, so that no neighbours can host it; "
                "measure it with method: block in the device card."
            )
        end: tuple[Operator, float] = (bare_host(out), -0.5)
        if len(operator.input_shapes) > 1:
            necks = ((bare_host(shape), -0.5) for shape in shapes)
            return Recipe.of(operator, ((_joining_host(operator), 1.0), *necks, end))
        pool = GlobalPool(out[0], out[1])
        if shape[0] <= NARROW:
            return Recipe(operator, ((Chain((operator, pool)), 1.0), end))
        host = Chain((neck(shape), operator, pool))
        return Recipe.of(operator, ((host, 1.0), (bare_host(shape), -0.5), end))


def linear_recipe(operator: Linear) -> Recipe:
    """The layer behind a bare host, minus the bare host."""
    bare = bare_host((operator.in_features, _LINEAR_RESOLUTION, _LINEAR_RESOLUTION))
    return Recipe(operator, ((Chain((*bare.operators, operator)), 1.0), (bare, -1.0)))


def _joining_host(operator: Operator) -> Dag:
    """A neck for every distinct input shape, all on one input; `operator`; a pool."""
    shapes = distinct_inputs(operator)
    reads = tuple(1 + shapes.index(shape) for shape in operator.input_shapes)
    out = operator.output_shape
    return Dag(
        (*map(neck, shapes), operator, GlobalPool(out[0], out[1])),
        (*((0,) for _ in shapes), reads, (len(shapes) + 1,)),
    )
