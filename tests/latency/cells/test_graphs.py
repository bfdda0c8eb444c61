"""Cells as graphs, and networks of single devices."""

from __future__ import annotations

import numpy as np
import pytest

from elat.core.errors import ConfigError
from elat.latency.cells.cell import all_cells
from elat.latency.cells.executed import live_edges, operation_counts
from elat.latency.cells.graph_regression import CellNetworks
from elat.latency.cells.graphs import NODES, cell_graphs
from elat.latency.graph_network import Descent

QUICK = Descent(150, 0.02, 0.01, 50)
CELLS = np.random.default_rng(1).permutation(all_cells())[:300]


def test_operations_lead_to_those_that_read_them() -> None:
    graph = cell_graphs(CELLS[:1])
    among = {(a, b) for a, b in graph.edges.T.tolist() if b < NODES - 1}
    # 0 -> 1 feeds 1 -> 2 and 1 -> 3; 0 -> 2 and 1 -> 2 feed 2 -> 3.
    assert among == {(0, 2), (0, 4), (1, 5), (2, 5)}
    assert {(a, NODES - 1) for a in range(6)} | among == set(map(tuple, graph.edges.T.tolist()))


def test_nodes_say_what_stands_and_what_executes() -> None:
    features = cell_graphs(CELLS).features.reshape(len(CELLS), NODES, -1)
    stands, executes = features[:, :6, :5], features[:, :6, 5:10]
    assert np.array_equal(stands.sum(axis=1), operation_counts(CELLS))
    assert np.array_equal(executes.sum(axis=2), live_edges(CELLS))
    assert features[:, -1].sum() == len(CELLS)


@pytest.mark.parametrize("cells", [CELLS[:, :5], CELLS[:0], CELLS[0], CELLS + 1])
def test_what_is_no_cell_is_refused(cells: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"6 operations|from 0 to 4"):
        cell_graphs(cells)


def test_two_devices_are_learnt_apart() -> None:
    costs = np.array([[0, 0.1, 1, 3, 0.5], [0, 0, 2, 1, 3]])
    latency = 2 + operation_counts(CELLS) @ costs.T
    latency[:, 1] = 2 + (operation_counts(np.where(live_edges(CELLS), CELLS, 0)) @ costs[1])
    found = CellNetworks.fit(CELLS[:100], latency[:100], seed=0, descent=QUICK).predict(
        CELLS[100:]
    )
    assert (np.median(np.abs(found / latency[100:] - 1), axis=0) < 0.05).all()


def test_the_same_seed_gives_the_same_bits() -> None:
    latency = np.asarray(2 + operation_counts(CELLS[:20])[:, 1:3], np.float64)
    brief = Descent(4, 0.02, 0.01, 9)
    first, again = (
        CellNetworks.fit(CELLS[:20], latency, seed=0, descent=brief).predict(CELLS).tobytes()
        for _ in range(2)
    )
    assert first == again


def test_latencies_of_nothing_are_refused() -> None:
    for bad in (np.ones((2, 1)), np.ones(3), np.array([[1.0], [0.0], [1.0]])):
        with pytest.raises(ConfigError, match=r"needs 3 cells|above 0"):
            CellNetworks.fit(CELLS[:3], bad, seed=0)
