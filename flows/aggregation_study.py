"""What the cost of aggregation is measured on: parts of layers, whole networks, slices.

A part of a layer is timed behind what runs before it in the layer, because engines lay tensors out
as the neighbours want them: a convolution behind a copy and a batch norm is not the one behind
another convolution. The nested hosts of a layer are a 1x1 convolution of an image, the first none,
one, two or all of join, norm and convolution, and a global pool. With `H` their times and `P(c)`
that of a pool of `c` channels alone, for a layer of `g` channels with `w` behind its join,

    join = H(join) - H() - P(w) + P(g)
    norm = H(join, norm) - H(join)
    conv = H(join, norm, conv) - H(join, norm) + P(w) - P(g).

The three add up to `H(join, norm, conv) - H()`: what the layer adds to a network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from ..core.errors import ConfigError
from ..latency.graph.ir import Activation
from ..latency.operators import Operator
from ..latency.operators.batch_norm import BatchNorm
from ..latency.operators.chain import Chain
from ..latency.operators.concat import Concat
from ..latency.operators.conv import Conv, Norm
from ..latency.operators.dag import Dag
from ..latency.operators.dag_builder import DagBuilder
from ..latency.operators.global_pool import GlobalPool
from ..latency.operators.point_sum import PointSum
from ..latency.operators.sum import Sum
from ..reports.aggregation import Shape
from ..search.aggregation.topology import Topology

Terms = tuple[tuple[Operator, float], ...]

SHAPES = ("64x12x16", "32x12x32")
"""Layers, width and resolution of the networks where nothing else is said: sizes for CIFAR."""

_IMAGE_CHANNELS = 3
_NECK_CHANNELS = 4
# A bottleneck of DenseNet-B gives four times as many channels as a layer (Huang et al. 2017).
_BOTTLENECK = 4


class How(StrEnum):
    """How outputs are joined.

    `RUNNING` keeps the sum of all outputs so far and adds the newest to it: the same function as
    `SUM` of all outputs, with one addition a layer.
    """

    CONCAT = "concat"
    SUM = "sum"
    RUNNING = "running"


@dataclass(frozen=True)
class Family:
    """How layers aggregate, and what.

    Args:
        topology: What each of so many layers reads; output 0 is the stem's.
    """

    name: str
    how: How
    topology: Callable[[int], Topology]


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


FAMILIES = (
    Family("dense sum", How.SUM, Topology.dense),
    Family("dense running sum", How.RUNNING, Topology.dense),
    Family("sparse2 sum", How.SUM, partial(Topology.exponential, base=2)),
    Family("dense concat", How.CONCAT, Topology.dense),
    Family("sparse2 concat", How.CONCAT, partial(Topology.exponential, base=2)),
    Family("sparse4 concat", How.CONCAT, partial(Topology.exponential, base=4)),
)


@dataclass(frozen=True)
class Layer:
    """One layer: the join of its sources (none for a single one), batch norm and ReLU, 3x3."""

    join: Concat | Sum | None
    norm: BatchNorm
    conv: Conv

    @property
    def joins(self) -> tuple[Operator, ...]:
        """The join, if there is one."""
        return () if self.join is None else (self.join,)

    @property
    def parts(self) -> tuple[Operator, ...]:
        """Its operators in order."""
        return (*self.joins, self.norm, self.conv)

    @property
    def join_terms(self) -> Terms:
        """Networks and weights whose sum is the time of the join; none if there is no join."""
        if self.join is None:
            return ()
        pools = _pools(self.conv.in_channels, self.conv.out_channels, self.conv.resolution)
        return ((self._host(self.join), 1.0), (self._host(), -1.0), *pools)

    @property
    def norm_terms(self) -> Terms:
        """The same for batch norm and ReLU."""
        joins = self._like.joins
        return ((self._host(*joins, self.norm), 1.0), (self._host(*joins), -1.0))

    @property
    def conv_terms(self) -> Terms:
        """The same for the convolution."""
        before = (*self._like.joins, self.norm)
        pools = _pools(self.conv.out_channels, self.conv.in_channels, self.conv.resolution)
        return ((self._host(*before, self.conv), 1.0), (self._host(*before), -1.0), *pools)

    @property
    def _like(self) -> Layer:
        """The least layer with the same work behind its join: that of a sum is always the same."""
        if not isinstance(self.join, Sum):
            return self
        return Layer(Sum(2, self.join.channels, self.join.resolution), self.norm, self.conv)

    def _host(self, *operators: Operator) -> Dag:
        return _host(self.conv.out_channels, self.conv.resolution, operators)


def layer(shape: Shape, degree: int, how: How) -> Layer:
    """The layer of `shape` that joins `degree` values."""
    width, side = shape.width, shape.resolution
    join: Concat | Sum | None = None
    channels = width
    if degree > 1 and how is How.CONCAT:
        channels = degree * width
        join = Concat((width,) * degree, side)
    elif degree > 1:
        join = Sum(degree, width, side)
    return Layer(join, BatchNorm(channels, side), _conv(channels, width, side))


def layers(shape: Shape, family: Family) -> tuple[Layer, ...]:
    """The layers of one network, in order."""
    most = 2 if family.how is How.RUNNING else shape.layers
    degrees = family.topology(shape.layers).aggregated
    return tuple(layer(shape, min(degree, most), family.how) for degree in degrees)


def ends(shape: Shape) -> Chain:
    """A network without layers: a convolution of the image, and a global pool."""
    width, side = shape.width, shape.resolution
    return Chain((_conv(_IMAGE_CHANNELS, width, side), GlobalPool(width, side)))


def network(shape: Shape, family: Family) -> Dag:
    """The whole network: stem, layers, and a pool of the last layer's output.

    Sums begin with the newest output: no two layers then have a partial sum in common, which an
    engine could compute once for both.
    """
    stem, pool = ends(shape).operators
    builder = DagBuilder(stem.input_shapes[0])
    outputs = [builder.add(stem, 0)]
    running = outputs[0]
    sources = family.topology(shape.layers).sources
    for read, made in zip(sources, layers(shape, family), strict=True):
        values = [outputs[source] for source in read]
        if family.how is How.SUM:
            values.reverse()
        elif family.how is How.RUNNING and made.join is not None:
            values = [running, outputs[-1]]
        value = values[0] if made.join is None else builder.add(made.join, *values)
        running = value
        value = builder.add(made.norm, value)
        outputs.append(builder.add(made.conv, value))
    builder.add(pool, outputs[-1])
    return builder.finish()


@dataclass(frozen=True)
class Sliced:
    """A 1x1 convolution of several outputs in slices, and the same as copy and convolution."""

    point: PointSum

    @property
    def sliced_terms(self) -> Terms:
        """Networks and weights whose sum is the time in slices."""
        return self._terms(self.point)

    @property
    def plain_terms(self) -> Terms:
        """The same for the copy and the convolution of it."""
        return self._terms(*self.point.plain)

    def _terms(self, *operators: Operator) -> Terms:
        width, side = self.point.in_channels[0], self.point.resolution
        hosts = ((_host(width, side, operators), 1.0), (_host(width, side, ()), -1.0))
        return (*hosts, *_pools(self.point.out_channels, width, side))


def sliced(shape: Shape) -> tuple[Sliced, ...]:
    """Bottlenecks that read 2, 4, 8 ... outputs of layers, as far as there are any."""
    degrees = [2**k for k in range(1, shape.layers.bit_length()) if 2**k <= shape.layers]
    out = _BOTTLENECK * shape.width
    return tuple(Sliced(PointSum((shape.width,) * n, out, shape.resolution)) for n in degrees)


def terms(shape: Shape) -> tuple[Terms, ...]:
    """Everything of `shape` whose time is a sum over networks, whole networks apart."""
    distinct = dict.fromkeys(made for family in FAMILIES for made in layers(shape, family))
    parts = [p for each in distinct for p in (each.join_terms, each.norm_terms, each.conv_terms)]
    points = [p for each in sliced(shape) for p in (each.sliced_terms, each.plain_terms)]
    return (*parts, *points, ((ends(shape), 1.0),))


def _host(width: int, side: int, operators: tuple[Operator, ...]) -> Dag:
    """Neck, `operators` one behind the other, pool; joins read the one value for every input."""
    builder = DagBuilder((_NECK_CHANNELS, side, side))
    value = builder.add(Conv(_NECK_CHANNELS, width, side, 1), 0)
    for operator in operators:
        value = builder.add(operator, *(value,) * len(operator.input_shapes))
    builder.add(GlobalPool(*builder.shape(value)[:2]), value)
    return builder.finish()


def _pools(minus: int, plus: int, side: int) -> Terms:
    """The time of a pool of `plus` channels over that of one of `minus`."""
    if minus == plus:
        return ()
    return ((GlobalPool(minus, side), -1.0), (GlobalPool(plus, side), 1.0))


def _conv(channels: int, width: int, side: int) -> Conv:
    return Conv(channels, width, side, 3, activation=Activation.NONE, norm=Norm.NONE)
