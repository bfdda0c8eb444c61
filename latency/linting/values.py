"""Rules on single values and on what is said of them: numbers, spreads, steps, conditions."""

from __future__ import annotations

from math import isfinite

import numpy as np

from .context import Context
from .finding import Finding, Severity, listed
from .view import Row, View, usable

FEW_LAUNCHES = 3
CONDITION = ("device", "runtime", "runtime_version", "threads", "batch", "unit", "resolution")
COARSE_SHARE = 0.01
MIN_ROWS = 8
REMEASURE = "measure these again, and keep a measurement that failed out of the table"


def bad_values(view: View, context: Context) -> list[Finding]:
    """Values that are no latency: below zero, zero, infinite, not a number."""
    infinite = [row for row in view.rows if not isfinite(row.value)]
    negative = [row for row in view.rows if isfinite(row.value) and row.value < 0]
    zero = [row for row in view.rows if row.value == 0]
    working = [row for row in zero if row.has_work]
    idle = [row for row in zero if not row.has_work]
    kinds = (
        ("not finite", infinite, Severity.ERROR),
        ("negative", negative, Severity.ERROR),
        ("zero", working, Severity.ERROR),
        ("zero, as layers that were fused or skipped are", idle, Severity.WARNING),
    )
    return [
        Finding.of(
            "value",
            severity,
            rows,
            f"{len(rows)} of {len(view.rows)} values are {kind}: "
            f"{listed([f'{row.name} = {row.value:g}' for row in rows])}",
            REMEASURE,
        )
        for kind, rows, severity in kinds
        if rows
    ]


def missing_spread(view: View, context: Context) -> list[Finding]:
    """Values without a deviation, of one run, or of fewer launches than give an interval.

    A simulation without noise has no spread, and says so.
    """
    if view.is_exact and view.is_own:
        return []
    rows = usable(view.rows)
    bare = [row for row in rows if row.count in (None, 1) or not row.spread]
    few = [r for r in rows if r.spread and r.count is not None and 1 < r.count < FEW_LAUNCHES]
    texts = {
        "have no spread (no count, one run, or no deviation)": bare,
        f"are of fewer than {FEW_LAUNCHES} launches": few,
    }
    repair = (
        "without a spread noise cannot be told from a difference; measure with several launches: "
        "elat measure --device DEVICE --space SPACE --protocol standard"
    )
    return [
        Finding.of(
            "spread",
            Severity.WARNING,
            found,
            f"{len(found)} of {len(rows)} values {text}: {listed([row.name for row in found])}",
            repair,
        )
        for text, found in texts.items()
        if found
    ]


def coarse_step(view: View, context: Context) -> list[Finding]:
    """Values rounded so coarsely that the rounding is more than 1 % of the median."""
    if len(view.rows) < MIN_ROWS:
        return []
    median = float(np.median(view.values))
    if view.step < COARSE_SHARE * median:
        return []
    return [
        Finding.of(
            "quantised",
            Severity.WARNING,
            view.rows,
            f"all {len(view.rows)} values are multiples of {view.step:g}, which is "
            f"{view.step / median:.1%} of their median {median:g}; they take "
            f"{len(set(view.values))} different values",
            "differences below the step are lost: take the unrounded times, or compare no closer",
        )
    ]


def mixed_conditions(view: View, context: Context) -> list[Finding]:
    """Rows of several devices, threads, batches, units or the like in one table."""
    findings = []
    for name in CONDITION:
        if len({row.facts.get(name) for row in view.rows}) < 2:
            continue
        groups: dict[object, list[Row]] = {}
        for row in view.rows:
            groups.setdefault(row.facts.get(name), []).append(row)
        most = max(groups.values(), key=len)
        others = [row for rows in groups.values() if rows is not most for row in rows]
        sizes = [f"{len(rows)} of {value}" for value, rows in groups.items()]
        findings.append(
            Finding.of(
                "conditions",
                Severity.ERROR,
                others,
                f"rows of different {name} share the table: {listed(sizes)}",
                "write one table a condition; sums over several conditions mean nothing",
            )
        )
    return findings
