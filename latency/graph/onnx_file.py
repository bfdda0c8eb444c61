"""Graphs written as ONNX files, float or in the QDQ form of quantised models.

In a quantised file every tensor between operations, inputs and output too, is uint8 (the scheme's
int8 with 128 added: the form ONNX Runtime's kernels are fastest in) or what else the `Dialect` of
the reader asks. Each operation stands between DequantizeLinear and QuantizeLinear, which the
runtime fuses into an integer kernel.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from ...core.errors import UnsupportedOperatorError
from .ir import (
    Activate,
    Activation,
    Add,
    Affine,
    Array,
    Concat,
    Conv,
    GlobalAveragePool,
    Graph,
    Identity,
    Linear,
    Mul,
    Node,
    Pad,
    Pool,
    Pooling,
    Shuffle,
    Slice,
    Value,
)
from .quantise import HIGHEST, LOWEST, Quantisation, Scale

SCALES_KEY = "elat.scales"
UINT8_OFFSET = 128
_SIX = 6 * (1 + 1e-6)

Attribute = int | float | list[int]


@dataclass(frozen=True)
class Dialect:
    """What a reader of ONNX files wants of them; by default ONNX Runtime on a CPU.

    Attributes:
        opset: Version of the operators.
        ir_version: Version of the file format.
        real: Element type (of `TensorProto`) of real constants, inputs and outputs.
        is_symmetric: Whether quantised tensors are int8 with zero point 0, beside real biases; if
            not, they are uint8, the scheme's int8 with 128 added, beside int32 biases.
        has_hard_swish: Whether it knows HardSwish; if not, that is a product with HardSigmoid.
    """

    opset: int = 17
    ir_version: int = 9
    real: int = TensorProto.FLOAT
    is_symmetric: bool = False
    has_hard_swish: bool = True

    @property
    def quantised(self) -> int:
        """Element type of quantised tensors."""
        return TensorProto.INT8 if self.is_symmetric else TensorProto.UINT8

    @property
    def offset(self) -> int:
        """What is added to the scheme's int8."""
        return 0 if self.is_symmetric else UINT8_OFFSET


ONNX_RUNTIME = Dialect()


def write_onnx(
    graph: Graph, quantisation: Quantisation | None = None, dialect: Dialect = ONNX_RUNTIME
) -> bytes:
    """`graph` as an ONNX file: NCHW real numbers, or quantised inputs and output.

    The metadata entry `SCALES_KEY` of a quantised file holds `[scale, zero_point]` of each input
    and of the output, so that a session can convert real values to and fro.

    Raises:
        UnsupportedOperatorError: A node has no counterpart in ONNX, or a weight is beyond the
            range of the dialect's real numbers.
    """
    model = _Writer(graph, quantisation, dialect).model()
    return bytes(model.SerializeToString(deterministic=True))


def scales_in(model: ModelProto) -> list[list[float]] | None:
    """Scale and zero point of each input and of the output of a quantised file; None of others."""
    told = {entry.key: entry.value for entry in model.metadata_props}.get(SCALES_KEY)
    return None if told is None else json.loads(told)


class _Writer:
    def __init__(self, graph: Graph, quantisation: Quantisation | None, dialect: Dialect) -> None:
        self._graph = graph
        self._quantisation = quantisation
        self._dialect = dialect
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}

    def model(self) -> ModelProto:
        for node in self._graph.nodes:
            if self._quantisation is None:
                names = [value.name for value in node.inputs]
                if isinstance(node, Conv | Linear):
                    names += self._weights(node)
                self._operation(node, names, node.output.name)
            else:
                self._quantised(node, self._quantisation)
        graph = helper.make_graph(
            self._nodes,
            "elat",
            [self._info(value) for value in self._graph.inputs],
            [self._info(self._graph.output)],
            list(self._constants.values()),
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self._dialect.opset)],
            ir_version=self._dialect.ir_version,
            producer_name="elat",
        )
        if self._quantisation is not None:
            ends = (*self._graph.inputs, self._graph.output)
            scales = [self._quantisation.scales[value.name] for value in ends]
            rows = [[scale.scale, scale.zero_point + self._dialect.offset] for scale in scales]
            helper.set_model_props(model, {SCALES_KEY: json.dumps(rows)})
        return model

    def _info(self, value: Value) -> ValueInfoProto:
        dialect = self._dialect
        kind = dialect.real if self._quantisation is None else dialect.quantised
        return helper.make_tensor_value_info(value.name, kind, value.shape)

    def _constant(self, name: str, array: NDArray[Any]) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def _real(self, name: str, array: Array) -> str:
        """A constant in the dialect's real numbers.

        Raises:
            UnsupportedOperatorError: They do not reach as far as `array`.
        """
        kind = helper.tensor_dtype_to_np_dtype(self._dialect.real)
        with np.errstate(over="ignore"):
            rounded = array.astype(kind)
        if (np.isinf(rounded) & np.isfinite(array)).any():
            raise UnsupportedOperatorError(
                f"{name} reaches {np.abs(array).max():.6g}, which {kind} cannot hold; choose a "
                "precision of a wider range, such as fp32."
            )
        return self._constant(name, rounded)

    def _number(self, value: float) -> str:
        return self._real(f"real.{value}", np.array(value, np.float32))

    def _add(self, kind: str, inputs: list[str], output: str, **attributes: Attribute) -> str:
        node = helper.make_node(kind, inputs, [output], output)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self._nodes.append(node)
        return output

    def _weights(self, node: Node) -> list[str]:
        name = node.output.name
        return [
            self._real(f"{name}.{part}", array)
            for part, array in zip(("weight", "bias"), node.weights, strict=False)
        ]

    def _quantised(self, node: Node, quantisation: Quantisation) -> None:
        name = node.output.name
        if _moves_only(node):
            self._operation(node, [value.name for value in node.inputs], name)
            return
        if isinstance(node, Affine):
            # ONNX Runtime has no integer kernel of batch norm, but one of convolutions.
            node = node.as_conv()
        inputs = [
            self._dequantise(value.name, f"{name}.input{i}", quantisation.scales[value.name])
            for i, value in enumerate(node.inputs)
        ]
        if isinstance(node, Conv | Linear):
            inputs += self._quantised_weights(node, quantisation)
        flattened = isinstance(node, GlobalAveragePool) and not node.keep_dims
        # Flatten moves only, so it follows the quantised mean instead of standing in its way.
        target = f"{name}.mean" if flattened else name
        scale = quantisation.scales[name]
        real = self._operation(_saturating(node, scale), inputs, f"{name}.real", flatten=False)
        self._add("QuantizeLinear", [real, *self._scale(scale)], target)
        if flattened:
            self._add("Flatten", [target], name, axis=1)

    def _quantised_weights(self, node: Conv | Linear, quantisation: Quantisation) -> list[str]:
        name, q = node.output.name, quantisation.weights(node)
        weight = self._constant(f"{name}.weight", q.weight)
        if self._dialect.is_symmetric:
            bias = self._real(f"{name}.bias", node.bias)
            return [self._dequantise_channels(weight, q.weight_scale, q.weight.dtype), bias]
        bias = self._constant(f"{name}.bias", q.bias)
        return [
            self._dequantise_channels(weight, q.weight_scale, q.weight.dtype),
            self._dequantise_channels(bias, q.bias_scale, q.bias.dtype),
        ]

    def _scale(self, scale: Scale) -> list[str]:
        zero_point = scale.zero_point + self._dialect.offset
        kind = helper.tensor_dtype_to_np_dtype(self._dialect.quantised)
        text = f"{scale.scale!r}"
        return [
            self._constant(f"scale.{text}", np.array(scale.scale, np.float32)),
            self._constant(f"zero_point.{zero_point}", np.array(zero_point, kind)),
        ]

    def _dequantise(self, source: str, output: str, scale: Scale) -> str:
        return self._add("DequantizeLinear", [source, *self._scale(scale)], output)

    def _dequantise_channels(self, source: str, scale: Array, kind: np.dtype[Any]) -> str:
        inputs = [
            source,
            self._constant(f"{source}.scale", scale),
            self._constant(f"{source}.zero_point", np.zeros(len(scale), kind)),
        ]
        return self._add("DequantizeLinear", inputs, f"{source}.real", axis=0)

    def _operation(
        self, node: Node, inputs: list[str], output: str, *, flatten: bool = True
    ) -> str:
        match node:
            case Conv():
                return self._conv(node, inputs, output)
            case Linear():
                y = self._inner(output, node.activation)
                self._add("Gemm", inputs, y, transB=1)
                return self._activated(y, output, node.activation)
            case Affine():
                return self._affine(node, inputs, output)
            case Pool():
                return self._pool(node, inputs, output)
            case GlobalAveragePool():
                if node.keep_dims or not flatten:
                    return self._add("GlobalAveragePool", inputs, output)
                mean = self._add("GlobalAveragePool", inputs, f"{output}.mean")
                return self._add("Flatten", [mean], output, axis=1)
            case Add():
                y = self._inner(output, node.activation)
                self._add("Add", inputs, y)
                return self._activated(y, output, node.activation)
            case Mul():
                return self._add("Mul", inputs, output)
            case Concat():
                return self._add("Concat", inputs, output, axis=1)
            case Slice():
                return self._slice(node, inputs, output)
            case Pad():
                return self._pad(node, inputs, output)
            case Shuffle():
                return self._shuffle(node, inputs, output)
            case Activate():
                return self._activated(inputs[0], output, node.activation)
            case Identity():
                return self._add("Identity", inputs, output)
            case _:
                raise UnsupportedOperatorError(f"{type(node).__name__} has no ONNX counterpart.")

    def _conv(self, node: Conv, inputs: list[str], output: str) -> str:
        y = self._inner(output, node.activation)
        self._add(
            "Conv",
            inputs,
            y,
            kernel_shape=list(node.weight.shape[2:]),
            strides=[node.stride] * 2,
            pads=[node.padding] * 4,
            dilations=[node.dilation] * 2,
            group=node.groups,
        )
        return self._activated(y, output, node.activation)

    def _affine(self, node: Affine, inputs: list[str], output: str) -> str:
        x, channels = inputs[0], len(node.bias)
        statistics = [
            self._real(f"{output}.weight", node.weight.reshape(-1)),
            self._real(f"{output}.bias", node.bias),
            self._real(f"mean.{channels}", np.zeros(channels, np.float32)),
            self._real(f"variance.{channels}", np.ones(channels, np.float32)),
        ]
        y = self._inner(output, node.activation)
        self._add("BatchNormalization", [x, *statistics], y, epsilon=0.0)
        return self._activated(y, output, node.activation)

    def _integers(self, name: str, data: tuple[int, ...]) -> str:
        return self._constant(name, np.array(data, np.int64))

    def _slice(self, node: Slice, inputs: list[str], output: str) -> str:
        size = node.output.shape[1:]
        limits = [
            self._integers(f"{output}.starts", node.begin),
            self._integers(
                f"{output}.ends", tuple(b + s for b, s in zip(node.begin, size, strict=True))
            ),
            self._integers(f"{output}.axes", (1, 2, 3)),
        ]
        return self._add("Slice", [*inputs, *limits], output)

    def _pad(self, node: Pad, inputs: list[str], output: str) -> str:
        edges = self._integers(f"{output}.edges", (0, *node.before, 0, *node.after))
        if self._quantisation is None or self._dialect.is_symmetric:
            # Zero, which TensorRT refuses as a quantised constant.
            return self._add("Pad", [*inputs, edges], output)
        _, zero_point = self._scale(self._quantisation.scales[node.output.name])
        return self._add("Pad", [*inputs, edges, zero_point], output)

    def _shuffle(self, node: Shuffle, inputs: list[str], output: str) -> str:
        n, c, h, w = node.output.shape
        apart = self._integers(f"{output}.apart", (n, node.groups, c // node.groups, h, w))
        whole = self._integers(f"{output}.whole", (n, c, h, w))
        grouped = self._add("Reshape", [*inputs, apart], f"{output}.grouped")
        turned = self._add("Transpose", [grouped], f"{output}.turned", perm=[0, 2, 1, 3, 4])
        return self._add("Reshape", [turned, whole], output)

    def _pool(self, node: Pool, inputs: list[str], output: str) -> str:
        window = {
            "kernel_shape": [node.kernel] * 2,
            "strides": [node.stride] * 2,
            "pads": [node.padding] * 4,
        }
        if node.pooling is Pooling.MAX:
            return self._add("MaxPool", inputs, output, **window)
        counted = int(node.counts_padding)
        return self._add("AveragePool", inputs, output, **window, count_include_pad=counted)

    def _inner(self, output: str, activation: Activation) -> str:
        return output if activation is Activation.NONE else f"{output}.linear"

    def _activated(self, x: str, output: str, activation: Activation) -> str:
        match activation:
            case Activation.NONE:
                return output
            case Activation.RELU:
                return self._add("Relu", [x], output)
            case Activation.RELU6:
                return self._add("Clip", [x, self._number(0), self._number(6)], output)
            case Activation.HSWISH:
                if self._dialect.has_hard_swish:
                    return self._add("HardSwish", [x], output)
                gate = self._add("HardSigmoid", [x], f"{output}.gate", alpha=1 / 6, beta=0.5)
                return self._add("Mul", [x, gate], output)
            case Activation.HSIGMOID:
                return self._add("HardSigmoid", [x], output, alpha=1 / 6, beta=0.5)
            case Activation.SIGMOID:
                return self._add("Sigmoid", [x], output)


def _saturating(node: Node, scale: Scale) -> Node:
    """`node` without its activation where the limits of the quantised output do the same.

    ONNX Runtime fuses a convolution into an integer kernel only if nothing stands behind it.
    """
    if not isinstance(node, Conv | Linear | Add) or node.activation is Activation.NONE:
        return node
    starts_at_zero = scale.zero_point == LOWEST
    ends_at_six = (HIGHEST - LOWEST) * scale.scale <= _SIX
    if starts_at_zero and (node.activation is Activation.RELU or ends_at_six):
        return replace(node, activation=Activation.NONE)
    return node


def _moves_only(node: Node) -> bool:
    """Whether `node` works on quantised values as they are: one scale, no arithmetic."""
    is_max = isinstance(node, Pool) and node.pooling is Pooling.MAX
    return is_max or isinstance(node, Concat | Identity | Slice | Pad | Shuffle)
