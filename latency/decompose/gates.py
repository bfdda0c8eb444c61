"""Squeeze-and-excitation found behind the mean that it begins with."""

from __future__ import annotations

from ..graph.ir import Activation
from ..operators.activations import GATES
from ..operators.squeeze_excite import SqueezeExcite
from ..precision import Precision
from .activations import activation_behind
from .steps import Convolution, Free, Layer, Product, Step, Steps, Sum

_Squeezed = tuple[int, Activation, list[Step]]


def squeeze_excite(
    graph: Steps, mean: Step, channels: int, side: int
) -> tuple[SqueezeExcite, list[Step]] | None:
    """Mean, two layers and the product with the image; None where that is not what follows."""
    reduced = _layer(graph, mean)
    if reduced is None or not _is_relu(graph, reduced[1]):
        return None
    expanded = _layer(graph, reduced[2][-1])
    if expanded is None or expanded[0] != channels or expanded[1] not in GATES:
        return None
    steps = [mean, *reduced[2], *expanded[2]]
    steps += _free(graph, steps[-1])
    product = graph.only_reader(steps[-1])
    if product is None or not isinstance(product.does, Product):
        return None
    if set(product.reads) != {mean.reads[0], steps[-1].writes}:
        return None
    return SqueezeExcite(channels, side, reduced[0], expanded[1]), [*steps, product]


def _is_relu(graph: Steps, activation: Activation) -> bool:
    """Whether it is a ReLU, as which the limits of a quantised image may pass for a ReLU6."""
    may_be_six = graph.precision is Precision.INT8 and activation is Activation.RELU6
    return activation is Activation.RELU or may_be_six


def _layer(graph: Steps, before: Step) -> _Squeezed | None:
    """Width, activation and steps of the layer behind `before`, which nothing else reads."""
    steps = _free(graph, before)
    step = graph.only_reader((steps or [before])[-1])
    if step is None or not isinstance(step.does, Convolution | Layer) or len(step.reads) != 1:
        return None
    steps.append(step)
    bias = graph.only_reader(step) if step.does.activation is Activation.NONE else None
    if bias is not None and isinstance(bias.does, Sum) and _is_bias(bias.does, bias):
        steps.append(bias)
    activation, behind = _activation(steps), list[Step]()
    if activation is Activation.NONE:
        steps += _free(graph, steps[-1])
        activation, behind = activation_behind(graph, steps[-1])
    made = graph.shapes.get(step.writes)
    return (made[1], activation, [*steps, *behind]) if made and len(made) > 1 else None


def _activation(steps: list[Step]) -> Activation:
    """What is part of one of `steps`; none where there is nothing."""
    for step in steps:
        if isinstance(step.does, Convolution | Layer | Sum):
            inside: Activation = step.does.activation
            if inside is not Activation.NONE:
                return inside
    return Activation.NONE


def _is_bias(does: Sum, step: Step) -> bool:
    """Whether it adds many numbers; one number is part of an activation."""
    return len(step.reads) == 1 and (does.constant is None or does.constant.size > 1)


def _free(graph: Steps, before: Step) -> list[Step]:
    """Steps that cost nothing, one behind the other."""
    found: list[Step] = []
    while (step := graph.only_reader((found or [before])[-1])) is not None:
        if not isinstance(step.does, Free):
            break
        found.append(step)
    return found
