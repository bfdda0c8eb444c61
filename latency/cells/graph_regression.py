"""Latencies of all cells from those of a few, each device by a graph network of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..graph_ensemble import GraphNetworks
from ..graph_network import Descent
from .cell import Cells
from .graphs import cell_graphs
from .latencies import checked, relative_logs

Matrix = NDArray[np.float64]

DESCENT = Descent(steps=300, rate=0.01, decay=0.1, batch=128)
_HIDDEN, _ROUNDS = 16, 2
_TOGETHER = 2000


@dataclass(frozen=True, eq=False)
class CellNetworks:
    """One network a device; none knows of the others.

    Attributes:
        typical_ms: Median latency of each device, `(devices,)`.
    """

    networks: GraphNetworks
    typical_ms: NDArray[np.float64]

    @classmethod
    def fit(
        cls, cells: Cells, latency_ms: Matrix, *, seed: int, descent: Descent = DESCENT
    ) -> Self:
        """Learn from `latency_ms`, `(cells, devices)`, above 0.

        Raises:
            ConfigError: Fewer than three cells, or a latency that is not above 0.
        """
        typical_ms, logs = relative_logs(checked(cells, latency_ms))
        networks = GraphNetworks.trained(
            cell_graphs(cells),
            logs,
            np.ones_like(logs),
            seed,
            descent,
            hidden=_HIDDEN,
            rounds=_ROUNDS,
        )
        return cls(networks, typical_ms)

    def predict(self, cells: Cells) -> Matrix:
        """Latency of each of `cells` in milliseconds, `(cells, devices)`."""
        parts = np.array_split(cells, -(-len(cells) // _TOGETHER))
        logs = np.concatenate([self.networks.votes(cell_graphs(part)) for part in parts])
        return np.asarray(np.exp(logs) * self.typical_ms)
