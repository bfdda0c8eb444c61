"""Cells as graphs for message passing: a node an edge of the cell, and one for the network."""

from __future__ import annotations

import numpy as np

from ...core.errors import ConfigError
from ..graph_network import Graphs
from .cell import EDGES, CellOp, Cells
from .executed import live_edges
from .features import one_hot

NODES = len(EDGES) + 1
_NOMINAL = {
    CellOp.NONE: 0.01,
    CellOp.SKIP: 0.03,
    CellOp.CONV_1X1: 0.1,
    CellOp.CONV_3X3: 0.2,
    CellOp.POOL_3X3: 0.1,
}
"""Shares of a typical network's time that an operation takes, roughly."""
_REST = 0.3
_FOLLOWS = tuple(
    (first, second)
    for first, (_, end) in enumerate(EDGES)
    for second, (start, _) in enumerate(EDGES)
    if start == end
)


def cell_graphs(cells: Cells) -> Graphs:
    """A graph of seven nodes for each of `cells`, at least one.

    Six nodes are the operations on the edges, and lead to those that read what they write and to
    the seventh, the rest of the network. Features are the operation as it stands, the operation
    where it executes, and whether the node is the rest: eager runtimes time the first, compiling
    ones the second.

    Raises:
        ConfigError: There is no cell, or one that has other than six known operations.
    """
    if cells.ndim != 2 or cells.shape[1] != len(EDGES) or not len(cells):
        raise ConfigError(
            f"Cells of NAS-Bench-201 have {len(EDGES)} operations each; found an array of shape "
            f"{cells.shape}."
        )
    if not np.isin(cells, list(CellOp)).all():
        raise ConfigError(
            f"Operations of cells are numbers from 0 to {max(CellOp)}; found {np.unique(cells)}."
        )
    count = len(cells)
    stands = one_hot(cells).reshape(count, len(EDGES), len(CellOp))
    features = np.zeros((count, NODES, 2 * len(CellOp) + 1))
    features[:, :-1, : len(CellOp)] = stands
    features[:, :-1, len(CellOp) : -1] = stands * live_edges(cells)[:, :, None]
    features[:, -1, -1] = 1.0
    nominal = np.full((count, NODES), _REST)
    nominal[:, :-1] = np.array([_NOMINAL[op] for op in CellOp])[cells]
    edges = np.array([*_FOLLOWS, *((edge, len(EDGES)) for edge in range(len(EDGES)))]).T
    places = edges[:, None, :] + NODES * np.arange(count)[None, :, None]
    return Graphs(
        features.reshape(count * NODES, -1),
        nominal.ravel(),
        places.reshape(2, -1),
        np.repeat(np.arange(count), NODES),
    )
