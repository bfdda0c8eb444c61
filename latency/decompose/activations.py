"""Activations behind a step: as one node, or written out as sums, limits and products."""

from __future__ import annotations

from collections.abc import Sequence

from ..graph.ir import Activation
from .steps import Activated, Product, Step, Steps, Sum

_FUSED = frozenset({Activation.NONE, Activation.RELU, Activation.RELU6, Activation.HSWISH})
_TOLERANCE = 1e-4

Found = tuple[Activation, list[Step]]


def fused_activation(graph: Steps, step: Step) -> Found:
    """The activation that runs with `step`, and the steps behind it that it is."""
    inside = getattr(step.does, "activation", Activation.NONE)
    if inside is not Activation.NONE:
        return inside, []
    found = activation_behind(graph, step)
    return found if found[0] in _FUSED else (Activation.NONE, [])


def activation_behind(graph: Steps, step: Step) -> Found:
    """What is applied to the output of `step` and alone reads it; none, and no steps, else."""
    name = step.writes
    readers = () if name in graph.outputs else graph.readers.get(name, ())
    if len(readers) == 1:
        (reader,) = readers
        if isinstance(reader.does, Activated):
            return reader.does.activation, [reader]
        gate = _hard_sigmoid(graph, reader)
        return (Activation.HSIGMOID, gate) if gate else (Activation.NONE, [])
    steps = _hard_swish(graph, name, readers) if len(readers) == 2 else []
    return (Activation.HSWISH, steps) if steps else (Activation.NONE, [])


def written_out(graph: Steps, first: Step) -> Found:
    """The activation that begins with `first` and is several steps; none, and no steps, else."""
    name = first.reads[0]
    readers = () if name in graph.outputs else graph.readers.get(name, ())
    steps = _hard_swish(graph, name, readers) if len(readers) == 2 else []
    if first in steps:
        return Activation.HSWISH, steps
    gate = _hard_sigmoid(graph, first)
    return (Activation.HSIGMOID, gate) if gate else (Activation.NONE, [])


def _hard_swish(graph: Steps, name: str, readers: Sequence[Step]) -> list[Step]:
    """The steps of x * hard-sigmoid(x), or of x * clip(x + 3, 0, 6) / 6 from left to right."""
    products = [reader for reader in readers if isinstance(reader.does, Product)]
    others = [reader for reader in readers if reader not in products]
    if len(products) != 1 or len(others) != 1:
        return []
    product, other = products[0], others[0]
    gate = _hard_sigmoid(graph, other)
    if gate and set(product.reads) == {name, gate[-1].writes}:
        return [*gate, product]
    clipped = _clipped(graph, other)
    if not clipped or set(product.reads) != {name, clipped[-1].writes}:
        return []
    last = graph.only_reader(product)
    return [*clipped, product, last] if last is not None and _is_a_sixth(last) else []


def _hard_sigmoid(graph: Steps, first: Step) -> list[Step]:
    """The steps from `first` that are a hard sigmoid: clip(x + 3, 0, 6) / 6, or one node."""
    if isinstance(first.does, Activated):
        return [first] if first.does.activation is Activation.HSIGMOID else []
    clipped = _clipped(graph, first)
    last = graph.only_reader(clipped[-1]) if clipped else None
    return [*clipped, last] if last is not None and _is_a_sixth(last) else []


def _clipped(graph: Steps, first: Step) -> list[Step]:
    """The steps from `first` that are clip(x + 3, 0, 6)."""
    does = first.does
    if not isinstance(does, Sum) or len(first.reads) != 1 or not _is_near(does, 3.0):
        return []
    if does.activation is Activation.RELU6:
        return [first]
    limit = graph.only_reader(first)
    is_six = limit is not None and limit.does == Activated(Activation.RELU6)
    is_plain = does.activation is Activation.NONE
    return [first, limit] if limit is not None and is_six and is_plain else []


def _is_a_sixth(step: Step) -> bool:
    return isinstance(step.does, Product) and len(step.reads) == 1 and _is_near(step.does, 1 / 6)


def _is_near(does: Sum | Product, value: float) -> bool:
    """Whether the constant is the one number `value`."""
    constant = does.constant
    if constant is None or constant.size != 1:
        return False
    return abs(float(constant.reshape(())) - value) < _TOLERANCE * max(1.0, value)
