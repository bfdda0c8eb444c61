"""The test graphs of a pair: each primitive alone and both, between the same neighbours.

A primitive timed alone pays the call and, in ONNX Runtime, changes of layout that it does not pay
in a network; both would be taken for fusion, as they are paid once for a pair and twice for its
parts. So all graphs end with a mean, and what is no dense convolution begins behind a narrow
convolution and a sigmoid, to be subtracted. Behind a sigmoid no runtime fuses anything more into
the convolution. Convolutions are narrow, too, so that they cost little beside what may be fused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from ...core.errors import UnknownNameError
from ..graph.ir import FUSIBLE, Activation, Pooling
from ..methods.hosts import NARROW
from ..models.executed import primitives
from ..operators import Operator
from ..operators.activate import Activate
from ..operators.add import Add
from ..operators.base import Shape
from ..operators.batch_norm import BatchNorm
from ..operators.conv import Conv, Norm
from ..operators.dag import Dag
from ..operators.dag_builder import DagBuilder
from ..operators.global_pool import GlobalPool
from ..operators.linear import Linear
from ..operators.pool import Pool
from .pairs import ADD, AFFINE, AVERAGE_POOL, DENSE, DEPTHWISE, LINEAR, MAX_POOL, POINTWISE, Pair

CHANNELS, SIDE = 16, 64
"""Of images, four tensors of which take 1 MiB in fp32.

They must fit a core's cache together. Of larger ones the first operator behind the neighbours pays
for what no longer fits and the second does not, which looks like fusion: at 112 pixels a depthwise
and a pointwise convolution, which are two nodes, saved half of the cheaper one.
"""

FEATURES = 4096
"""Of vectors, which a linear layer makes of `CHANNELS`."""

_STARTS = (DENSE, POINTWISE)
_NONE = Activation.NONE
_VECTOR_SIDE = 2


@dataclass(frozen=True)
class PairGraphs:
    """What is timed for one pair.

    T(A) is `first` minus `before`, T(B) is `second` minus `base`, and T(A-B) follows `before` as
    well. With one shape throughout, `before` and `base` are one graph.

    Attributes:
        values: Numbers of the values that the first of the pair makes in `both`, and
        behind: those that the second makes there; none where the file has it inside the first.
    """

    before: Dag
    first: Dag
    base: Dag
    second: Dag
    both: Dag
    values: tuple[int, ...]
    behind: tuple[int, ...]

    @property
    def operators(self) -> tuple[Dag, ...]:
        """The distinct graphs."""
        return tuple(dict.fromkeys(getattr(self, name) for name in ROLES))


ROLES = tuple(field.name for field in fields(PairGraphs))[:5]


def graphs_of(pair: Pair) -> PairGraphs:
    """The graphs of `pair`.

    An activation that the file formats hold inside an operation is there in the graph of both, as
    in the files that networks are written to.

    Raises:
        UnknownNameError: There is no such primitive.
    """
    if pair.first == (LINEAR,):
        return _of_vectors(pair)
    second = _primitive(pair.second)
    is_start = len(pair.first) == 1 and pair.first[0] in _STARTS and pair.second != ADD
    first = [_primitive(name, NARROW if is_start else CHANNELS) for name in pair.first]
    both = _joined(first, second)
    base = _between()
    if is_start:
        before = _chain((NARROW, SIDE, SIDE), GlobalPool(NARROW, SIDE))
        graphs = (_started(*first), base, _between(second), _started(*both))
        return PairGraphs(before, *graphs, *_made(first, both, 0))
    graphs = (_between(*first), base, _between(second), _between(*both))
    return PairGraphs(base, *graphs, *_made(first, both, 2))


def _of_vectors(pair: Pair) -> PairGraphs:
    """The same behind a mean; an activation by itself is of an image of one pixel."""
    layer, activation = Linear(CHANNELS, FEATURES), Activation(pair.second)
    both = _joined([layer], Activate(FEATURES, 1, activation))
    before = _starting(CHANNELS, _VECTOR_SIDE, GlobalPool(CHANNELS, _VECTOR_SIDE))
    wide = Pool(FEATURES, _VECTOR_SIDE, _VECTOR_SIDE, _VECTOR_SIDE)
    base = _starting(FEATURES, _VECTOR_SIDE, wide)
    return PairGraphs(
        before,
        _more(before, layer),
        base,
        _more(base, Activate(FEATURES, 1, activation)),
        _more(before, *both),
        *_made([layer], both, 3),
    )


def _primitive(name: str, channels: int = CHANNELS) -> Operator:
    """The operator of one primitive, a dense convolution from `channels`."""
    shape = (CHANNELS, SIDE)
    match name:
        case "dense":
            return Conv(channels, CHANNELS, SIDE, 3, activation=_NONE, norm=Norm.BIAS)
        case "pointwise":
            return Conv(channels, CHANNELS, SIDE, 1, activation=_NONE, norm=Norm.BIAS)
        case "depthwise":
            return Conv(CHANNELS, CHANNELS, SIDE, 3, 1, CHANNELS, _NONE, Norm.BIAS)
        case "affine":
            return BatchNorm(*shape, _NONE)
        case "add":
            return Add(*shape)
        case "max_pool":
            return Pool(*shape, 3, 1, Pooling.MAX)
        case "avg_pool":
            return Pool(*shape, 3, 1)
        case _ if name in {a.value for a in Activation if a is not _NONE}:
            return Activate(*shape, Activation(name))
        case _:
            known = (DENSE, POINTWISE, DEPTHWISE, AFFINE, ADD, MAX_POOL, AVERAGE_POOL, LINEAR)
            raise UnknownNameError("primitive", name, known)


def _joined(first: Sequence[Operator], second: Operator) -> list[Operator]:
    """`first` and `second` as files have them: an activation inside what it may be inside of."""
    last = first[-1]
    is_inside = isinstance(second, Activate) and (
        isinstance(last, Linear)
        or (second.activation in FUSIBLE and isinstance(last, Conv | Add | BatchNorm))
    )
    if not is_inside:
        return [*first, second]
    assert isinstance(second, Activate) and isinstance(last, Linear | Conv | Add | BatchNorm)
    return [*first[:-1], replace(last, activation=second.activation)]


def _started(*operators: Operator) -> Dag:
    return _chain((NARROW, SIDE, SIDE), *operators, GlobalPool(CHANNELS, SIDE))


def _between(*operators: Operator) -> Dag:
    return _starting(CHANNELS, SIDE, *operators, GlobalPool(CHANNELS, SIDE))


def _starting(channels: int, side: int, *operators: Operator) -> Dag:
    """`operators` behind a narrow convolution and a sigmoid."""
    neck = Conv(NARROW, channels, side, 1, activation=_NONE)
    start = Activate(channels, side, Activation.SIGMOID)
    return _chain((NARROW, side, side), neck, start, *operators, joined=2)


def _chain(shape: Shape, *operators: Operator, joined: int = 0) -> Dag:
    """`operators` one behind the other; what reads two values reads value `joined` as well."""
    builder, value = DagBuilder(shape), 0
    for operator in operators:
        reads = (value,) if len(operator.input_shapes) == 1 else (value, joined)
        value = builder.add(operator, *reads)
    return builder.finish()


def _more(graph: Dag, *operators: Operator) -> Dag:
    count = len(graph.operators)
    reads = tuple((count + index,) for index in range(len(operators)))
    return Dag((*graph.operators, *operators), (*graph.inputs, *reads))


def _made(
    first: Sequence[Operator], both: Sequence[Operator], before: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numbers of the values that the first and the second make, behind the input and `before`."""
    start = 1 + before
    split = start + sum(len(primitives(operator)) for operator in first)
    end = start + sum(len(primitives(operator)) for operator in both)
    return tuple(range(start, split)), tuple(range(split, end))
