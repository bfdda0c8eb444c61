"""What a runtime executes for an operator: primitives with their costs, after folding and fusion.

An operator is asked for its lowered graph, in which batch norm is folded and activations are fused
as engines do; the weights are zeros that take no memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from ..graph import ir
from ..operators import Operator

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
    return tuple(map(_primitive, operator.lower(_hollow(operator)).nodes))


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
