"""How alike the latencies of two cells are: covariances that differ in what they believe.

Each is a sum of four beliefs. Latency is linear in how often an operation stands in the cell; or
in how often it executes; operations cost differently on different edges; or edges interact, which
the product over edges covers to all orders, the higher ones with less weight (an analysis of
variance kernel: Stitson et al. 1999, "Support vector regression with ANOVA decomposition
kernels"). Which of them hold depends on the runtime and is left to the errors of each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .cell import CellOp, Cells
from .executed import executed_cells, operation_counts
from .features import GRAPH_FEATURES, graph_features, one_hot

Matrix = NDArray[np.float64]
_COUNTED = 2.0
_FREE = 0.7
"""How alike `none` and a skip are to a product kernel: both compute nothing."""


@dataclass(frozen=True)
class CellKernel:
    """Prior variances of what the latency of a cell, divided by a typical one, is made of.

    Attributes:
        counts: Of the operations that stand in the cell, linear in their numbers.
        executed: Of those that execute, and of a cell that computes nothing.
        edges: Of an operation on each edge.
        executed_edges: Of one that executes on each edge.
        product: Of interactions between edges, as they stand.
        executed_product: Of interactions between what executes.
    """

    counts: float = 0.0
    executed: float = 0.0
    edges: float = 0.0
    executed_edges: float = 0.0
    product: float = 0.0
    executed_product: float = 0.0

    def matrix(self, cells: Cells, others: Cells) -> Matrix:
        """Covariances, `(cells, others)`."""
        found = np.zeros((len(cells), len(others)))
        for variance, design in ((self.counts, count_design), (self.executed, executed_design)):
            if variance:
                found += variance * design(cells) @ design(others).T
        pair = executed_cells(cells), executed_cells(others)
        for variance, (left, right) in (
            (self.edges, (cells, others)),
            (self.executed_edges, pair),
        ):
            if variance:
                found += variance / len(cells[0]) * one_hot(left) @ one_hot(right).T
        for variance, (left, right) in (
            (self.product, (cells, others)),
            (self.executed_product, pair),
        ):
            if variance:
                found += variance * _product(left, right)
        return found


CELL_KERNELS: tuple[CellKernel, ...] = (
    CellKernel(counts=3, edges=0.03),
    CellKernel(counts=3, edges=0.3),
    CellKernel(counts=1, executed=0.1, edges=1),
    CellKernel(executed=3, executed_edges=0.03),
    CellKernel(counts=1, executed=1, edges=0.3, executed_edges=0.3),
    CellKernel(counts=1, product=1),
    CellKernel(executed=1, executed_product=1),
    CellKernel(counts=1, executed=1, product=1, executed_product=1),
)


def count_design(cells: Cells) -> Matrix:
    """How often each operation stands in the cell, halved, `(cells, 5)`."""
    return operation_counts(cells) / _COUNTED


def executed_design(cells: Cells) -> Matrix:
    """How often each operation executes, halved, and twice whether none does, `(cells, 6)`."""
    is_dead = graph_features(cells)[:, [GRAPH_FEATURES.index("is_dead")]]
    return np.hstack([operation_counts(executed_cells(cells)) / _COUNTED, _COUNTED * is_dead])


def _product(cells: Cells, others: Cells) -> Matrix:
    alike = np.eye(len(CellOp))
    alike[CellOp.NONE, CellOp.SKIP] = alike[CellOp.SKIP, CellOp.NONE] = _FREE
    found = np.ones((len(cells), len(others)))
    for edge in range(cells.shape[1]):
        found *= (1 + alike)[cells[:, edge]][:, others[:, edge]] / 2
    return found
