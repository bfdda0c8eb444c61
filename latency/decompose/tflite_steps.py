"""Nodes of a TFLite file as steps; its images have their channels last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ..graph.ir import Activation, Pooling
from . import steps as does
from .steps import (
    Does,
    Shape,
    Step,
    Steps,
    UnknownStepError,
    Window,
    is_affine,
    same_edges,
    told,
)
from .tflite_graph import TfliteGraph, TfliteNode

_FREE = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST"})
_SAME, _VALID = 0, 1
_INSIDE: Mapping[int, Activation] = MappingProxyType(
    {0: Activation.NONE, 1: Activation.RELU, 3: Activation.RELU6}
)
"""`Padding` and `ActivationFunctionType` of the schema."""


def tflite_steps(path: Path) -> Steps:
    """The steps of the TFLite file at `path`, at batch 1.

    Raises:
        ArtefactError: It is no whole TFLite model.
        ConfigError: Sizes other than the batch are open, the batch is not 1, or precisions are
            mixed.
        UnavailableError: The package that reads TFLite files is not installed.
    """
    graph = TfliteGraph.read(path)
    steps = tuple(_step(graph, node) for node in graph.nodes)
    indices = {i for node in graph.nodes for i in (*graph.inputs(node), *node.outputs)}
    shapes = {graph.tensor(i): _channels_first(graph.shape(i)) for i in indices}
    free = tuple(graph.constant_nodes)
    kinds = tuple(sorted(_KINDS)), tuple(sorted(_FREE))
    return Steps(steps, shapes, graph.outputs, free, graph.precision, *kinds)


def _channels_first(shape: Shape) -> Shape:
    return (shape[0], shape[3], *shape[1:3]) if len(shape) == 4 else shape


def _step(graph: TfliteGraph, node: TfliteNode) -> Step:
    reads = tuple(map(graph.tensor, graph.inputs(node)))
    return Step(
        (graph.name(node),),
        node.kind,
        told(node.kind, _FREE, _KINDS, graph, node),
        reads,
        graph.name(node),
    )


def _inside(node: TfliteNode) -> Activation:
    """The activation that is part of the node."""
    number = int(node.options.fusedActivationFunction)
    if number not in _INSIDE:
        raise UnknownStepError(f"it has activation {number} inside, which no operator has")
    return _INSIDE[number]


def _refuse_inside(node: TfliteNode) -> None:
    if _inside(node) is not Activation.NONE:
        raise UnknownStepError(f"it has {_inside(node)} inside, which no such operator has")


def _window(graph: TfliteGraph, node: TfliteNode, kernel: Shape, dilation: Shape) -> Window:
    options = node.options
    strides = options.strideH, options.strideW
    for name, (a, b) in (("window", kernel), ("strides", strides), ("dilation", dilation)):
        if a != b:
            raise UnknownStepError(f"{name} {a}, {b} differ between directions")
    stride, reach = int(strides[0]), dilation[0] * (kernel[0] - 1) + 1
    edges = (0, 0, 0, 0)
    if options.padding == _SAME:
        given, made = graph.shape(node.inputs[0]), graph.shape(node.outputs[0])
        edges = same_edges(given[1], made[1], reach, stride, is_lower=False)
    return Window(kernel[0], stride, edges, dilation[0])


def _conv(graph: TfliteGraph, node: TfliteNode) -> Does:
    weight, given = graph.shape(node.inputs[1]), graph.shape(node.inputs[0])
    if len(graph.inputs(node)) != 1 or len(weight) != 4 or len(given) != 4:
        raise UnknownStepError("its weights are computed, or it is of no image")
    options, channels = node.options, given[3]
    dilation = int(options.dilationHFactor), int(options.dilationWFactor)
    window = _window(graph, node, weight[1:3], dilation)
    is_depthwise = node.kind == "DEPTHWISE_CONV_2D"
    out, groups = (weight[3], channels) if is_depthwise else (weight[0], channels // weight[3])
    has_bias, activation = _has_bias(node), _inside(node)
    if is_affine(window, groups, (out, channels // groups), has_bias=has_bias):
        # What a batch norm is here, apart from the convolution before it.
        return does.Norm(False, activation)
    return does.Convolution(window, groups, has_bias, activation)


def _has_bias(node: TfliteNode) -> bool:
    return len(node.inputs) > 2 and node.inputs[2] >= 0


def _linear(graph: TfliteGraph, node: TfliteNode) -> Does:
    weight, given = graph.shape(node.inputs[1]), graph.shape(node.inputs[0])
    if len(graph.inputs(node)) != 1:
        raise UnknownStepError("both factors are computed")
    if len(weight) != 2 or int(np.prod(given)) != weight[1]:
        raise UnknownStepError("it is no layer on a vector")
    return does.Layer(weight[1], weight[0], _has_bias(node), _inside(node))


def _mean(graph: TfliteGraph, node: TfliteNode) -> Does:
    axes = graph.value(node.inputs[1])
    is_image = len(graph.shape(node.inputs[0])) == 4
    if axes is None or not is_image or sorted(int(a) % 4 for a in axes.reshape(-1)) != [1, 2]:
        raise UnknownStepError("it is no mean over an image")
    return does.Mean()


def _pool(graph: TfliteGraph, node: TfliteNode) -> Does:
    _refuse_inside(node)
    kernel = int(node.options.filterHeight), int(node.options.filterWidth)
    window = _window(graph, node, kernel, (1, 1))
    pooling = Pooling.MAX if node.kind == "MAX_POOL_2D" else Pooling.AVERAGE
    return does.Pooled(window, pooling, counts_padding=False)


def _sum(graph: TfliteGraph, node: TfliteNode) -> Does:
    constants = [i for i in node.inputs if graph.is_constant(i)]
    return does.Sum(graph.value(constants[0]) if constants else None, _inside(node))


def _product(graph: TfliteGraph, node: TfliteNode) -> Does:
    _refuse_inside(node)
    constants = [i for i in node.inputs if graph.is_constant(i)]
    return does.Product(graph.value(constants[0]) if constants else None)


def _concat(graph: TfliteGraph, node: TfliteNode) -> Does:
    _refuse_inside(node)
    is_image = len(graph.shape(node.outputs[0])) == 4
    is_whole = len(graph.inputs(node)) == len(node.inputs)
    if not is_image or not is_whole or int(node.options.axis) % 4 != 3:
        raise UnknownStepError("it joins no channels of images")
    return does.Joined()


def _transpose(graph: TfliteGraph, node: TfliteNode) -> Does:
    shape, order = graph.shape(node.inputs[0]), graph.value(node.inputs[1])
    places = [] if order is None else [int(place) for place in order]
    moved = [place for place in places if shape[place] != 1]
    if places and moved == sorted(moved):
        return does.Free()
    if len(shape) != 5 or places != [0, 1, 2, 4, 3] or shape[1] != shape[2]:
        raise UnknownStepError("it shuffles no channels of a square image")
    return does.Shuffled(shape[3] * shape[4], shape[1], shape[3])


def _slice(graph: TfliteGraph, node: TfliteNode) -> Does:
    shape, begin = graph.shape(node.inputs[0]), graph.value(node.inputs[1])
    if begin is None or len(shape) != 4 or len(begin) != 4:
        raise UnknownStepError("it takes no run of channels")
    first = int(begin[3])
    if node.kind == "STRIDED_SLICE":
        steps = graph.value(node.inputs[3])
        if steps is None or set(steps.tolist()) != {1}:
            raise UnknownStepError("it takes no run of channels")
        first = 0 if int(node.options.beginMask) & 8 else first % shape[3]
    return does.Cut(first)


def _pad(graph: TfliteGraph, node: TfliteNode) -> Does:
    edges = graph.value(node.inputs[1])
    if edges is None or edges.shape != (4, 2) or edges[0].any():
        raise UnknownStepError("it pads no image")
    (_, rows, columns, channels) = edges.astype(int).tolist()
    before, after = ((channels[i], rows[i], columns[i]) for i in (0, 1))
    fill = graph.value(node.inputs[2]) if len(node.inputs) > 2 else None
    return does.Padding(before, after, is_zero=fill is None or not fill.any())


def _activation(graph: TfliteGraph, node: TfliteNode) -> Does:
    return does.Activated(_ALONE[node.kind])


_ALONE: Mapping[str, Activation] = MappingProxyType(
    {
        "HARD_SWISH": Activation.HSWISH,
        "LOGISTIC": Activation.SIGMOID,
        "RELU": Activation.RELU,
        "RELU6": Activation.RELU6,
    }
)
_KINDS: Mapping[str, Callable[[TfliteGraph, TfliteNode], Does]] = MappingProxyType(
    {
        "ADD": _sum,
        "AVERAGE_POOL_2D": _pool,
        "CONCATENATION": _concat,
        "CONV_2D": _conv,
        "DEPTHWISE_CONV_2D": _conv,
        "FULLY_CONNECTED": _linear,
        "MAX_POOL_2D": _pool,
        "MEAN": _mean,
        "MUL": _product,
        "PAD": _pad,
        "PADV2": _pad,
        "SLICE": _slice,
        "STRIDED_SLICE": _slice,
        "TRANSPOSE": _transpose,
        **dict.fromkeys(_ALONE, _activation),
    }
)
