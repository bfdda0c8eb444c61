"""What the cost of aggregation is measured on: layers, whole networks, sliced convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..core.errors import ConfigError
from ..latency.graph.ir import Activation
from ..latency.operators import Operator
from ..latency.operators.batch_norm import BatchNorm
from ..latency.operators.concat import Concat
from ..latency.operators.conv import Conv, Norm
from ..latency.operators.dag import Dag
from ..latency.operators.dag_builder import DagBuilder
from ..latency.operators.global_pool import GlobalPool
from ..latency.operators.point_sum import PointSum
from ..latency.operators.sum import Sum
from ..reports.aggregation import Shape

SHAPES = ("64x12x16", "32x12x32")
"""Layers, width and resolution of the networks where nothing else is said: sizes for CIFAR."""

Sources = tuple[tuple[int, ...], ...]

_IMAGE_CHANNELS = 3
# A bottleneck of DenseNet-B gives four times as many channels as a layer (Huang et al. 2017).
_BOTTLENECK = 4


@dataclass(frozen=True)
class Family:
    """How layers aggregate, and what.

    Args:
        adds: Whether the sources are added up, else concatenated.
        sources: The outputs that each of so many layers reads; 0 is the stem's, `k` layer `k`'s.
    """

    name: str
    adds: bool
    sources: Callable[[int], Sources]


def shapes_of(texts: Iterable[str]) -> tuple[Shape, ...]:
    """The shapes that `LAYERSxWIDTHxRESOLUTION` says, each once.

    Raises:
        ConfigError: One does not say three integers, of at least 2 layers.
    """
    found = []
    for text in texts:
        parts = text.split("x")
        numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
        if len(parts) != 3 or len(numbers) != 3 or numbers[0] < 2 or min(numbers) < 1:
            raise ConfigError(
                f"A shape is LAYERSxWIDTHxRESOLUTION with 2 layers at least, such as {SHAPES[0]}; "
                f"found {text!r}."
            )
        found.append(Shape(*numbers))
    return tuple(dict.fromkeys(found))


def dense(layers: int) -> Sources:
    """Every layer reads all earlier outputs."""
    return tuple(tuple(range(layer)) for layer in range(1, layers + 1))


def exponential(layers: int, base: int) -> Sources:
    """Layer `l` reads the outputs `l - base^k` (Zhu et al. 2018, section 3.1)."""
    steps = [base**k for k in range(layers.bit_length())]
    return tuple(
        tuple(layer - step for step in reversed(steps) if step <= layer)
        for layer in range(1, layers + 1)
    )


FAMILIES = (
    Family("dense sum", True, dense),
    Family("sparse2 sum", True, lambda layers: exponential(layers, 2)),
    Family("dense concat", False, dense),
    Family("sparse2 concat", False, lambda layers: exponential(layers, 2)),
    Family("sparse4 concat", False, lambda layers: exponential(layers, 4)),
)


@dataclass(frozen=True)
class Layer:
    """One layer: the join of its sources (none for a single one), batch norm and ReLU, 3x3."""

    join: Concat | Sum | None
    norm: BatchNorm
    conv: Conv

    @property
    def parts(self) -> tuple[Operator, ...]:
        """Its operators in order."""
        last = (self.norm, self.conv)
        return last if self.join is None else (self.join, *last)


def layer(shape: Shape, degree: int, *, adds: bool) -> Layer:
    """The layer of `shape` that reads `degree` outputs."""
    width, side = shape.width, shape.resolution
    join: Concat | Sum | None = None
    channels = width
    if degree > 1 and adds:
        join = Sum(degree, width, side)
    elif degree > 1:
        channels = degree * width
        join = Concat((width,) * degree, side)
    return Layer(join, BatchNorm(channels, side), _conv(channels, width, side))


def layers(shape: Shape, family: Family) -> tuple[Layer, ...]:
    """The layers of one network, in order."""
    return tuple(
        layer(shape, len(read), adds=family.adds) for read in family.sources(shape.layers)
    )


def ends(shape: Shape) -> tuple[Operator, Operator]:
    """What stands before and behind the layers: a convolution of the image, a global pool."""
    width, side = shape.width, shape.resolution
    return _conv(_IMAGE_CHANNELS, width, side), GlobalPool(width, side)


def network(shape: Shape, family: Family) -> Dag:
    """The whole network: stem, layers, and a pool of the last layer's output."""
    stem, pool = ends(shape)
    builder = DagBuilder(stem.input_shapes[0])
    outputs = [builder.add(stem, 0)]
    for read, made in zip(family.sources(shape.layers), layers(shape, family), strict=True):
        values = [outputs[source] for source in read]
        value = values[0] if made.join is None else builder.add(made.join, *values)
        value = builder.add(made.norm, value)
        outputs.append(builder.add(made.conv, value))
    builder.add(pool, outputs[-1])
    return builder.finish()


def sliced(shape: Shape) -> tuple[PointSum, ...]:
    """1x1 convolutions of 2, 4, 8 ... outputs, in slices; `plain` of each is the other way."""
    degrees = [2**k for k in range(1, shape.layers.bit_length()) if 2**k <= shape.layers]
    out = _BOTTLENECK * shape.width
    return tuple(PointSum((shape.width,) * n, out, shape.resolution) for n in degrees)


def operators(shapes: tuple[Shape, ...]) -> tuple[Operator, ...]:
    """The distinct operators whose latencies the costs are sums of."""
    found: dict[Operator, None] = {}
    for shape in shapes:
        found.update(dict.fromkeys(ends(shape)))
        for family in FAMILIES:
            for made in layers(shape, family):
                found.update(dict.fromkeys(made.parts))
        for point in sliced(shape):
            found.update(dict.fromkeys((point, *point.plain)))
    return tuple(found)


def networks(shapes: tuple[Shape, ...]) -> tuple[Dag, ...]:
    """The whole networks."""
    return tuple(network(shape, family) for shape in shapes for family in FAMILIES)


def _conv(channels: int, width: int, side: int) -> Conv:
    return Conv(channels, width, side, 3, activation=Activation.NONE, norm=Norm.NONE)
