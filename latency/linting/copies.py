"""Rule: values that were copied from other rows, or from another table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from .context import Context
from .finding import Finding, Severity, listed
from .view import Row, View, usable

CHANCE = 1e-3
_LATTICE = 10
_MIN_SCALED = 5
_RELATIVE = 1e-9


def copied_rows(view: View, context: Context) -> list[Finding]:
    """Different operators of different work with the same value to all digits, beyond chance.

    How many equal pairs the rounding of the file alone gives is told by how many pairs are a few
    steps apart.
    """
    if view.is_exact:
        return []
    # Of rows with a name alone, such as layers of a profile, equal work is not known.
    rows = sorted((r for r in usable(view.rows) if r.has_work), key=lambda row: row.value)
    groups = [
        group
        for _, same in groupby(rows, key=lambda row: row.value)
        if len(group := list(same)) > 1 and not _same_work(group)
    ]
    pairs = sum(len(group) * (len(group) - 1) // 2 for group in groups)
    if not pairs or _tail(pairs, _equal_by_chance(view, rows)) > CHANCE:
        return []
    found = [row for group in groups for row in group]
    words = [f"{' = '.join(r.name for r in g[:3])} = {g[0].value!r}" for g in groups]
    return [
        Finding.of(
            "copies",
            Severity.ERROR,
            found,
            f"{len(found)} of {len(rows)} rows share their value to the last digit with another "
            f"operator: {listed(words)}",
            "at least one of each was copied, not measured; measure them again",
        )
    ]


def copied_table(view: View, context: Context) -> list[Finding]:
    """Rows whose values are those of another table, to all digits or times one factor."""
    return [finding for other in context.against for finding in _copied_from(other, view, context)]


def _copied_from(source: View, view: View, context: Context) -> list[Finding]:
    if source.is_exact and view.is_exact:
        return []
    others = {_key(row): row for row in usable(source.rows)}
    pairs = [(row, others[_key(row)]) for row in usable(view.rows) if _key(row) in others]
    equal = [row for row, other in pairs if row.value == other.value]
    step = max(view.step, source.step)
    chance = sum(min(1.0, step / (0.2 * row.value)) for row, _ in pairs)
    where = f"{source.title} {context.against_name}".strip()
    if equal and _tail(len(equal), chance) <= CHANCE:
        return [_from_there(equal, pairs, "their value to the last digit", where)]
    ratios = Counter(float(f"{row.value / other.value:.9g}") for row, other in pairs)
    ratio, count = ratios.most_common(1)[0] if ratios else (1.0, 0)
    if step == 0 and count >= _MIN_SCALED:
        same = [r for r, o in pairs if abs(r.value / o.value / ratio - 1) < 10 * _RELATIVE]
        return [_from_there(same, pairs, f"their value, all times {ratio:.6g},", where)]
    return []


def _from_there(
    rows: list[Row], pairs: Sequence[tuple[Row, Row]], what: str, where: str
) -> Finding:
    return Finding.of(
        "copies",
        Severity.ERROR,
        rows,
        f"{len(rows)} of the {len(pairs)} operators that both tables hold have {what} from "
        f"{where}: {listed([row.name for row in rows])}",
        "these were copied from the other table, not measured on this device; measure them",
    )


def _key(row: Row) -> object:
    return row.operators or row.choices or row.name


def _same_work(rows: Sequence[Row]) -> bool:
    """Whether the rows may rightly take the same time: one operator, or equal work."""
    first, *others = rows
    return all(
        _key(row) == _key(first)
        or (bool(row.macs) and row.macs == first.macs)
        or (bool(row.traffic) and row.traffic == first.traffic)
        for row in others
    )


def _equal_by_chance(view: View, rows: Sequence[Row]) -> float:
    """Expected number of equal pairs if the values were independent and only rounded.

    Of rounded numbers as many pairs are `k` steps apart, above or below, as twice the equal ones.
    """
    values = np.array([row.value for row in rows])
    steps = np.maximum(view.step, _rounding(values))
    if not steps.any():
        return 0.0
    upper = np.searchsorted(values, values + (_LATTICE + 0.5) * steps)
    lower = np.searchsorted(values, values + 0.5 * steps)
    near = float((upper - lower).sum())
    spread = float(np.ptp(values) + steps.max())
    return max(near / (2 * _LATTICE), len(values) * float(steps.sum()) / (2 * spread))


def _rounding(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Step of each of `values`, in order, by the clock, their digits or their float format.

    0 for few numbers of double precision; of many the least gap, which a coarse clock gives.
    """
    distinct = np.unique(values)
    # Ticks that differ in the last bits are one.
    gaps = np.diff(distinct)[np.diff(distinct) > 1e-9 * distinct[1:]]
    gap = float(gaps.min(initial=np.inf))
    # Whole numbers of ticks of a clock, such as a GPU's of 1.024 us.
    is_ticking = float(np.abs(values / gap - np.round(values / gap)).max()) < 1e-3
    if is_ticking and gap * len(values) > np.ptp(values) / 100:
        return np.full(len(values), gap)
    for digits in range(1, 10):
        # A change of unit leaves the last bits of a decimal number behind.
        if all(abs(float(f"{value:.{digits}g}") - value) <= 1e-12 * value for value in values):
            return 10.0 ** (np.floor(np.log10(values)) - digits + 1)
    if len(values) >= 1000:
        return np.full(len(values), gap)
    if np.array_equal(values, values.astype(np.float32)):
        return np.spacing(values.astype(np.float32)).astype(np.float64)
    return np.zeros(len(values))


def _tail(count: int, expected: float) -> float:
    """Chance of at least `count` where `expected` are expected, by Poisson's law."""
    from scipy.special import pdtrc

    chance: float = pdtrc(count - 1, expected) if expected > 0 else 0.0
    return chance
