"""Nodes of an ONNX file as the operators that a runtime executes.

What runtimes fuse is taken as one: a batch norm folded into the convolution before it, a bias, an
activation that only one operation feeds, a gate's two layers with the product behind them. It is
taken alike for every runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from onnx import NodeProto

from ...core.errors import ConfigError, UnsupportedOperatorError
from ..graph.ir import Activation, Pooling
from ..operators import Operator
from ..operators.activate import Activate
from ..operators.add import Add
from ..operators.batch_norm import BatchNorm
from ..operators.channel_pad import ChannelPad
from ..operators.channel_shuffle import ChannelShuffle
from ..operators.channel_slice import ChannelSlice
from ..operators.concat import Concat
from ..operators.conv import Conv, Norm
from ..operators.global_pool import GlobalPool
from ..operators.linear import Linear
from ..operators.pool import Pool
from ..operators.squeeze_excite import SqueezeExcite
from .onnx_graph import OnnxGraph, Shape, attribute
from .program import Part, Program

_FREE = frozenset({"Identity", "Dropout", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Cast"})
_FUSED = frozenset({Activation.NONE, Activation.RELU, Activation.RELU6, Activation.HSWISH})
_SHOWN = 20


class _UnknownError(Exception):
    """Why one node is no operator that is known."""


def read_program(path: Path) -> Program:
    """The operators of the ONNX file at `path`, one image at a time.

    Raises:
        ArtefactError: It is no whole ONNX model.
        ConfigError: Sizes other than the batch are open.
        UnsupportedOperatorError: Some nodes are no operators that are known; all are listed.
    """
    return _Reader(OnnxGraph.read(path), path).program()


class _Reader:
    def __init__(self, graph: OnnxGraph, path: Path) -> None:
        self._graph = graph
        self._path = path
        self._done: set[int] = set()
        self._free: list[str] = list(graph.constant_nodes)
        self._parts: list[Part] = []

    def program(self) -> Program:
        unknown: list[str] = []
        for node in self._graph.nodes:
            if id(node) in self._done:
                continue
            try:
                self._read(node)
            except (_UnknownError, ConfigError) as reason:
                unknown.append(f"{self._graph.name(node)} ({node.op_type}): {reason}")
        if unknown:
            more = f"; and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
            raise UnsupportedOperatorError(
                f"{self._path}: {len(unknown)} nodes are no operators that latencies are known "
                f"of: {'; '.join(unknown[:_SHOWN])}{more}. Known: "
                f"{', '.join(sorted(_READERS))}, and free {', '.join(sorted(_FREE))}. Measure the "
                "file itself: elat profile FILE --device DEVICE."
            )
        graph = self._graph
        return Program(tuple(self._parts), tuple(self._free), graph.precision, graph.outputs)

    def _read(self, node: NodeProto) -> None:
        if node.op_type in _FREE:
            self._take_free(node)
            return
        read = _READERS.get(node.op_type)
        if read is None:
            raise _UnknownError("no operator does that")
        operator, nodes = read(self._graph, node)
        self._done.update(map(id, nodes))
        inside = {name for each in nodes for name in each.output}
        reads = [n for each in nodes for n in self._graph.inputs(each) if n not in inside]
        names = tuple(self._graph.name(each) for each in nodes)
        writes = self._graph.resolved(nodes[-1].output[0])
        self._parts.append(Part(operator, names, tuple(dict.fromkeys(reads)), writes))

    def _take_free(self, node: NodeProto) -> None:
        self._done.add(id(node))
        self._free.append(self._graph.name(node))


_Read = tuple[Operator, list[NodeProto]]


def _image(graph: OnnxGraph, name: str) -> tuple[int, int]:
    """Channels and side of a square image.

    Raises:
        _UnknownError: It is none.
    """
    shape = graph.shape(name)
    if shape is None:
        raise _UnknownError(f"the shape of {name} does not follow from the file")
    if len(shape) != 4 or shape[2] != shape[3]:
        raise _UnknownError(f"{name} is no square image but {'x'.join(map(str, shape))}")
    return shape[1], shape[2]


def _one(node: NodeProto, name: str, default: list[int]) -> int:
    """The value of an attribute that is the same in both directions."""
    values = list(attribute(node, name, default))
    if len(set(values)) != 1:
        raise _UnknownError(f"{name} {values} differ between directions")
    return int(values[0])


def _followed(graph: OnnxGraph, node: NodeProto, kind: str) -> NodeProto | None:
    """The node of `kind` that alone reads what `node` makes."""
    reader = graph.only_reader(graph.resolved(node.output[0]))
    return reader if reader is not None and reader.op_type == kind else None


def _with_activation(graph: OnnxGraph, last: NodeProto) -> tuple[Activation, list[NodeProto]]:
    """The activation behind `last` that runs with it, and the nodes that it is."""
    activation, nodes = _activation(graph, graph.resolved(last.output[0]))
    return (activation, nodes) if activation in _FUSED else (Activation.NONE, [])


def _activation(graph: OnnxGraph, name: str) -> tuple[Activation, list[NodeProto]]:
    """What is applied to the tensor `name` and nothing else reads; none, and no nodes, else."""
    readers = [] if name in graph.outputs else graph.readers.get(name, [])
    if len(readers) == 1:
        found = _alone(graph, readers[0])
        return (found, [readers[0]]) if found else (Activation.NONE, [])
    if len(readers) == 2:
        return _gated(graph, name, readers)
    return Activation.NONE, []


def _alone(graph: OnnxGraph, node: NodeProto) -> Activation | None:
    """The activation that one node is."""
    if node.op_type == "Clip":
        bounds = [graph.value(n) for n in node.input[1:3] if n]
        limits = [float(b) for b in bounds if b is not None and b.size == 1]
        if len(limits) < 2:
            limits = [attribute(node, "min", -np.inf), attribute(node, "max", np.inf)]
        return Activation.RELU6 if limits == [0.0, 6.0] else None
    if node.op_type == "HardSigmoid":
        is_usual = abs(attribute(node, "alpha", 0.2) - 1 / 6) < 1e-4
        return Activation.HSIGMOID if is_usual else None
    return _SIMPLE.get(node.op_type)


_SIMPLE: Mapping[str, Activation] = MappingProxyType(
    {
        "Relu": Activation.RELU,
        "HardSwish": Activation.HSWISH,
        "Sigmoid": Activation.SIGMOID,
    }
)


def _gated(
    graph: OnnxGraph, name: str, readers: list[NodeProto]
) -> tuple[Activation, list[NodeProto]]:
    """Hard swish written as a product: x * hard-sigmoid(x), or x * clip(x + 3, 0, 6) / 6."""
    products = [node for node in readers if node.op_type == "Mul"]
    others = [node for node in readers if node.op_type != "Mul"]
    if len(products) != 1 or len(others) != 1:
        return Activation.NONE, []
    chain, product = [others[0]], products[0]
    while (reader := graph.only_reader(graph.resolved(chain[-1].output[0]))) is not None:
        if reader is product:
            break
        chain.append(reader)
    else:
        return Activation.NONE, []
    gate = graph.resolved(chain[-1].output[0])
    if set(graph.inputs(product)) != {name, gate}:
        return Activation.NONE, []
    if len(chain) == 1 and _alone(graph, chain[0]) is Activation.HSIGMOID:
        return Activation.HSWISH, [*chain, product]
    shifted, clipped, scaled = (*chain, None, None)[:3]
    is_clip = (
        shifted is not None
        and clipped is not None
        and shifted.op_type == "Add"
        and _constant(graph, shifted) == 3.0
        and _alone(graph, clipped) is Activation.RELU6
    )
    last = scaled or graph.only_reader(graph.resolved(product.output[0]))
    if not is_clip or last is None or len(chain) > 3 or not _is_a_sixth(graph, last):
        return Activation.NONE, []
    return Activation.HSWISH, [*chain, product, *([] if scaled else [last])]


def _is_a_sixth(graph: OnnxGraph, node: NodeProto) -> bool:
    """Whether `node` divides by 6."""
    by = _constant(graph, node)
    return (node.op_type == "Div" and by == 6.0) or (
        node.op_type == "Mul" and by is not None and abs(by - 1 / 6) < 1e-4
    )


def _constant(graph: OnnxGraph, node: NodeProto) -> float | None:
    """The one number that `node` takes beside what is computed, if it is one."""
    found = [graph.value(name) for name in node.input if graph.is_constant(name)]
    values = [v for v in found if v is not None and v.size == 1]
    return float(values[0].reshape(())) if len(found) == len(values) == 1 else None


def _conv(graph: OnnxGraph, node: NodeProto) -> _Read:
    channels, side = _image(graph, graph.inputs(node)[0])
    weight = graph.shape(node.input[_WEIGHT.get(node.op_type, 1)])
    if weight is None or len(weight) != 4 or weight[2] != weight[3]:
        raise _UnknownError("its window is no square of constants")
    out, out_side = _image(graph, node.output[0])
    nodes = [node]
    if (norm := _followed(graph, node, "BatchNormalization")) is not None:
        nodes.append(norm)
    activation, behind = _with_activation(graph, nodes[-1])
    kernel, stride = weight[2], _one(node, "strides", [1, 1])
    dilation = _one(node, "dilations", [1, 1])
    has_bias = len(nodes) > 1 or len(node.input) > _WEIGHT.get(node.op_type, 1) + 1
    operator = Conv(
        channels, out, side, kernel, stride, attribute(node, "group", 1), activation,
        # A folded batch norm is a bias, and is what convolutions of networks have.
        Norm.BATCH if has_bias else Norm.NONE,
        _padding(node, kernel, stride, dilation, side, out_side),
        dilation,
    )  # fmt: skip
    return operator, [*nodes, *behind]


_WEIGHT = {"QLinearConv": 3}


def _padding(
    node: NodeProto, kernel: int, stride: int, dilation: int, side: int, out_side: int
) -> int | None:
    """Zeros on every side; None for as many as keep the size at stride 1.

    TensorFlow's uneven padding of strided windows makes the same output of as much work.
    """
    half = dilation * (kernel // 2)
    if (side + 2 * half - dilation * (kernel - 1) - 1) // stride + 1 == out_side:
        return None
    pads = list(attribute(node, "pads", [0, 0, 0, 0]))
    if len(set(pads)) != 1:
        raise _UnknownError(f"padding {pads} differs between sides")
    return int(pads[0])


def _linear(graph: OnnxGraph, node: NodeProto) -> _Read:
    given, made = graph.shape(graph.inputs(node)[0]), graph.shape(node.output[0])
    if len(graph.inputs(node)) != 1:
        raise _UnknownError("both factors are computed")
    if given is None or made is None or len(given) != 2 or len(made) != 2:
        raise _UnknownError("it is no layer on a vector")
    nodes, has_bias = [node], len(node.input) > 2
    bias = _followed(graph, node, "Add")
    if not has_bias and bias is not None and len(graph.inputs(bias)) == 1:
        nodes.append(bias)
        has_bias = True
    activation, behind = _with_activation(graph, nodes[-1])
    return Linear(given[1], made[1], activation, has_bias), [*nodes, *behind]


def _global_pool(graph: OnnxGraph, node: NodeProto) -> _Read:
    channels, side = _image(graph, graph.inputs(node)[0])
    if node.op_type == "ReduceMean" and not _is_over_image(graph, node):
        raise _UnknownError("it is no mean over an image")
    gate = _squeeze_excite(graph, node, channels, side)
    return gate or (GlobalPool(channels, side), [node])


def _is_over_image(graph: OnnxGraph, node: NodeProto) -> bool:
    axes = attribute(node, "axes", None)
    if axes is None and len(node.input) > 1:
        found = graph.value(node.input[1])
        axes = None if found is None else found.tolist()
    return axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]


def _squeeze_excite(graph: OnnxGraph, pool: NodeProto, channels: int, side: int) -> _Read | None:
    """Mean, two layers and the product with the image; None where that is not what follows."""
    image, nodes = graph.inputs(pool)[0], [pool]
    widths: list[int] = []
    between: list[Activation | None] = []
    while (reader := graph.only_reader(graph.resolved(nodes[-1].output[0]))) is not None:
        nodes.append(reader)
        if reader.op_type == "Mul":
            others = [n for n in graph.inputs(reader) if n not in nodes[-2].output]
            is_whole = others == [image] and len(widths) == 2 and widths[1] == channels
            if is_whole and len(between) == 2 and between[0] is Activation.RELU:
                gate = between[1]
                if gate in (Activation.HSIGMOID, Activation.SIGMOID):
                    return SqueezeExcite(channels, side, widths[0], gate), nodes
            return None
        if reader.op_type in ("Conv", "Gemm", "MatMul", "QLinearConv"):
            made = graph.shape(reader.output[0])
            widths.append(made[1] if made and len(graph.inputs(reader)) == 1 else 0)
        elif reader.op_type == "Add":
            if len(graph.inputs(reader)) != 1:
                return None
        elif reader.op_type not in _FREE:
            between.append(_alone(graph, reader))
            if between[-1] is None:
                return None
    return None


def _pool(graph: OnnxGraph, node: NodeProto) -> _Read:
    channels, side = _image(graph, graph.inputs(node)[0])
    _, out_side = _image(graph, node.output[0])
    kernel, stride = _one(node, "kernel_shape", []), _one(node, "strides", [1, 1])
    if node.op_type == "AveragePool" and kernel == side and out_side == 1:
        return _global_pool(graph, node)
    pooling = Pooling.MAX if node.op_type == "MaxPool" else Pooling.AVERAGE
    padded = pooling is Pooling.AVERAGE and (kernel - 1) // 2 > 0
    counts = bool(attribute(node, "count_include_pad", 0)) or not padded
    operator = Pool(channels, side, kernel, stride, pooling, counts)
    if operator.out_resolution != out_side:
        raise _UnknownError(f"it pads otherwise: {side} pixels become {out_side}")
    return operator, [node]


def _add(graph: OnnxGraph, node: NodeProto) -> _Read:
    names = graph.inputs(node)
    shapes = {graph.shape(name) for name in names}
    if len(names) != 2 or len(shapes) != 1:
        raise _UnknownError("it adds no two images of one shape")
    channels, side = _image(graph, names[0])
    activation, behind = _with_activation(graph, node)
    return Add(channels, side, activation), [node, *behind]


def _concat(graph: OnnxGraph, node: NodeProto) -> _Read:
    images = [_image(graph, name) for name in graph.inputs(node)]
    if attribute(node, "axis", 1) % 4 != 1 or len(images) != len(node.input):
        raise _UnknownError("it joins no channels of images")
    return Concat(tuple(channels for channels, _ in images), images[0][1]), [node]


def _shuffle(graph: OnnxGraph, node: NodeProto) -> _Read:
    """Channels in groups, the two axes turned: what lies between two reshapes."""
    shape = graph.shape(graph.inputs(node)[0])
    if shape is None or len(shape) != 5 or list(attribute(node, "perm", [])) != [0, 2, 1, 3, 4]:
        raise _UnknownError("it shuffles no channels")
    _, groups, width, side, other = shape
    if side != other:
        raise _UnknownError("it is no square image")
    return ChannelShuffle(groups * width, side, groups), [node]


def _slice(graph: OnnxGraph, node: NodeProto) -> _Read:
    channels, side = _image(graph, graph.inputs(node)[0])
    out, out_side = _image(graph, node.output[0])
    starts = graph.value(node.input[1]) if len(node.input) > 1 else None
    axes = graph.value(node.input[3]) if len(node.input) > 3 else None
    places = [] if axes is None else [axis % 4 for axis in axes.tolist()]
    if starts is None or 1 not in places or out_side != side:
        raise _UnknownError("it takes no run of channels")
    begin = int(starts[places.index(1)]) % channels
    return ChannelSlice(channels, side, begin, begin + out), [node]


def _pad(graph: OnnxGraph, node: NodeProto) -> _Read:
    channels, side = _image(graph, graph.inputs(node)[0])
    out, out_side = _image(graph, node.output[0])
    pads = graph.value(node.input[1]) if len(node.input) > 1 else None
    is_behind = pads is not None and pads.tolist() == [0] * 5 + [out - channels, 0, 0]
    if not is_behind or out_side != side:
        raise _UnknownError("it adds no channels behind the image's")
    return ChannelPad(channels, out, side), [node]


def _activate(graph: OnnxGraph, node: NodeProto) -> _Read:
    found = _alone(graph, node)
    if found is None:
        raise _UnknownError("no activation that is known")
    channels, side = _vector_or_image(graph, graph.inputs(node)[0])
    return Activate(channels, side, found), [node]


def _vector_or_image(graph: OnnxGraph, name: str) -> tuple[int, int]:
    shape: Shape = graph.shape(name) or ()
    return (shape[1], 1) if len(shape) == 2 else _image(graph, name)


def _batch_norm(graph: OnnxGraph, node: NodeProto) -> _Read:
    channels, side = _image(graph, graph.inputs(node)[0])
    activation, behind = _with_activation(graph, node)
    return BatchNorm(channels, side, activation), [node, *behind]


_READERS: Mapping[str, Callable[[OnnxGraph, NodeProto], _Read]] = MappingProxyType(
    {
        "Conv": _conv,
        "QLinearConv": _conv,
        "Gemm": _linear,
        "MatMul": _linear,
        "GlobalAveragePool": _global_pool,
        "ReduceMean": _global_pool,
        "AveragePool": _pool,
        "MaxPool": _pool,
        "Add": _add,
        "Concat": _concat,
        "Transpose": _shuffle,
        "Slice": _slice,
        "Pad": _pad,
        "Relu": _activate,
        "Clip": _activate,
        "HardSwish": _activate,
        "HardSigmoid": _activate,
        "Sigmoid": _activate,
        "BatchNormalization": _batch_norm,
    }
)
