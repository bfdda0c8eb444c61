"""A cell in numbers: its raw edges for eager runtimes, its executed graph for compiling ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .cell import EDGES, NODES, CellOp, Cells
from .executed import COSTLY, executed_cells, operation_counts

Matrix = NDArray[np.float64]
GRAPH_FEATURES = (
    *(f"executed_{op.name.lower()}" for op in CellOp if op is not CellOp.NONE),
    "is_dead",
    "paths",
    "depth",
    *(f"executes_{start}_{end}" for start, end in EDGES),
)
"""What the columns of `graph_features` are."""


def one_hot(cells: Cells) -> Matrix:
    """1 where an edge has an operation, `(cells, 6 * 5)`: one block an edge."""
    is_there = cells[:, :, None] == np.arange(len(CellOp))
    return np.asarray(is_there.reshape(len(cells), -1), np.float64)


def graph_features(cells: Cells) -> Matrix:
    """Features of the executed graph, `(cells, 13)`, in the order of `GRAPH_FEATURES`.

    Operations that execute, by kind; whether none does and the output is zero; paths from input
    to output; the most convolutions and poolings on one of them; and which edges compute.
    """
    executed = executed_cells(cells)
    counts = operation_counts(executed)[:, 1:]
    computes = np.isin(executed, COSTLY)
    paths, depth = _paths(executed, computes)
    columns = [
        counts,
        (counts.sum(axis=1) == 0)[:, None],
        paths[:, None],
        depth[:, None],
        computes,
    ]
    return np.hstack(columns).astype(float)


def _paths(executed: Cells, computes: NDArray[np.bool_]) -> tuple[Matrix, Matrix]:
    """Paths from the input to the output, and operations on the longest; 0 if none."""
    paths = np.zeros((len(executed), NODES))
    depth = np.zeros((len(executed), NODES))
    paths[:, 0] = 1
    for edge, (start, end) in enumerate(EDGES):
        carries = executed[:, edge] != CellOp.NONE
        paths[:, end] += carries * paths[:, start]
        longer = np.where(carries, depth[:, start] + computes[:, edge], 0)
        depth[:, end] = np.maximum(depth[:, end], longer)
    return paths[:, -1], depth[:, -1]
