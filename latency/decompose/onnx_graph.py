"""An ONNX graph to walk: who makes and who reads a tensor, its shape, its value if constant."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper, numpy_helper

from ..precision import Precision
from ..profiling.onnx_model import load_graph

Shape = tuple[int, ...]

_QUANTISED = frozenset({"QuantizeLinear", "DequantizeLinear"})
_INTEGER = frozenset({"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "QGemm"})
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
        self.is_quantised = False
        for node in graph.node:
            self._add(node)
        self.makers = {name: node for node in self.nodes for name in node.output}
        self.readers: dict[str, list[NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(map(self.resolved, node.input)):
                self.readers[name].append(node)
        self.outputs = frozenset(self.resolved(value.name) for value in graph.output)

    @classmethod
    def read(cls, path: Path) -> OnnxGraph:
        """The graph of the file at `path`, at batch 1.

        Raises:
            ArtefactError: It is no whole ONNX model.
            ConfigError: Sizes other than the batch are open.
        """
        graph, names = load_graph(path, 1)
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
        elif node.op_type in _QUANTISED:
            self.is_quantised = True
            self._alias[node.output[0]] = self.resolved(node.input[0])
            self.constant_nodes.append(self.name(node))
        else:
            self.is_quantised |= node.op_type in _INTEGER
            self.nodes.append(node)

    def _keep(self, node: NodeProto) -> None:
        for attribute in node.attribute:
            if attribute.name == "value":
                self._values[node.output[0]] = attribute.t
                self._shapes[node.output[0]] = tuple(attribute.t.dims)

    @property
    def precision(self) -> Precision:
        return Precision.INT8 if self.is_quantised else Precision.FP32

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

    def only_reader(self, name: str) -> NodeProto | None:
        """The one node that reads a tensor, if there is one and the model does not return it."""
        readers = self.readers.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None


def _key(node: NodeProto) -> str:
    """What tells a node from others: every tensor is made once."""
    return "".join(node.output)


def attribute(node: NodeProto, name: str, default: Any) -> Any:
    """The attribute `name` of `node`, or `default`."""
    for found in node.attribute:
        if found.name == name:
            return helper.get_attribute_value(found)
    return default
