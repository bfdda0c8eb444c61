"""Rules: values that were computed, not measured."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from ..imports.base import Quantity
from .context import Context
from .finding import Finding, Severity, listed
from .view import Row, View

EXACT = 1e-9
_MIN_PLACES = 4
_SCREENED = 1000


def table_sums(view: View, context: Context) -> list[Finding]:
    """Networks whose latencies are exact sums of one number for each choice.

    Least squares on one column for each choice at each place leaves nothing.
    """
    rows = [row for row in view.rows if row.choices]
    places = {len(row.choices) for row in rows}
    # Most tables are no sums, which a few rows tell.
    if len(places) != 1 or not _additive(rows[:_SCREENED])[0] < EXACT:
        return []
    worst, columns = _additive(rows)
    if not worst < EXACT:
        return []
    return [
        Finding.of(
            "additive",
            Severity.WARNING,
            rows,
            f"all {len(rows)} values are exact sums of one number for each of "
            f"{columns - 1} choices (R2 = 1; the worst misses by {worst:.0e} of the "
            "median): they were summed from a table, not measured as networks",
            "do not score latency predictors on them: any additive model is perfect there",
        )
    ]


def _additive(rows: Sequence[Row]) -> tuple[float, int]:
    """Greatest residual of the least squares over the median, and the number of columns.

    Infinite where there are no more rows than columns, which anything fits.
    """
    design = _one_hot([row.choices for row in rows])
    if len(rows) <= design.shape[1]:
        return inf, design.shape[1]
    values = np.array([row.value for row in rows])
    solved = np.linalg.lstsq(design.T @ design, design.T @ values, rcond=1e-12)[0]
    residuals = np.abs(values - design @ solved)
    return float(residuals.max() / np.median(np.abs(values))), design.shape[1]


def _one_hot(choices: Sequence[tuple[str, ...]]) -> NDArray[np.float64]:
    columns: list[NDArray[np.float64]] = [np.ones(len(choices))]
    for place in zip(*choices, strict=True):
        names, codes = np.unique(np.array(place), return_inverse=True)
        columns += [(codes == code).astype(np.float64) for code in range(len(names))]
    return np.stack(columns, axis=1)


def simulated(view: View, context: Context) -> list[Finding]:
    """Another project's values that no device gave: cycles, or exactly linear in a bit width."""
    if view.is_own:
        return []
    linear = _linear_rows(view)
    if view.quantity is not Quantity.CYCLES and view.origin != "simulated" and not linear:
        return []
    what = "cycles, no milliseconds" if view.quantity is Quantity.CYCLES else "milliseconds"
    said = "said to be simulated" if view.origin == "simulated" else "not said to be simulated"
    found = f"the {len(view.rows)} values are {what}, {said}"
    if linear:
        words = [f"{group[0].name} to {group[-1].name}" for group in linear]
        found += (
            f"; {len(linear)} series are exact multiples of their place, as only a formula gives: "
            f"{listed(words)}"
        )
    return [
        Finding.of(
            "simulated",
            Severity.WARNING,
            view.rows,
            found,
            "they rank what a formula says, not what a device takes; measure on the device",
        )
    ]


def _linear_rows(view: View) -> list[list[Row]]:
    """Series along a numeric attribute whose values are exactly proportional to it."""
    found: list[list[Row]] = []
    for axis in dict.fromkeys(name for row in view.rows for name in row.attributes):
        groups: dict[object, list[tuple[float, Row]]] = {}
        for row in view.rows:
            place = row.attributes.get(axis)
            if isinstance(place, int | float) and not isinstance(place, bool):
                rest = tuple(sorted((k, v) for k, v in row.attributes.items() if k != axis))
                groups.setdefault(rest, []).append((float(place), row))
        found += [[r for _, r in group] for group in groups.values() if _is_proportional(group)]
    return found


def _is_proportional(placed: Sequence[tuple[float, Row]]) -> bool:
    places = np.array([place for place, _ in placed])
    values = np.array([row.value for _, row in placed])
    if len(np.unique(places)) < _MIN_PLACES or not np.all(places > 0) or not np.all(values > 0):
        return False
    ratios = values / places
    return bool(np.ptp(ratios) <= EXACT * ratios.max())
