"""Rule: values below what the work takes at the device's peak."""

from __future__ import annotations

from collections.abc import Mapping

from .context import Context, Peaks
from .finding import Finding, Severity, listed
from .view import Row, View, usable

FACTOR = 6.0
_MIN_ROWS = 8
_BYTES: Mapping[object, int] = {"int8": 1, "fp16": 2}
_TOLERANCE = 1.05


def below_roofline(view: View, context: Context) -> list[Finding]:
    """Rows faster than the device's peak rate (Williams et al. 2009).

    Where the peak is not known, rows that do over six times the multiply-adds a millisecond of
    any other row.
    """
    rows = [row for row in usable(view.rows) if row.macs]
    if context.peaks is not None:
        return _below_known(view, rows, context.peaks)
    if len(rows) < _MIN_ROWS:
        return []
    rates = sorted(((_rate(row), row.name, row) for row in rows), key=lambda found: -found[0])
    # A few rows may stand out; what they are compared with is the fastest of the rest.
    for count in range(max(1, len(rows) // 10), 0, -1):
        limit = FACTOR * rates[count][0]
        if rates[count - 1][0] > limit:
            return [_finding([row for _, _, row in rates[:count]], rates[count][0], len(rows))]
    return []


def _rate(row: Row) -> float:
    return (row.macs or 0.0) / row.value


def _finding(rows: list[Row], best: float, total: int) -> Finding:
    words = [f"{row.name} = {row.value:g} ms, {_rate(row) / 1e6:.3g} GMAC/s" for row in rows]
    return Finding.of(
        "roofline",
        Severity.ERROR,
        rows,
        f"{len(rows)} of {total} rows are over {FACTOR:g} times faster at multiply-adds than any "
        f"other, which does {best / 1e6:.3g} GMAC/s: {listed(words)}",
        "the time is too short for the work; see that the operator ran at all, and measure again",
    )


def _below_known(view: View, rows: list[Row], peaks: Peaks) -> list[Finding]:
    below, words = [], []
    for row in rows:
        work = (row.macs or 0.0) * view.batch / peaks.macs_per_ms
        least = max(work, _memory_ms(view, row, peaks))
        if row.value * _TOLERANCE < least:
            below.append(row)
            words.append(f"{row.name} = {row.value:g} ms, at the peak {least:.3g} ms")
    if not below:
        return []
    return [
        Finding.of(
            "roofline",
            Severity.ERROR,
            below,
            f"{len(below)} of {len(rows)} rows are faster than the device's peak of "
            f"{peaks.macs_per_ms / 1e6:.3g} GMAC/s and {peaks.bytes_per_ms / 1e6:.3g} GB/s: "
            f"{listed(words)}",
            "the time is too short for the work; see that the operator ran at all, measure again",
        )
    ]


def _memory_ms(view: View, row: Row, peaks: Peaks) -> float:
    """The least time to read the input and weights and write the output once, in ms.

    What lies between the primitives of a block may stay in a cache, and is left out.
    """
    if len(row.operators) != 1:
        return 0.0
    operator = row.operators[0]
    elements = operator.params
    for shape in (*operator.input_shapes, operator.output_shape):
        size = view.batch
        for side in shape:
            size *= side
        elements += size
    return elements * _BYTES.get(view.facts.get("precision"), 4) / peaks.bytes_per_ms
