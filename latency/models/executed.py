"""What a runtime executes for an operator: primitives with their costs, after folding and fusion.

An operator is asked for its lowered graph, in which batch norm is folded and activations are fused
as engines do; the weights are zeros that take no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ..graph import ir
from ..operators import Operator
from ..operators.chain import Chain
from ..operators.conv import Conv
from ..operators.dag import Dag

if TYPE_CHECKING:
    from torch import nn

_KNOWN = 1 << 16


@dataclass(frozen=True)
class Primitive:
    """One node that is executed; elements, not bytes, and one sample.

    Attributes:
        kind: Which loop runs: `dense`, `pointwise`, `depthwise` or `grouped` for a convolution,
            else the node's name, with the function where there are several.
        macs: Multiply-adds.
        read: Elements of the inputs, `weights` of the constants, `written` of the output.
        channels: Of the (first) input; `out_channels` and `out_side` of the output.
        kernel: Side of the window, 1 where there is none; `dilation` its spread.
        group_channels: Input channels that one output channel reads, for convolutions.
    """

    kind: str
    macs: int
    read: int
    weights: int
    written: int
    channels: int
    out_channels: int
    side: int
    out_side: int
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    group_channels: int = 1

    @property
    def moved(self) -> int:
        """Elements read and written, each once."""
        return self.read + self.weights + self.written


@lru_cache(_KNOWN)
def primitives(operator: Operator) -> tuple[Primitive, ...]:
    """What is executed for `operator`, in order; nothing for a free one.

    Raises:
        UnsupportedOperatorError: There is no primitive for it.
    """
    if operator.is_free:
        return ()
    return tuple(map(_primitive, hollow_graph(operator).nodes))


def hollow_graph(operator: Operator) -> ir.Graph:
    """What `operator`, which is not free, is lowered to, its weights zeros that take no memory.

    Chains and graphs of operators are put together from those of their parts, which are kept.

    Raises:
        UnsupportedOperatorError: There is no primitive for it.
    """
    if isinstance(operator, Chain):
        numbers = tuple((index,) for index in range(len(operator.operators)))
        return _joined(operator.operators, numbers)
    if isinstance(operator, Dag):
        return _joined(operator.operators, operator.inputs)
    return _lowered(operator)


def _joined(operators: Sequence[Operator], inputs: Sequence[Sequence[int]]) -> ir.Graph:
    """The graph of `operators`, each reading values by their number: 0 is the graph's input."""
    first = ir.Value("in", (1, *operators[0].input_shapes[0]))
    values, nodes = [first], list[ir.Node]()
    for index, (operator, numbers) in enumerate(zip(operators, inputs, strict=True)):
        read = [values[number] for number in numbers]
        if operator.is_free:
            values.append(read[0])
            continue
        part = hollow_graph(operator)
        known = {given.name: value for given, value in zip(part.inputs, read, strict=True)}
        for node in part.nodes:
            output = ir.Value(f"{index}.{node.output.name}", node.output.shape)
            sources = tuple(known[value.name] for value in node.inputs)
            nodes.append(replace(node, inputs=sources, output=output))
            known[node.output.name] = output
        values.append(known[part.output.name])
    return ir.Graph((first,), tuple(nodes), values[-1])


@lru_cache(_KNOWN)
def _lowered(operator: Operator) -> ir.Graph:
    if isinstance(operator, Conv):
        return _lowered_conv(operator)
    graph = operator.lower(_hollow(operator))
    return replace(graph, nodes=tuple(map(_emptied, graph.nodes)))


def _lowered_conv(operator: Conv) -> ir.Graph:
    """The same as by its module, which takes longest to build where there are many."""
    builder = ir.GraphBuilder()
    source = builder.input((1, *operator.input_shapes[0]))
    kernel, each = operator.kernel, operator.in_channels // operator.groups
    output = builder.conv(
        source,
        _zeros((operator.out_channels, each, kernel, kernel)),
        _zeros((operator.out_channels,)),
        stride=operator.stride,
        padding=operator.edge,
        groups=operator.groups,
        activation=operator.activation,
        dilation=operator.dilation,
    )
    return builder.finish(output)


def _emptied(node: ir.Node) -> ir.Node:
    """`node` with weights that take no memory."""
    if isinstance(node, ir.Conv | ir.Linear | ir.Affine):
        return replace(node, weight=_zeros(node.weight.shape), bias=_zeros(node.bias.shape))
    return node


def _zeros(shape: ir.Shape) -> ir.Array:
    return np.broadcast_to(np.float32(0), shape)


def _hollow(operator: Operator) -> nn.Module:
    """The module of `operator` in eval mode, its weights one stored zero each."""
    import torch
    from torch import nn

    with torch.device("meta"):
        module = operator.build()
    for layer in module.modules():
        for name, parameter in list(layer.named_parameters(recurse=False)):
            zero = torch.zeros((), dtype=parameter.dtype).expand(parameter.shape)
            setattr(layer, name, nn.Parameter(zero, requires_grad=False))
        for name, buffer in list(layer.named_buffers(recurse=False)):
            setattr(layer, name, torch.zeros((), dtype=buffer.dtype).expand(buffer.shape))
    return module.eval()


def _primitive(node: ir.Node) -> Primitive:
    source, output = node.inputs[0].shape, node.output.shape
    shapes = {
        "macs": node.macs,
        "read": sum(value.elements for value in node.inputs),
        "weights": sum(int(weight.size) for weight in node.weights),
        "written": node.output.elements,
        "channels": source[1],
        "out_channels": output[1],
        "side": source[-1] if len(source) > 2 else 1,
        "out_side": output[-1] if len(output) > 2 else 1,
    }
    if isinstance(node, ir.Conv):
        shapes |= {
            "kernel": int(node.weight.shape[2]),
            "stride": node.stride,
            "dilation": node.dilation,
            "group_channels": int(node.weight.shape[1]),
        }
    elif isinstance(node, ir.Pool):
        shapes |= {"kernel": node.kernel, "stride": node.stride}
    elif isinstance(node, ir.Slice):
        shapes["read"] = node.output.elements
    return Primitive(_kind(node), **shapes)


def _kind(node: ir.Node) -> str:
    if isinstance(node, ir.Conv):
        if node.groups == 1:
            return "pointwise" if node.weight.shape[2] == 1 else "dense"
        return "depthwise" if node.weight.shape[1] == 1 else "grouped"
    if isinstance(node, ir.Activate):
        return str(node.activation)
    if isinstance(node, ir.Pool):
        return f"{node.pooling}_pool"
    return type(node).__name__.lower()
