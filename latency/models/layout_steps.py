"""Operations that ONNX Runtime is given for a graph, after it has fused what it fuses anywhere.

They follow the writer of ONNX files (`latency/graph/onnx_file.py`) node by node. Activations go
into the convolution before them, a batch norm behind a bare convolution into its weights, a
rectifier into the matrix product: where nothing else reads what lies between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, fields, replace

from ..graph import ir
from ..graph.ir import Activation, Value

_ACTIVATIONS = {
    Activation.RELU: "Relu",
    Activation.RELU6: "Clip",
    Activation.HSWISH: "HardSwish",
    Activation.HSIGMOID: "HardSigmoid",
    Activation.SIGMOID: "Sigmoid",
}
_WEIGHTED = frozenset({"Conv", "Gemm", "BatchNormalization"})
_TENSORS = frozenset({"inputs", "output"})
_INTO_CONV = frozenset({"Relu", "Clip", "HardSigmoid", "Sigmoid", "BatchNormalization"})
_MOVES = {ir.Add: "Add", ir.Mul: "Mul", ir.Concat: "Concat", ir.Slice: "Slice", ir.Pad: "Pad"}


@dataclass(frozen=True)
class Step:
    """One operation on plain tensors.

    Attributes:
        op: Its name in ONNX.
        node: The node of the graph that it is, or is a part of: the window of a convolution.
        activation: The name in ONNX of the function that is fused into it; empty for none.
    """

    op: str
    reads: tuple[Value, ...]
    writes: Value
    node: ir.Node
    activation: str = ""


def steps_of(graph: ir.Graph) -> list[Step]:
    """The operations of `graph` in order; copies are left out."""
    same: dict[str, Value] = {}
    steps: list[Step] = []
    for node in graph.nodes:
        reads = tuple(same.get(value.name, value) for value in node.inputs)
        if isinstance(node, ir.Identity):
            same[node.output.name] = reads[0]
        else:
            steps += _written(node, reads)
    output = same.get(graph.output.name, graph.output)
    return _fused(_distinct(steps), output)


def uses_of(steps: list[Step], output: Value) -> Counter[str]:
    """How often each value is read, by name; being the output of the graph counts."""
    return Counter([output.name, *(value.name for step in steps for value in step.reads)])


def _distinct(steps: list[Step]) -> list[Step]:
    """`steps` without those that compute again what one before them does; weights differ."""
    done: dict[Hashable, Step] = {}
    same: dict[str, Value] = {}
    for step in steps:
        step = replace(step, reads=tuple(same.get(value.name, value) for value in step.reads))
        first = done.setdefault(_identity(step), step)
        same[step.writes.name] = first.writes
    return list(done.values())


def _identity(step: Step) -> Hashable:
    if step.op in _WEIGHTED:
        return step.writes
    attributes: list[Hashable] = []
    if isinstance(step.node, ir.Pool | ir.Slice | ir.Pad | ir.Shuffle):
        own = (attribute.name for attribute in fields(step.node))
        attributes += [getattr(step.node, name) for name in own if name not in _TENSORS]
    return (step.op, step.reads, step.writes.shape, *attributes)


def _fused(steps: list[Step], output: Value) -> list[Step]:
    uses = uses_of(steps, output)
    done: list[Step] = []
    makers: dict[str, int] = {}
    for step in steps:
        place = makers.get(step.reads[0].name)
        if place is not None and uses[step.reads[0].name] == 1 and _takes(done[place], step):
            activation = "" if step.op == "BatchNormalization" else step.op
            done[place] = replace(done[place], writes=step.writes, activation=activation)
        else:
            place = len(done)
            done.append(step)
        makers[step.writes.name] = place
    return done


def _takes(first: Step, second: Step) -> bool:
    """Whether `second` becomes a part of `first`, whose only reader it is."""
    if first.activation:
        return False
    if first.op == "Gemm":
        return second.op == "Relu"
    return first.op == "Conv" and second.op in _INTO_CONV


def parts_of_swish(step: Step) -> tuple[Step, Step]:
    """A HardSwish that no convolution takes, as it is run: a HardSigmoid and a product."""
    gate = _value(step.writes, "gate")
    return (
        replace(step, op="HardSigmoid", writes=gate),
        replace(step, op="Mul", reads=(*step.reads, gate)),
    )


def _written(node: ir.Node, reads: tuple[Value, ...]) -> Iterator[Step]:
    """The operations that the writer makes of `node`, which is no copy."""
    match node:
        case ir.Conv():
            yield from _activated("Conv", node, reads, node.activation)
        case ir.Linear():
            yield from _activated("Gemm", node, reads, node.activation)
        case ir.Affine():
            yield from _activated("BatchNormalization", node, reads, node.activation)
        case ir.Add():
            yield from _activated("Add", node, reads, node.activation)
        case ir.Activate():
            yield Step(_ACTIVATIONS[node.activation], reads, node.output, node)
        case ir.Pool():
            is_max = node.pooling is ir.Pooling.MAX
            yield Step("MaxPool" if is_max else "AveragePool", reads, node.output, node)
        case ir.GlobalAveragePool(keep_dims=True):
            yield Step("GlobalAveragePool", reads, node.output, node)
        case ir.GlobalAveragePool():
            mean = Value(f"{node.output.name}.mean", (*node.output.shape, 1, 1))
            yield Step("GlobalAveragePool", reads, mean, node)
            yield Step("Flatten", (mean,), node.output, node)
        case ir.Shuffle():
            grouped, turned = (_value(node.output, part) for part in ("grouped", "turned"))
            yield Step("Reshape", reads, grouped, node)
            yield Step("Transpose", (grouped,), turned, node)
            yield Step("Reshape", (turned,), node.output, node)
        case _:
            yield Step(_MOVES[type(node)], reads, node.output, node)


def _activated(
    op: str, node: ir.Node, reads: tuple[Value, ...], activation: Activation
) -> Iterator[Step]:
    if activation is Activation.NONE:
        yield Step(op, reads, node.output, node)
        return
    linear = _value(node.output, "linear")
    yield Step(op, reads, linear, node)
    yield Step(_ACTIVATIONS[activation], (linear,), node.output, node)


def _value(output: Value, part: str) -> Value:
    """A tensor inside of what makes `output`, of its size."""
    return Value(f"{output.name}.{part}", output.shape)
