"""Every node that a table's operators execute as a row of its own, and who executes it.

Where latencies are differences of models that ONNX Runtime lays out in blocks, nodes are what more
(or less, with a negative count) runs for the operator; elsewhere they are its primitives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, log1p

import numpy as np
from numpy.typing import NDArray

from ..condition import Method
from ..operators import Operator
from .executed import Primitive, primitives
from .executed_features import L1_BYTES, L2_BYTES, blocked_ends, filled, nominal_us
from .layout import BLOCK, RunNode
from .layout_features import loop_of, node_us, signed_nodes

Matrix = NDArray[np.float64]
Kinds = NDArray[np.intp]

_KNOWN = 1 << 16
_CLAMPS = ("Relu", "Clip")


@dataclass(frozen=True)
class Node:
    """One loop in its place.

    Attributes:
        kind: Which loop.
        features: Its shape, sizes against caches, and its neighbours.
        log_us: Logarithm of its nominal time in microseconds.
    """

    kind: str
    features: tuple[float, ...]
    log_us: float


Counted = tuple[tuple[Node, float], ...]


@lru_cache(_KNOWN)
def nodes_of(operator: Operator, element_bytes: int, method: Method | None = None) -> Counted:
    """The nodes that `operator` executes, and how often each; none for a free one.

    Args:
        operator: Any, also one without a recipe.
        element_bytes: Of one tensor element.
        method: Of differences of models in ONNX Runtime; None elsewhere.
    """
    if method is not None and not operator.is_free:
        return tuple((_laid_out(n, element_bytes), c) for n, c in signed_nodes(operator, method))
    parts = primitives(operator)
    if not parts:
        return ()
    blocked = blocked_ends(operator, parts)
    last = len(parts) - 1
    return tuple(
        (
            Node(
                p.kind,
                (*_shape(p, element_bytes), *blocked[i : i + 3], i == 0, i == last),
                log(nominal_us(p)),
            ),
            1.0,
        )
        for i, p in enumerate(parts)
    )


@dataclass(frozen=True, eq=False)
class NodeRows:
    """The distinct nodes of several operators.

    Attributes:
        kinds: Kinds of primitives by which `kind` counts.
        points: Standardised features, `(nodes, columns)`.
        kind: Position of each node's kind in `kinds`, `(nodes,)`; -1 for one that is not there.
        log_us: Logarithm of each nominal time, `(nodes,)`.
        times: How often each operator executes each node, `(operators, nodes)`; negative where
            its latency lacks one.
    """

    kinds: tuple[str, ...]
    points: Matrix
    kind: Kinds
    log_us: Matrix
    times: Matrix


@dataclass(frozen=True, eq=False)
class NodeSpace:
    """The columns that the nodes of a table's operators span.

    Attributes:
        kinds: Kinds of primitives seen, sorted.
        element_bytes: Of one tensor element.
        method: Of differences of models in ONNX Runtime; None elsewhere.
        columns: Features that vary, with their `centre` and `scale`.
    """

    kinds: tuple[str, ...]
    element_bytes: int
    method: Method | None
    columns: Kinds
    centre: Matrix
    scale: Matrix

    @classmethod
    def of(
        cls, operators: Sequence[Operator], element_bytes: int, method: Method | None = None
    ) -> NodeSpace:
        """The space of `operators`, none of them free."""
        nodes = [node for o in operators for node, _ in nodes_of(o, element_bytes, method)]
        features = np.array([node.features for node in nodes], np.float64)
        spread = features.std(axis=0)
        columns = np.flatnonzero(spread > 0)
        kinds = tuple(sorted({node.kind for node in nodes}))
        centre = features[:, columns].mean(axis=0)
        return cls(kinds, element_bytes, method, columns, centre, spread[columns])

    def rows(self, operators: Sequence[Operator]) -> NodeRows:
        """The distinct nodes of `operators`, at least one and none free."""
        places: dict[Node, int] = {}
        used = [nodes_of(operator, self.element_bytes, self.method) for operator in operators]
        for node in (node for nodes in used for node, _ in nodes):
            places.setdefault(node, len(places))
        times = np.zeros((len(used), len(places)))
        for row, nodes in enumerate(used):
            for node, count in nodes:
                times[row, places[node]] += count
        known = {kind: index for index, kind in enumerate(self.kinds)}
        features = np.array([node.features for node in places], np.float64)
        return NodeRows(
            self.kinds,
            np.ascontiguousarray((features[:, self.columns] - self.centre) / self.scale),
            np.array([known.get(node.kind, -1) for node in places], np.intp),
            np.array([node.log_us for node in places]),
            times,
        )


def _shape(p: Primitive, element_bytes: int) -> tuple[float, ...]:
    """A loop: its sides, work, how it fills blocks and register tiles, and caches it needs."""
    return (
        log(p.channels),
        log(p.out_channels),
        log(p.side),
        log(p.out_side),
        log(p.kernel),
        p.stride - 1,
        p.dilation - 1,
        log(p.group_channels),
        p.channels % BLOCK == 0,
        p.out_channels % BLOCK == 0,
        p.channels < BLOCK,
        filled(p.channels),
        filled(p.out_channels),
        log(p.macs + 1e3),
        log(p.moved),
        log1p(p.moved * element_bytes / L1_BYTES),
        log1p(p.moved * element_bytes / L2_BYTES),
        log1p(p.weights * element_bytes / L2_BYTES),
        -(-p.out_side // 6) * 6 / p.out_side,
        p.out_side % 8 == 0,
    )


def _laid_out(n: RunNode, element_bytes: int) -> Node:
    """A node of ONNX Runtime's graph; its kind says in which layout it works."""
    moved, pixels = n.read + n.weights + n.written, n.out_side**2
    blocks = -(-n.out_channels // BLOCK)
    features = (
        log(n.channels),
        log(n.out_channels),
        log(n.side),
        log(n.out_side),
        log(n.kernel),
        n.stride - 1,
        n.dilation - 1,
        log(n.group_channels),
        log(n.groups),
        n.activation in _CLAMPS,
        n.activation not in ("", *_CLAMPS),
        n.adds,
        log(n.macs + 1e3),
        log(moved),
        log1p(moved * element_bytes / L1_BYTES),
        log1p(moved * element_bytes / L2_BYTES),
        log1p(n.weights * element_bytes / L1_BYTES),
        log1p(n.weights * element_bytes / L2_BYTES),
        blocks % 4,
        -(-blocks // 4) * 4 / blocks,
        -(-n.out_side // 6) * 6 / n.out_side,
        -(-n.out_side // 3) * 3 / n.out_side,
        -(-pixels // 6) * 6 / pixels,
        n.channels % BLOCK == 0,
        n.out_channels % BLOCK == 0,
    )
    return Node(loop_of(n), features, log(node_us(n)))
