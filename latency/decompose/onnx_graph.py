"""The graph of an ONNX file: its nodes, and the shape and, if constant, value of a tensor."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

from ...core.errors import ConfigError
from ..precision import Precision
from ..profiling.onnx_model import load_graph
from .steps import Shape, is_quantised

_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear"})
_INTEGER = frozenset({"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm"})
_LAYERS = frozenset({"Conv", "Gemm", "MatMul", *_INTEGER})
_SIX = 6 * (1 + 1e-5)
_SHAPE_KINDS = frozenset({"Shape", "Size", "Constant", "ConstantOfShape", "Range"})


class OnnxGraph:
    """The graph of a file, quantisation taken for the precision that it is.

    Attributes:
        nodes: Those that compute something from the model's inputs, in the order of the file.
        constant_nodes: Names of the others, which are computed once or never.
    """

    def __init__(self, graph: GraphProto, names: dict[str, str]) -> None:
        self._names = names
        self._alias: dict[str, str] = {}
        self._values = {t.name: t for t in graph.initializer}
        self._shapes: dict[str, Shape] = {}
        for value in (*graph.value_info, *graph.input, *graph.output):
            dims = value.type.tensor_type.shape.dim
            if all(size.HasField("dim_value") for size in dims):
                self._shapes[value.name] = tuple(size.dim_value for size in dims)
        for tensor in graph.initializer:
            self._shapes[tensor.name] = tuple(tensor.dims)
        self._constants = set(self._values)
        self.nodes: list[NodeProto] = []
        self.constant_nodes: list[str] = []
        self._integer: set[str] = set()
        self._scaled: dict[str, NodeProto] = {}
        self._types = {tensor.data_type for tensor in graph.initializer}
        self._types |= {value.type.tensor_type.elem_type for value in graph.input}
        outputs = [value.name for value in graph.output]
        needed = _needed(graph, outputs)
        for node in graph.node:
            if needed.isdisjoint(node.output):
                # What leads to no output is left out by every runtime.
                self.constant_nodes.append(self.name(node))
            else:
                self._add(node)
        self.outputs = frozenset(map(self.resolved, outputs))

    @classmethod
    def read(cls, path: Path) -> OnnxGraph:
        """The graph of the file at `path`, at batch 1.

        Raises:
            ArtefactError: It is no whole ONNX model.
            ConfigError: Sizes other than the batch are open, or the batch is not 1.
        """
        graph, names = load_graph(path, 1)
        constants = {tensor.name for tensor in graph.initializer}
        for value in graph.input:
            dims = value.type.tensor_type.shape.dim
            if value.name not in constants and dims and dims[0].dim_value != 1:
                raise ConfigError(
                    f"{path} takes {dims[0].dim_value} images at once ({value.name}); latencies "
                    "of operators are known for one: export it with a batch of 1."
                )
        return cls(graph, {_key(node): name for node, name in zip(graph.node, names, strict=True)})

    def _add(self, node: NodeProto) -> None:
        given = [name for name in node.input if name]
        if node.op_type in _SHAPE_KINDS or (given and self._constants.issuperset(given)):
            self._constants.update(node.output)
            self.constant_nodes.append(self.name(node))
            if node.op_type == "Constant":
                self._keep(node)
            elif node.op_type in (*_QUANTISED, "Identity", "Cast", "Reshape") and given:
                self._alias[node.output[0]] = self.resolved(given[0])
                self._integer.update(node.output if node.op_type in _QUANTISED else ())
        elif node.op_type in (*_QUANTISED, "Identity", "Dropout"):
            self._alias[node.output[0]] = self.resolved(node.input[0])
            if node.op_type in _QUANTISED:
                self._integer.update(node.output)
                self._scaled.setdefault(self.resolved(node.input[0]), node)
            self.constant_nodes.append(self.name(node))
        else:
            self.nodes.append(node)

    def _keep(self, node: NodeProto) -> None:
        for attribute in node.attribute:
            if attribute.name == "value":
                self._values[node.output[0]] = attribute.t
                self._shapes[node.output[0]] = tuple(attribute.t.dims)

    @property
    def precision(self) -> Precision:
        """The number format that its layers compute in.

        Raises:
            ConfigError: Some compute in integers and some do not.
        """
        layers = (node for node in self.nodes if node.op_type in _LAYERS)
        if is_quantised(map(self._is_integer, layers)):
            return Precision.INT8
        if TensorProto.FLOAT16 in self._types:
            return Precision.FP16
        return Precision.BF16 if TensorProto.BFLOAT16 in self._types else Precision.FP32

    def _is_integer(self, node: NodeProto) -> bool:
        return node.op_type in _INTEGER or not self._integer.isdisjoint(node.input)

    def name(self, node: NodeProto) -> str:
        """The name of `node` in the file, or one made of its kind and number."""
        return self._names[_key(node)]

    def resolved(self, name: str) -> str:
        """The tensor that `name` stands for, quantisation taken off."""
        while name in self._alias:
            name = self._alias[name]
        return name

    def shape(self, name: str) -> Shape | None:
        """Shape of a tensor, where it is known."""
        found = self._shapes.get(name)
        return found if found is not None else self._shapes.get(self.resolved(name))

    def is_constant(self, name: str) -> bool:
        """Whether a tensor does not depend on the model's inputs."""
        return name in self._constants or self.resolved(name) in self._constants

    def value(self, name: str) -> NDArray[Any] | None:
        """The value of a constant tensor, where the file holds it as it is."""
        tensor = self._values.get(self.resolved(name))
        return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))

    def inputs(self, node: NodeProto) -> list[str]:
        """What `node` reads that depends on the model's inputs."""
        return [self.resolved(n) for n in node.input if n and not self.is_constant(n)]

    def limits(self, name: str) -> tuple[float, float] | None:
        """Least and greatest number that a quantised tensor can hold; None where it is none."""
        node = self._scaled.get(name)
        numbers = [] if node is None else [self.value(n) for n in node.input[1:3]]
        if len(numbers) != 2 or any(n is None or n.size != 1 for n in numbers):
            return None
        scale, zero = (n.reshape(()) for n in numbers if n is not None)
        kind = np.iinfo(zero.dtype) if zero.dtype.kind in "iu" else None
        if kind is None:
            return None
        low, high = ((end - int(zero)) * float(scale) for end in (kind.min, kind.max))
        return low, high

    @cached_property
    def has_relu(self) -> bool:
        """Whether some convolution's quantised output begins at 0 and reaches beyond 6.

        Of a network that has no such output, all its ReLUs may be ReLU6.
        """
        found = [self.limits(node.output[0]) for node in self.nodes if node.op_type == "Conv"]
        return any(limits[0] == 0 and limits[1] > _SIX for limits in found if limits is not None)


def _needed(graph: GraphProto, outputs: list[str]) -> set[str]:
    """The tensors that the outputs follow from."""
    needed = set(outputs)
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            needed.update(node.input)
            for found in node.attribute:
                for body in (found.g, *found.graphs):
                    needed.update(name for inner in body.node for name in inner.input)
    return needed


def _key(node: NodeProto) -> str:
    """What tells a node from others: every tensor is made once."""
    return "".join(node.output)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """The attribute `name` of `node`, or `default`."""
    for found in node.attribute:
        if found.name == name:
            return helper.get_attribute_value(found)
    return default
