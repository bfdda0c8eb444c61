"""Operators as graphs of the primitives that are executed for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import log, log1p
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..graph_network import Graphs
from ..operators import Operator
from .executed import Primitive, primitives
from .executed_features import L1_BYTES, L2_BYTES, nominal_us
from .features import FeatureSpace
from .layout import BLOCK

_TILE = 6
"""Columns that register tiles of convolutions have, mostly."""
_KNOWN = 1 << 16


@dataclass(frozen=True)
class OperatorGraphs:
    """Nodes are primitives in the order in which they run, edges lead from each to the next.

    The order stands for the data flow, from which it differs where branches run one after
    another: a primitive finds the caches as the one before left them. What kind of operator a
    primitive belongs to is not told, so that kinds with few examples learn from the others.

    Attributes:
        space: The kinds of operators and choices that were seen.
        kinds: Kinds of primitives that were seen, sorted.
    """

    space: FeatureSpace
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, space: FeatureSpace, operators: Sequence[Operator]) -> Self:
        """The columns that `operators` span."""
        seen = {p.kind for operator in operators for p in primitives(operator)}
        return cls(space, tuple(sorted(seen)))

    def graphs(self, operators: Sequence[Operator]) -> Graphs:
        """A graph for each of `operators`, at least one and none free.

        Raises:
            MissingOperatorError: One is of a kind, or has a choice, that was not seen.
        """
        self.space.matrix(operators)  # it refuses what was not seen
        return Graphs.joined([self._graph(operator) for operator in operators])

    def _graph(self, operator: Operator) -> Graphs:
        parts = primitives(operator)
        count = len(parts)
        places = np.arange(count)
        columns = [
            _shapes(operator, self.space.element_bytes),
            np.stack([places == 0, places == count - 1, places, count - places], axis=1),
            np.array([[p.kind == name for name in self.kinds] for p in parts]),
        ]
        return Graphs(
            np.hstack(columns).astype(np.float64),
            np.array([nominal_us(p) for p in parts]),
            np.stack([places[:-1], places[1:]]),
            np.zeros(count, np.intp),
        )


@lru_cache(_KNOWN)
def _shapes(operator: Operator, element_bytes: int) -> NDArray[np.float64]:
    return np.array([_shape(p, element_bytes) for p in primitives(operator)])


def _shape(p: Primitive, element_bytes: int) -> tuple[float, ...]:
    """Work, sides, how blocks and tiles are filled, and working sets against caches."""
    groups = max(1, p.channels // p.group_channels)
    per_group = max(1, p.out_channels // groups)
    sizes = (p.read, p.weights, p.written, p.moved)
    sides = (p.channels, p.out_channels, p.group_channels, per_group, p.side, p.out_side, p.kernel)
    return (
        log(nominal_us(p)),
        log(p.macs + 1e3),
        log(p.macs / p.moved + 0.1),
        *(log1p(size) for size in sizes),
        *(log(side) for side in sides),
        p.stride - 1,
        p.dilation - 1,
        *(filled for side in sides[:4] for filled in _filled(side, BLOCK)),
        *_filled(p.out_side, _TILE),
        2 * (p.kernel * p.dilation // 2) / p.out_side,
        *(log1p(s * element_bytes / cache) for s in sizes[1:] for cache in (L1_BYTES, L2_BYTES)),
    )


def _filled(side: int, block: int) -> tuple[float, float]:
    """Whether `side` fills whole blocks, and how much greater it is filled up to them."""
    whole = -(-side // block) * block
    return float(whole == side), whole / side
