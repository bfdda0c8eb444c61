"""How much may be predicted so that whatever a search picks keeps a bound on the device.

The limit of a network grows with its multiply-adds (`latency/picked_errors.py`). So the greatest
multiply-adds that each latency can buy are found, and the predictions are bounded where the limit
of *that* network reaches the bound: every network within is at least as sure, whatever the search
prefers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .bound import Bound
from .expected_latency import ExpectedLatency

Vector = NDArray[np.float64]

_POINTS = 4000
_LEAST = 1e-3


def picked_bound(cost: ExpectedLatency, held_ms: float, level: float) -> Bound:
    """The bound under which a picked network keeps `held_ms` with probability `level`.

    Args:
        cost: On the bounded device, with a calibration.
        held_ms: What the device shall keep.
        level: Between 0 and 1.

    Raises:
        MissingLatencyError: There is no calibration.
        ConfigError: Its networks cannot tell `level`.
    """
    errors = cost.known_errors
    latency_ms, macs = most_macs(cost)
    least = max(float(latency_ms[0]), _LEAST * held_ms)
    points = np.geomspace(least, max(held_ms, least), _POINTS)
    upper = errors.upper_of_picks(points, np.interp(points, latency_ms, macs), level)
    broken = np.flatnonzero(upper > held_ms)
    if not len(broken):
        return Bound(cost.name, min(held_ms, float(points[-1])), held_ms, level)
    # Where even the fastest is not sure enough, less than it may be predicted: nothing is left.
    limit = points[broken[0] - 1] if broken[0] else held_ms * points[0] / upper[0]
    return Bound(cost.name, float(limit), held_ms, level)


def most_macs(cost: ExpectedLatency) -> tuple[Vector, Vector]:
    """Latencies in ms, ascending, and the most multiply-adds that any network has within each.

    The corners of the concave hull: of what lies between, a straight line is at least as much.
    Networks are sums over rows, so that their hull is the sum of the rows' hulls: its edges are
    theirs, the steepest first (Kellerer et al. 2004, *Knapsack Problems*, section 11.2).
    """
    counted = ExpectedLatency.from_macs(cost.space)
    start, edges = np.array([float(cost.fixed), float(counted.fixed)]), []
    for ms, macs, allowed in zip(cost.cost, counted.cost, cost.row_mask, strict=True):
        points = np.stack([ms[allowed].numpy(), macs[allowed].numpy()], axis=1)
        corners = _hull(points)
        start = start + corners[0]
        edges += list(np.diff(corners, axis=0))
    edges.sort(key=lambda edge: -edge[1] / edge[0])
    latency_ms, macs = np.cumsum([start, *edges], axis=0).T
    return latency_ms, macs


def _hull(points: Vector) -> Vector:
    """Corners of the upper concave hull of `points`, from the least x to the greatest y."""
    found: list[Vector] = []
    for point in sorted(points, key=lambda p: (p[0], -p[1])):
        if found and point[1] <= found[-1][1]:
            continue
        while len(found) > 1 and _is_below(found[-1], found[-2], point):
            found.pop()
        found.append(point)
    return np.array(found)


def _is_below(middle: Vector, left: Vector, right: Vector) -> bool:
    """Whether `middle` is not above the line from `left` to `right`."""
    rise = (middle[1] - left[1]) * (right[0] - left[0])
    return bool(rise <= (right[1] - left[1]) * (middle[0] - left[0]))
