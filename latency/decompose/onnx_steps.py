"""Nodes of an ONNX file as steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from ..graph.ir import Activation, Pooling
from . import steps as does
from .onnx_graph import OnnxGraph, attribute
from .steps import Does, Step, Steps, UnknownStepError, Window, is_affine, same_edges, told

_FREE = frozenset({"Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast"})


def onnx_steps(path: Path) -> Steps:
    """The steps of the ONNX file at `path`, at batch 1.

    Raises:
        ArtefactError: It is no whole ONNX model.
        ConfigError: Sizes other than the batch are open, the batch is not 1, or precisions are
            mixed.
    """
    graph = OnnxGraph.read(path)
    steps = tuple(_step(graph, node) for node in graph.nodes)
    names = {name for step in steps for name in (*step.reads, step.writes)}
    shapes = {name: shape for name in names if (shape := graph.shape(name)) is not None}
    free = tuple(graph.constant_nodes)
    kinds = tuple(sorted(_KINDS)), tuple(sorted(_FREE))
    return Steps(steps, shapes, graph.outputs, free, graph.precision, *kinds)


def _step(graph: OnnxGraph, node: NodeProto) -> Step:
    return Step(
        (graph.name(node),),
        node.op_type,
        told(node.op_type, _FREE, _KINDS, graph, node),
        tuple(graph.inputs(node)),
        node.output[0],
    )


def _one(node: NodeProto, name: str, default: list[int]) -> int:
    """The value of an attribute that is the same in both directions."""
    values = list(attribute(node, name, default))
    if len(set(values)) != 1:
        raise UnknownStepError(f"{name} {values} differ between directions")
    return int(values[0])


def _window(graph: OnnxGraph, node: NodeProto, kernel: int) -> Window:
    stride, dilation = _one(node, "strides", [1, 1]), _one(node, "dilations", [1, 1])
    way = attribute(node, "auto_pad", b"NOTSET")
    given, made = graph.shape(graph.inputs(node)[0]), graph.shape(node.output[0])
    if way in (b"SAME_UPPER", b"SAME_LOWER") and given and made:
        reach = dilation * (kernel - 1) + 1
        is_lower = way == b"SAME_LOWER"
        edges = same_edges(given[-1], made[-1], reach, stride, is_lower=is_lower)
        return Window(kernel, stride, edges, dilation)
    pads = [int(edge) for edge in attribute(node, "pads", [0, 0, 0, 0])]
    if len(pads) != 4:
        raise UnknownStepError("its window slides over no image")
    top, left, bottom, right = pads
    edges = (top, left, bottom, right)
    return Window(kernel, stride, edges, dilation)


def _conv(graph: OnnxGraph, node: NodeProto) -> Does:
    place = 3 if node.op_type == "QLinearConv" else 1
    weight = graph.shape(node.input[place])
    if weight is None or len(weight) != 4 or weight[2] != weight[3]:
        raise UnknownStepError("its window is no square of constants")
    if len(graph.inputs(node)) != 1:
        raise UnknownStepError("its weights are computed")
    window, groups = _window(graph, node, weight[2]), int(attribute(node, "group", 1))
    has_bias = len(node.input) > (8 if node.op_type == "QLinearConv" else 2)
    activation = _saturation(graph, node)
    if graph.limits(node.output[0]) and is_affine(window, groups, weight[:2], has_bias=has_bias):
        # No runtime has an integer kernel of batch norm.
        return does.Norm(False, activation)
    return does.Convolution(window, groups, has_bias, activation)


def _saturation(graph: OnnxGraph, node: NodeProto) -> Activation:
    """The activation that the limits of a quantised output are.

    Writers of such files leave the node of an activation out where the limits do the same. A
    ReLU6 and a ReLU whose output stays below 6 are then alike, and a network is taken to have one
    kind of them.
    """
    limits = graph.limits(node.output[0])
    if limits is None or limits[0] != 0.0:
        return Activation.NONE
    return Activation.RELU if graph.has_relu else Activation.RELU6


def _linear(graph: OnnxGraph, node: NodeProto) -> Does:
    inputs = graph.inputs(node)
    given, made = graph.shape(inputs[0]), graph.shape(node.output[0])
    if len(inputs) != 1:
        raise UnknownStepError("both factors are computed")
    if given is None or made is None or len(given) != 2 or len(made) != 2:
        raise UnknownStepError("it is no layer on a vector")
    # Few logits may all have been above 0 when the limits were found.
    is_last = node.output[0] in graph.outputs
    activation = Activation.NONE if is_last else _saturation(graph, node)
    return does.Layer(given[1], made[1], len(node.input) > 2, activation)


def _norm(graph: OnnxGraph, node: NodeProto) -> Does:
    return does.Norm(folds=True)


def _mean(graph: OnnxGraph, node: NodeProto) -> Does:
    if node.op_type == "ReduceMean":
        axes = attribute(node, "axes", None)
        if axes is None and len(node.input) > 1:
            found = graph.value(node.input[1])
            axes = None if found is None else found.tolist()
        if axes is None or sorted(axis % 4 for axis in axes) != [2, 3]:
            raise UnknownStepError("it is no mean over an image")
    return does.Mean()


def _pool(graph: OnnxGraph, node: NodeProto) -> Does:
    window = _window(graph, node, _one(node, "kernel_shape", []))
    pooling = Pooling.MAX if node.op_type == "MaxPool" else Pooling.AVERAGE
    return does.Pooled(window, pooling, bool(attribute(node, "count_include_pad", 0)))


def _sum(graph: OnnxGraph, node: NodeProto) -> Does:
    return does.Sum(_constant(graph, node), _sum_saturation(graph, node))


def _sum_saturation(graph: OnnxGraph, node: NodeProto) -> Activation:
    """The same of a sum, of which some term can be below 0: others never are."""
    limits = [graph.limits(name) for name in graph.inputs(node)]
    if all(found is None or found[0] >= 0 for found in limits):
        return Activation.NONE
    return _saturation(graph, node)


def _product(graph: OnnxGraph, node: NodeProto) -> Does:
    constant = _constant(graph, node)
    if node.op_type == "Mul":
        return does.Product(constant)
    is_divisor = constant is not None and graph.is_constant(node.input[1]) and np.all(constant)
    if constant is None or not is_divisor:
        raise UnknownStepError("it does not divide by a constant")
    return does.Product(1 / constant)


def _constant(graph: OnnxGraph, node: NodeProto) -> NDArray[Any] | None:
    """What `node` takes beside what is computed, if there is one and it is known."""
    found = [graph.value(name) for name in node.input if graph.is_constant(name)]
    return found[0] if len(found) == 1 else None


def _concat(graph: OnnxGraph, node: NodeProto) -> Does:
    is_whole = len(graph.inputs(node)) == len(node.input)
    if attribute(node, "axis", 1) % 4 != 1 or not is_whole:
        raise UnknownStepError("it joins no channels of images")
    return does.Joined()


def _shuffle(graph: OnnxGraph, node: NodeProto) -> Does:
    shape = graph.shape(graph.inputs(node)[0])
    if shape is None or len(shape) != 5 or list(attribute(node, "perm", [])) != [0, 2, 1, 3, 4]:
        raise UnknownStepError("it shuffles no channels")
    _, groups, width, side, other = shape
    if side != other:
        raise UnknownStepError("it is no square image")
    return does.Shuffled(groups * width, side, groups)


def _slice(graph: OnnxGraph, node: NodeProto) -> Does:
    shape = graph.shape(graph.inputs(node)[0])
    starts = graph.value(node.input[1]) if len(node.input) > 1 else None
    axes = graph.value(node.input[3]) if len(node.input) > 3 else None
    places = [] if axes is None else [axis % 4 for axis in axes.tolist()]
    by = graph.value(node.input[4]) if len(node.input) > 4 else None
    is_run = by is None or set(by.tolist()) == {1}
    if shape is None or len(shape) != 4 or starts is None or 1 not in places or not is_run:
        raise UnknownStepError("it takes no run of channels")
    return does.Cut(int(starts[places.index(1)]) % shape[1])


def _pad(graph: OnnxGraph, node: NodeProto) -> Does:
    pads = graph.value(node.input[1]) if len(node.input) > 1 else None
    mode = attribute(node, "mode", b"constant")
    if pads is None or pads.size != 8 or mode != b"constant" or len(node.input) > 3:
        raise UnknownStepError("it pads no image with a constant")
    first, *before, last, channels, rows, columns = map(int, pads.reshape(-1))
    if first or last:
        raise UnknownStepError("it adds images")
    fill = graph.value(node.input[2]) if len(node.input) > 2 and node.input[2] else None
    # An integer is of a quantised image, whose zero it then is.
    is_zero = fill is None or fill.dtype.kind != "f" or not fill.any()
    return does.Padding((before[0], before[1], before[2]), (channels, rows, columns), is_zero)


def _activation(graph: OnnxGraph, node: NodeProto) -> Does:
    simple = _SIMPLE.get(node.op_type)
    if simple is not None:
        return does.Activated(simple)
    if node.op_type == "HardSigmoid":
        is_usual = abs(attribute(node, "alpha", 0.2) - 1 / 6) < 1e-4
        is_usual = is_usual and abs(attribute(node, "beta", 0.5) - 0.5) < 1e-4
        found = Activation.HSIGMOID if is_usual else None
    else:
        found = Activation.RELU6 if _limits(graph, node) == [0.0, 6.0] else None
    return does.Unknown("no activation that is known") if found is None else does.Activated(found)


def _limits(graph: OnnxGraph, node: NodeProto) -> list[float]:
    bounds = [graph.value(n) for n in node.input[1:3] if n]
    limits = [float(b.reshape(())) for b in bounds if b is not None and b.size == 1]
    if len(limits) == 2:
        return limits
    return [attribute(node, "min", -np.inf), attribute(node, "max", np.inf)]


_SIMPLE: Mapping[str, Activation] = MappingProxyType(
    {
        "Relu": Activation.RELU,
        "HardSwish": Activation.HSWISH,
        "Sigmoid": Activation.SIGMOID,
    }
)
_KINDS: Mapping[str, Callable[[OnnxGraph, NodeProto], Does]] = MappingProxyType(
    {
        "Add": _sum,
        "AveragePool": _pool,
        "BatchNormalization": _norm,
        "Clip": _activation,
        "Concat": _concat,
        "Conv": _conv,
        "Div": _product,
        "Gemm": _linear,
        "GlobalAveragePool": _mean,
        "HardSigmoid": _activation,
        "HardSwish": _activation,
        "MatMul": _linear,
        "MaxPool": _pool,
        "Mul": _product,
        "Pad": _pad,
        "QLinearConv": _conv,
        "ReduceMean": _mean,
        "Relu": _activation,
        "Sigmoid": _activation,
        "Slice": _slice,
        "Transpose": _shuffle,
    }
)
