"""ONNX files of whatever origin, with their sizes fixed and their costs counted."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError, EncodeError
from onnx import (
    GraphProto,
    ModelProto,
    NodeProto,
    TensorProto,
    ValueInfoProto,
    helper,
    shape_inference,
)

from ...core.errors import ArtefactError, ConfigError
from .model_file import NAME_TAG, ModelFile, ModelInput, ModelNode, kinds

Shape = tuple[int, ...]

_BYTES = (TensorProto.INT8, TensorProto.UINT8)
# Number of the weight among the inputs, by kind.
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "FusedConv": 1, "QLinearConv": 3}
_PRODUCTS = {"MatMul": 0, "MatMulInteger": 0, "QLinearMatMul": 0, "FusedMatMul": 0}
# Kinds that multiply in ways that are not counted here.
_UNCOUNTED = kinds("Attention DeformConv Einsum GRU If LSTM Loop MultiHeadAttention RNN Scan")
# Their outputs follow from shapes, and these are fixed.
_SHAPE_KINDS = frozenset({"Shape", "Size"})


def read_onnx(path: Path, batch: int) -> ModelFile:
    """The ONNX model at `path`, its open batch axis fixed to `batch`.

    Raises:
        ArtefactError: The file is no whole ONNX model, or a file of its weights is missing.
        ConfigError: Sizes other than the batch are open, or it is larger than 2 GB.
    """
    model = _load(path)
    given = _fix_batch(model, path, batch)
    names = _names(model.graph.node)
    for index, node in enumerate(model.graph.node):
        node.name = NAME_TAG.format(index)
    try:
        data = bytes(model.SerializeToString())
    except (EncodeError, ValueError) as error:
        raise ConfigError(f"{path} is larger than the 2 GB that can be profiled.") from error
    tensors = _Tensors(_with_shapes(model))
    nodes = tuple(
        ModelNode(
            name,
            node.op_type,
            tuple(filter(None, [*node.input, *_captured(node)])),
            tuple(filter(None, node.output)),
            _macs(node, tensors),
        )
        for name, node in zip(names, model.graph.node, strict=True)
    )
    constants = {tensor.name for tensor in model.graph.initializer}
    constants.update(t.values.name for t in model.graph.sparse_initializer)
    for node in nodes:
        if node.kind in _SHAPE_KINDS or constants.issuperset(node.inputs):
            constants.update(node.outputs)
    return ModelFile(
        data,
        ".onnx",
        nodes,
        given,
        tuple(value.name for value in model.graph.output),
        frozenset(constants),
        tensors.sizes,
        any(t.data_type in _BYTES and len(t.dims) > 1 for t in model.graph.initializer),
    )


def load_graph(path: Path, batch: int) -> tuple[GraphProto, list[str]]:
    """The graph of the ONNX model at `path` with the shapes that follow, and its nodes' names.

    Raises:
        ArtefactError: The file is no whole ONNX model, or a file of its weights is missing.
        ConfigError: Sizes other than the batch are open.
    """
    model = _load(path)
    _fix_batch(model, path, batch)
    graph = _with_shapes(model)
    return graph, _names(graph.node)


def _with_shapes(model: ModelProto) -> GraphProto:
    """The graph with the shapes that follow; as it is where they cannot be told."""
    try:
        return shape_inference.infer_shapes(model, data_prop=True).graph
    except shape_inference.InferenceError:
        # Whether the model is valid is for its runtime to say; here costs stay unknown.
        return model.graph


def _load(path: Path) -> ModelProto:
    try:
        model = onnx.load(str(path))
    except DecodeError as error:
        raise ArtefactError(f"{path} is no ONNX model, or was cut short: {error}.") from error
    except (OSError, onnx.checker.ValidationError) as error:
        raise ArtefactError(f"{path} or a file of its weights is not readable: {error}") from error
    if not model.graph.node:
        raise ArtefactError(f"{path} holds no node: it is no ONNX model, or an empty one.")
    return model


def _fix_batch(model: ModelProto, path: Path, batch: int) -> tuple[ModelInput, ...]:
    """Fix the open first axis of every input, wherever its symbol appears; the inputs then."""
    constants = {tensor.name for tensor in model.graph.initializer}
    places = [value for value in model.graph.input if value.name not in constants]
    symbols: set[str] = set()
    for place in places:
        for axis, size in enumerate(place.type.tensor_type.shape.dim):
            if size.HasField("dim_value") and size.dim_value > 0:
                continue
            if axis > 0 and size.dim_param not in symbols:
                raise ConfigError(_open_axis(path, place.name, axis, size.dim_param))
            symbols.update(filter(None, [size.dim_param]))
            size.dim_value = batch
    for value in (*model.graph.output, *model.graph.value_info):
        for size in value.type.tensor_type.shape.dim:
            if size.dim_param in symbols:
                size.dim_value = batch
    return tuple(_input(place, path) for place in places)


def _open_axis(path: Path, name: str, axis: int, symbol: str) -> str:
    size = f"--dim_param {symbol} --dim_value SIZE" if symbol else f"--input_name {name} ..."
    return (
        f"{path}: axis {axis} of input {name!r} has no fixed size ({symbol or 'unnamed'}). Fix it "
        f"with: python -m onnxruntime.tools.make_dynamic_shape_fixed {size} {path} fixed.onnx"
    )


def _input(place: ValueInfoProto, path: Path) -> ModelInput:
    tensor = place.type.tensor_type
    if not place.type.HasField("tensor_type") or not tensor.HasField("shape"):
        raise ConfigError(f"{path}: input {place.name!r} is no tensor of known rank.")
    kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    return ModelInput(place.name, kind, tuple(size.dim_value for size in tensor.shape.dim))


def _names(nodes: Iterable[NodeProto]) -> list[str]:
    """A name for each node, unlike any other: its own if it has one, else of kind and number."""
    taken: set[str] = set()
    names = []
    for index, node in enumerate(nodes):
        name = node.name if node.name and node.name not in taken else f"{node.op_type}_{index}"
        while name in taken:
            name += "'"
        taken.add(name)
        names.append(name)
    return names


def _captured(node: NodeProto) -> list[str]:
    """What the bodies of a control-flow node read of the graph around them."""
    names: list[str] = []
    for attribute in node.attribute:
        graphs = [attribute.g, *attribute.graphs]
        for body in graphs:
            made = {value.name for value in body.input}
            for inner in body.node:
                names += [n for n in (*inner.input, *_captured(inner)) if n and n not in made]
                made.update(inner.output)
    return names


class _Tensors:
    """Shapes and sizes of the tensors of a graph whose shapes were inferred."""

    def __init__(self, graph: GraphProto) -> None:
        self.sizes: dict[str, int] = {}
        self._shapes: dict[str, Shape] = {}
        for value in (*graph.value_info, *graph.input, *graph.output):
            tensor = value.type.tensor_type
            dims = tensor.shape.dim
            is_fixed = all(size.HasField("dim_value") for size in dims)
            if value.type.HasField("tensor_type") and tensor.HasField("shape") and is_fixed:
                self._add(value.name, tuple(d.dim_value for d in dims), tensor.elem_type)
        for constant in graph.initializer:
            self._add(constant.name, tuple(constant.dims), constant.data_type)

    def _add(self, name: str, shape: Shape, kind: int) -> None:
        self._shapes[name] = shape
        if kind not in (TensorProto.UNDEFINED, TensorProto.STRING):
            itemsize = np.dtype(helper.tensor_dtype_to_np_dtype(kind)).itemsize
            self.sizes[name] = prod(shape) * itemsize

    def shape(self, names: Any, index: int) -> Shape | None:
        """The shape of the tensor number `index` of `names`, if there is one and it is known."""
        return self._shapes.get(names[index]) if index < len(names) else None


def _macs(node: NodeProto, tensors: _Tensors) -> int | None:
    """Multiply-adds of `node`; 0 for kinds without, None where it cannot be told."""
    out = tensors.shape(node.output, 0)
    if node.op_type in _CONVOLUTIONS:
        weight = tensors.shape(node.input, _CONVOLUTIONS[node.op_type])
        return None if out is None or weight is None else prod(out) * prod(weight[1:])
    if node.op_type == "ConvTranspose":
        given, weight = tensors.shape(node.input, 0), tensors.shape(node.input, 1)
        return None if given is None or weight is None else prod(given) * prod(weight[1:])
    if node.op_type in ("Gemm", *_PRODUCTS):
        left = tensors.shape(node.input, 0)
        if out is None or not left:
            return None
        is_turned = any(a.name == "transA" and a.i for a in node.attribute)
        return prod(out) * (left[-2] if is_turned else left[-1])
    return None if node.op_type in _UNCOUNTED else 0
