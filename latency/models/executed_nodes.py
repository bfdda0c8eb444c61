"""Every primitive that a table's operators execute as a row of its own, and who executes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, log1p

import numpy as np
from numpy.typing import NDArray

from ..operators import Operator
from .executed import Primitive, primitives
from .executed_features import BLOCK, L1_BYTES, L2_BYTES, blocked_ends, filled, nominal_us

Matrix = NDArray[np.float64]
Kinds = NDArray[np.intp]

_KNOWN = 1 << 16


@dataclass(frozen=True)
class Node:
    """One primitive in its place.

    Attributes:
        kind: Of the primitive.
        features: Its shape, sizes against caches, and its neighbours.
        log_us: Logarithm of its nominal time in microseconds.
    """

    kind: str
    features: tuple[float, ...]
    log_us: float


@lru_cache(_KNOWN)
def nodes_of(operator: Operator, element_bytes: int) -> tuple[Node, ...]:
    """The nodes that `operator` executes, in order; none for a free one."""
    parts = primitives(operator)
    if not parts:
        return ()
    blocked = blocked_ends(operator, parts)
    last = len(parts) - 1
    return tuple(
        Node(
            p.kind,
            (*_shape(p, element_bytes), *blocked[i : i + 3], i == 0, i == last),
            log(nominal_us(p)),
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
        times: How often each operator executes each node, `(operators, nodes)`.
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
        columns: Features that vary, with their `centre` and `scale`.
    """

    kinds: tuple[str, ...]
    element_bytes: int
    columns: Kinds
    centre: Matrix
    scale: Matrix

    @classmethod
    def of(cls, operators: Sequence[Operator], element_bytes: int) -> NodeSpace:
        """The space of `operators`, none of them free."""
        nodes = [node for o in operators for node in nodes_of(o, element_bytes)]
        features = np.array([node.features for node in nodes], np.float64)
        spread = features.std(axis=0)
        columns = np.flatnonzero(spread > 0)
        kinds = tuple(sorted({node.kind for node in nodes}))
        centre = features[:, columns].mean(axis=0)
        return cls(kinds, element_bytes, columns, centre, spread[columns])

    def rows(self, operators: Sequence[Operator]) -> NodeRows:
        """The distinct nodes of `operators`, at least one and none free."""
        places: dict[Node, int] = {}
        used = [nodes_of(operator, self.element_bytes) for operator in operators]
        for node in (node for nodes in used for node in nodes):
            places.setdefault(node, len(places))
        times = np.zeros((len(used), len(places)))
        for row, nodes in enumerate(used):
            for node in nodes:
                times[row, places[node]] += 1
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
