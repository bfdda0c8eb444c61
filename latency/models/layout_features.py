"""Features of what ONNX Runtime executes for a latency that is a difference of models.

A method such as `in_situ` measures a host of the operator minus halves of bare hosts. What the
three have in common cancels; changes of layout and pools of images need not: a host may have a
pool in blocks where the bare host of the output has a plain one, so that an operator is cheaper
than its own loops, or dearer. The nodes of all models are therefore added up with their signs.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import copysign, log, log1p

from ...core.errors import UnsupportedOperatorError
from ..condition import Condition, Method, Precision
from ..methods import METHODS
from ..methods.recipe import RecipeMethod, Terms
from ..operators import Operator
from .executed import hollow_graph
from .layout import BLOCK, RunNode, run_nodes

_MACS_PER_US = {
    "blocked pointwise": 50e3,
    "blocked dense": 60e3,
    "blocked depthwise": 25e3,
    "blocked grouped": 20e3,
    "narrow pointwise": 25e3,
    "narrow dense": 30e3,
    "plain pointwise": 20e3,
    "plain depthwise": 5e3,
    "plain grouped": 15e3,
}
_OTHER_MACS_PER_US = 12e3
_BYTES_PER_US = 40e3
_NODE_US = 0.3
_LEAST_SHARE = 0.3
"""Of the time of what is added that is taken to remain, whatever is taken off."""
_LEAST_US = 0.05
_ROUNDING = 1e-9
_KNOWN = 1 << 16

_DIFFERENCES = frozenset({Method.IN_SITU, Method.SLOPE})

Signed = tuple[tuple[RunNode, float], ...]


def difference_method(condition: Condition) -> Method | None:
    """The method of `condition` if it subtracts models that ONNX Runtime lays out in blocks."""
    is_laid_out = (
        condition.runtime == "onnxruntime"
        and condition.precision is Precision.FP32
        and dict(condition.options).get("graph_level") == "all"
    )
    return condition.method if is_laid_out and condition.method in _DIFFERENCES else None


@lru_cache(_KNOWN)
def signed_nodes(operator: Operator, method: Method) -> Signed:
    """What runs more (positive) or less for `operator` by `method`, and how often.

    Equal nodes are one. An operator without a recipe is described as it runs alone.

    Raises:
        UnsupportedOperatorError: There is no primitive for it.
    """
    counts: dict[RunNode, float] = {}
    for model, weight in _terms(operator, method):
        for node in _model_nodes(model):
            counts[node] = counts.get(node, 0.0) + weight
    return tuple((node, count) for node, count in counts.items() if abs(count) > _ROUNDING)


@lru_cache(_KNOWN)
def net_us(operator: Operator, method: Method) -> float:
    """Roughly what the signed nodes of `operator` take together, in microseconds, above 0."""
    added, taken = _added_and_taken(operator, method)
    return max(added - taken, _LEAST_SHARE * added, _LEAST_US)


@lru_cache(_KNOWN)
def net_row(operator: Operator, method: Method) -> tuple[float, ...]:
    """The net time, and how much of what is moved changes layout or pools images, signed."""
    nodes = signed_nodes(operator, method)
    added, taken = _added_and_taken(operator, method)
    moved = max(sum(abs(count) * (node.read + node.written) for node, count in nodes), 1.0)
    reordered = _elements(nodes, "ReorderOutput", written=True)
    necks = sum(
        count * node.written for node, count in nodes if loop_of(node) == "narrow pointwise"
    )
    return (
        log(net_us(operator, method)),
        taken / max(added, _LEAST_US),
        reordered / moved,
        _elements(nodes, "ReorderInput") / moved,
        _elements(nodes, "GlobalAveragePool", is_blocked=False) / moved,
        _elements(nodes, "GlobalAveragePool", is_blocked=True) / moved,
        necks / moved,
        copysign(log1p(abs(reordered) / 100), reordered),
        len(nodes),
    )


def loop_of(node: RunNode) -> str:
    """Which loop runs: of convolutions by layout and groups, else the name of the operation.

    A narrow convolution reads plain channels, fewer than a block, and writes blocks.
    """
    if node.op != "Conv":
        return node.op
    if node.groups == 1:
        shape = "pointwise" if node.kernel == 1 else "dense"
        is_narrow = node.is_blocked and node.channels < BLOCK
        return f"{'narrow' if is_narrow else 'blocked' if node.is_blocked else 'plain'} {shape}"
    shape = "depthwise" if node.group_channels == 1 else "grouped"
    return f"{'blocked' if node.is_blocked else 'plain'} {shape}"


def node_us(node: RunNode) -> float:
    """Roughly what `node` takes on a desktop core in fp32, in microseconds."""
    rate = _MACS_PER_US.get(loop_of(node), _OTHER_MACS_PER_US)
    moved = 4 * (node.read + node.weights + node.written)
    return max(node.macs / rate, moved / _BYTES_PER_US) + _NODE_US


@lru_cache(_KNOWN)
def _model_nodes(model: Operator) -> tuple[RunNode, ...]:
    return run_nodes(hollow_graph(model))


def _terms(operator: Operator, method: Method) -> Terms:
    timing = METHODS[method]
    if isinstance(timing, RecipeMethod):
        try:
            return timing.recipe(operator).terms
        except UnsupportedOperatorError:
            pass
    return ((operator, 1.0),)


def _added_and_taken(operator: Operator, method: Method) -> tuple[float, float]:
    times = [count * node_us(node) for node, count in signed_nodes(operator, method)]
    return sum(t for t in times if t > 0), -sum(t for t in times if t < 0)


def _elements(
    nodes: Iterable[tuple[RunNode, float]],
    op: str,
    *,
    is_blocked: bool | None = None,
    written: bool = False,
) -> float:
    """Signed elements that nodes of `op` read, or write; of one layout where that is given."""
    return sum(
        count * (node.written if written else node.read)
        for node, count in nodes
        if node.op == op and is_blocked in (None, node.is_blocked)
    )
