"""Measured latencies of cells, as networks learn from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.errors import ConfigError
from .cell import Cells

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LEAST_CELLS = 3


def checked(cells: Cells, latency_ms: Matrix) -> Matrix:
    """`latency_ms`, `(cells, devices)`, all above 0.

    Raises:
        ConfigError: Fewer than three cells, another number of latencies, or one not above 0.
    """
    is_matrix = latency_ms.ndim == 2 and len(latency_ms) == len(cells)
    if len(cells) < LEAST_CELLS or not is_matrix:
        raise ConfigError(
            f"{len(cells)} cells with latencies of shape {latency_ms.shape}; a network needs "
            f"{LEAST_CELLS} cells and a latency of each on every device."
        )
    if not (np.isfinite(latency_ms) & (latency_ms > 0)).all():
        raise ConfigError(
            f"A latency of {np.nanmin(latency_ms)} ms is among {latency_ms.size}; all must be "
            "finite and above 0. Leave out what could not be measured."
        )
    return latency_ms


def relative_logs(latency_ms: Matrix) -> tuple[Vector, Matrix]:
    """Median of each device in ms, `(devices,)`, and log(ms / median), `(cells, devices)`."""
    typical_ms = np.median(latency_ms, axis=0)
    return typical_ms, np.log(latency_ms / typical_ms)
