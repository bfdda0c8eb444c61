"""Rule: values in another unit than the rest, or than any device could take."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from ..imports.base import Quantity
from .context import Context
from .finding import Finding, Severity, listed
from .view import Row, View, usable

Vector = NDArray[np.float64]

THOUSAND = log(1000)
# A slip of a thousand is looked for between the factors 180 and 5,600, one of a million likewise.
_TOLERANCE = THOUSAND / 4
_MIN_ROWS = 8
_ROUNDS = 4
_STARTED = 0.1
_MAX_SCALE = 1.2
# Multiply-adds a millisecond. A microcontroller with a network library does 20 million a second;
# one CPU thread at most 300 thousand million in fp32 (two 512-bit FMA units at 4.5 GHz: 144, and
# twice that for good measure); one accelerator chip at most 2 * 10^15.
_SLOWEST, _FASTEST_THREAD, _FASTEST = 2e4, 3e8, 2e12
_CPU_RUNTIMES = ("onnxruntime", "tflite", "openvino")
# No device does 10^12 a second in operators of less than 2.5 us: starting them takes longer.
_SHORT_MS, _FASTEST_SHORT, _SHORT_SHARE = 2.5e-3, 1e9, 0.1


def unit_slips(view: View, context: Context) -> list[Finding]:
    """Rows a thousand or a million times off the others, or the whole table off any device."""
    if view.quantity is not Quantity.LATENCY_MS:
        return []
    rows = [row for row in usable(view.rows) if row.macs or row.traffic]
    if len(rows) < _MIN_ROWS:
        return []
    residuals, off = _slipped(rows)
    if off.any() and 2 * int(off.sum()) < len(rows):
        found = [row for row, is_off in zip(rows, off, strict=True) if is_off]
        return [_rows_off(found, residuals[off], len(rows))]
    return _table_off(view, rows)


def _slipped(rows: Sequence[Row]) -> tuple[Vector, NDArray[np.bool_]]:
    """Logarithm of each value over what its work suggests, and which values slipped.

    What seems to have slipped is put right, and all is fitted again: many slips bend the first
    plane.
    """
    values = np.log([row.value for row in rows])
    slips = np.zeros(len(rows))
    for _ in range(_ROUNDS):
        residuals = values - _suggested(rows, values - slips * THOUSAND)
        nearest = np.round(residuals / THOUSAND)
        near = np.abs(residuals - nearest * THOUSAND) < _TOLERANCE
        if np.array_equal(slips, found := np.where(near, nearest, 0.0)):
            break
        slips = found
    right = np.abs(residuals - slips * THOUSAND)
    scale = 1.4826 * float(np.median(right))
    off = (slips != 0) & (scale < _MAX_SCALE) & (np.abs(residuals) > 4 * scale)
    return residuals, off


def _suggested(rows: Sequence[Row], values: Vector) -> Vector:
    """Logarithm of the latency that the work of each row suggests.

    The plane of least absolute errors; its slopes are kept between 0 and 1.2, as latency grows
    with work, about in proportion at most.
    """
    from scipy.optimize import minimize

    # Operators without multiply-adds, such as pools, would be far off the scale by their zero.
    pairs = [(row.macs or 0.0, row.traffic or 0.0) for row in rows]
    work = np.log1p([(max(macs, traffic), traffic) for macs, traffic in pairs])
    # The smallest take what starting an operator takes.
    work = np.maximum(work, np.quantile(work, _STARTED, axis=0))
    work -= work.mean(axis=0)

    def cost(parameters: Vector) -> float:
        fitted = work @ parameters
        return float(np.abs(values - fitted - np.median(values - fitted)).sum())

    bounds = [(0.0, 1.2) if column.any() else (0.0, 0.0) for column in work.T]
    start = np.array([0.4 * (high > 0) for _, high in bounds])
    best = minimize(cost, start, method="Powell", bounds=bounds, options={"xtol": 1e-3})
    fitted = work @ best.x
    return np.asarray(fitted + np.median(values - fitted))


def _rows_off(rows: list[Row], residuals: Vector, total: int) -> Finding:
    words = [
        f"{row.name} = {row.value:g} ms, {_times(residual)} what its work suggests"
        for row, residual in zip(rows, residuals, strict=True)
    ]
    return Finding.of(
        "units",
        Severity.ERROR,
        rows,
        f"{len(rows)} of {total} values are about a thousand or a million times off the others: "
        f"{listed(words)}",
        "these are in another unit (us, s, ns) than the rest; convert them to milliseconds",
    )


def _times(residual: float) -> str:
    return f"{exp(residual):,.0f} times" if residual > 0 else f"1/{exp(-residual):,.0f} of"


def _table_off(view: View, rows: Sequence[Row]) -> list[Finding]:
    dense = [row for row in rows if row.macs]
    if len(dense) < _MIN_ROWS:
        return []
    rates = np.array([(row.macs or 0.0) * view.batch / row.value for row in dense])
    fast = float(np.quantile(rates, 0.9))
    median_ms = float(np.median([row.value for row in dense]))
    short = [row.value < _SHORT_MS for row in dense] & (rates > _FASTEST_SHORT)
    is_short = float(short.mean()) >= _SHORT_SHARE
    if fast < _SLOWEST:
        text, unit = "slower than a microcontroller", "us (or ns)"
    elif fast > _limit(view) or is_short:
        text, unit = "faster than the device could be", "s"
    else:
        return []
    return [
        Finding.of(
            "units",
            Severity.ERROR,
            dense,
            f"read as milliseconds the table is {text}: its fastest tenth of rows does "
            f"{fast / 1e6:.3g} GMAC/s, at a median of {median_ms:.3g} ms",
            f"the values are probably in {unit}; convert them to milliseconds",
        )
    ]


def _limit(view: View) -> float:
    threads = view.facts.get("threads")
    if view.facts.get("runtime") in _CPU_RUNTIMES and isinstance(threads, int):
        return _FASTEST_THREAD * threads * (4 if view.facts.get("precision") == "int8" else 1)
    return _FASTEST
