"""The graph of a TFLite file: its nodes, and the shape and, if constant, value of a tensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from ..precision import Precision
from ..profiling.tflite_model import (
    code_names,
    holds_data,
    load_tflite,
    tensor_dtype,
    tensor_shape,
)
from .steps import Shape, is_quantised

_CONVERTED = frozenset({"QUANTIZE", "DEQUANTIZE"})
_LAYERS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"})
_BYTES = (np.dtype(np.int8), np.dtype(np.uint8))


@dataclass(frozen=True, eq=False)
class TfliteNode:
    """One operation: its kind, its options as the schema has them, and the tensors' numbers.

    Attributes:
        inputs: -1 stands for an optional one that is not there.
    """

    kind: str
    options: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class TfliteGraph:
    """The graph of a file, conversions between number formats taken out.

    Attributes:
        nodes: Those that compute something from the model's inputs, in the order of the file.
        constant_nodes: Names of the others, which are computed once or never.
    """

    def __init__(self, model: Any, path: Path) -> None:
        self._model = model
        self._path = path
        graph = model.subgraphs[0]
        self._tensors = graph.tensors
        self._names = _names(graph.tensors)
        self._alias: dict[int, int] = {}
        held = enumerate(graph.tensors)
        self._constants = {index for index, tensor in held if holds_data(model, tensor)}
        self.nodes: list[TfliteNode] = []
        self.constant_nodes: list[str] = []
        needed = _needed(graph)
        codes = code_names(model)
        for operator in graph.operators:
            node = TfliteNode(
                codes[operator.opcodeIndex],
                operator.builtinOptions,
                _numbers(operator.inputs),
                _numbers(operator.outputs),
            )
            if needed.isdisjoint(node.outputs):
                # What leads to no output is left out by every runtime.
                self.constant_nodes.append(self.name(node))
            else:
                self._add(node)
        self.outputs = frozenset(self._names[self.resolved(i)] for i in graph.outputs)

    @classmethod
    def read(cls, path: Path) -> TfliteGraph:
        """The graph of the file at `path`, at batch 1.

        Raises:
            ArtefactError: It is no whole TFLite model.
            ConfigError: Sizes other than the batch are open, or the batch is not 1.
            UnavailableError: The package that reads TFLite files is not installed.
        """
        model = load_tflite(path, 1)
        graph = cls(model, path)
        for index in model.subgraphs[0].inputs:
            shape = graph.shape(int(index))
            if shape and shape[0] != 1:
                raise ConfigError(
                    f"{path} takes {shape[0]} images at once ({graph.tensor(int(index))}); "
                    "latencies of operators are known for one: convert it with a batch of 1."
                )
        return graph

    def _add(self, node: TfliteNode) -> None:
        given = [index for index in node.inputs if index >= 0]
        is_constant = self._constants.issuperset(given)
        if is_constant:
            self._constants.update(node.outputs)
        if node.kind in _CONVERTED:
            self._alias[node.outputs[0]] = self.resolved(given[0])
        if is_constant or node.kind in _CONVERTED:
            self.constant_nodes.append(self.name(node))
        else:
            self.nodes.append(node)

    @property
    def precision(self) -> Precision:
        """The number format that its layers compute in.

        Raises:
            ConfigError: Some compute in integers and some do not, or activations and weights are
                of different formats.
        """
        layers = [node for node in self.nodes if node.kind in _LAYERS]
        return Precision.INT8 if is_quantised(map(self._is_integer, layers)) else Precision.FP32

    def _is_integer(self, node: TfliteNode) -> bool:
        # Weights in half precision become fp32 before they are used.
        given, weight = (self._dtype(node.inputs[place]) for place in (0, 1))
        is_integer = given in _BYTES
        if given.kind in "iu" and not is_integer:
            raise ConfigError(
                f"{self._path}: {self.name(node)} computes with activations of {given}; latencies "
                "are known of networks of int8."
            )
        if is_integer is not (weight in _BYTES):
            raise ConfigError(
                f"{self._path}: {self.name(node)} has weights of {weight} for activations of "
                f"{given}; latencies are known of networks that are quantised whole, or not at "
                "all."
            )
        return is_integer

    def _dtype(self, index: int) -> np.dtype[Any]:
        """Type of what a node is given, before anything is taken out."""
        return tensor_dtype(self._tensors[index].type)

    def name(self, node: TfliteNode) -> str:
        """The name of `node`: that of what it writes, as the format names no nodes."""
        return self._names[node.outputs[0]] if node.outputs else node.kind

    def tensor(self, index: int) -> str:
        """The name of a tensor, unlike any other, conversions taken off."""
        return self._names[self.resolved(index)]

    def resolved(self, index: int) -> int:
        """The tensor that `index` stands for, conversions taken off."""
        index = int(index)
        while index in self._alias:
            index = self._alias[index]
        return index

    def shape(self, index: int) -> Shape:
        """Shape of a tensor, as it is in the file."""
        return tensor_shape(self._tensors[index])

    def is_constant(self, index: int) -> bool:
        """Whether a tensor does not depend on the model's inputs."""
        return index in self._constants

    def value(self, index: int) -> NDArray[Any] | None:
        """The real value of a constant tensor, where the file holds it as it is."""
        index = self.resolved(index)
        tensor = self._tensors[index]
        kind = tensor_dtype(tensor.type)
        if not holds_data(self._model, tensor) or kind == np.dtype(object):
            return None
        data = np.asarray(self._model.buffers[tensor.buffer].data, np.uint8)
        found = np.frombuffer(data.tobytes(), kind).reshape(self.shape(index))
        scaled = tensor.quantization
        if scaled is None or scaled.scale is None or len(scaled.scale) != 1:
            return found
        return (found.astype(np.float64) - int(scaled.zeroPoint[0])) * float(scaled.scale[0])

    def inputs(self, node: TfliteNode) -> list[int]:
        """What `node` reads that depends on the model's inputs."""
        return [index for index in node.inputs if index >= 0 and not self.is_constant(index)]


def _needed(graph: Any) -> set[int]:
    """The tensors that the outputs follow from."""
    needed = set(_numbers(graph.outputs))
    for operator in reversed(graph.operators):
        if not needed.isdisjoint(_numbers(operator.outputs)):
            needed.update(_numbers(operator.inputs))
    return needed


def _numbers(indices: Any) -> tuple[int, ...]:
    return () if indices is None else tuple(map(int, indices))


def _names(tensors: Any) -> list[str]:
    """A name for each tensor, unlike any other: its own where it can be."""
    names: list[str] = []
    taken: set[str] = set()
    for index, tensor in enumerate(tensors):
        own = (tensor.name or b"").decode(errors="replace")
        name = own if own and own not in taken else f"{own}#{index}"
        taken.add(name)
        names.append(name)
    return names
