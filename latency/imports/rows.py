"""Rows with the flags that their numbers raise: too few runs, too coarse, a mean only."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from ..flags import Flag
from .base import Fact, Row, Statistic
from .parsing import cautions

# As for our own measurements: fewer runs than this do not show their scatter.
LOW_N_RUNS = 10


def judged(
    name: str,
    value: float,
    statistic: Statistic,
    *,
    count: int | None = None,
    resolution: float | None = None,
    samples: Sequence[float] = (),
    reported: Mapping[str, float] | None = None,
    facts: Mapping[str, Fact] | None = None,
    flags: frozenset[Flag] = frozenset(),
) -> Row:
    """A row whose numbers raise their flags beside the `flags` that the file gives.

    `resolution` is the step of the value in its own unit; the rest is as in `Row`.
    """
    if count is not None and count < LOW_N_RUNS:
        flags |= {Flag.LOW_N}
    return Row(
        name,
        value,
        statistic,
        count,
        tuple(samples),
        reported or {},
        facts or {},
        flags=flags | cautions(value, statistic, resolution, samples),
    )


def median_of(
    name: str,
    samples: Sequence[float],
    *,
    resolution: float | None = None,
    reported: Mapping[str, float] | None = None,
    facts: Mapping[str, Fact] | None = None,
    flags: frozenset[Flag] = frozenset(),
) -> Row:
    """A row of raw samples, of which there is at least one: their median."""
    return judged(
        name,
        statistics.median(samples),
        of_runs(len(samples)),
        count=len(samples),
        resolution=resolution,
        samples=samples,
        reported=reported,
        facts=facts,
        flags=flags,
    )


def of_runs(count: int, statistic: Statistic = Statistic.MEDIAN) -> Statistic:
    """`statistic`, or that there is a single run, whose median and mean it is."""
    return Statistic.SINGLE if count == 1 else statistic


def printed_step(values: Sequence[float], digits: int = 6) -> float | None:
    """Step of the largest of `values` where a tool prints so many significant digits.

    Six is what C++ streams print unless told otherwise. None where all values are 0.
    """
    largest = max(values, default=0.0)
    if largest == 0:
        return None
    exponent = int(f"{largest:.{digits - 1}e}".rpartition("e")[2])
    return float(f"1e{exponent - digits + 1}")
