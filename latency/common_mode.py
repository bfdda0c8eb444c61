"""What moved all cases of one group alike, taken out.

A group of cases timed in the same passes of one worker process has a speed of its own: how busy
the machine was, which core the process got, which placement its sentinel has. All its cases share
it, so the other cases tell it. With y the logarithm of what worker w found for case c,

    y[c, w] = a[c] + b[w] + noise,

and the drift removed from (c, w) is the median over the *other* cases of the worker of y - a.
Rounds hold different cases (finished ones drop out) and runs are resumed, so a and b are fitted to
the incomplete layout by turns (median polish, Tukey 1977), not from plain means.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from .measurement import Measurement

MIN_OTHERS = 5
_ROUNDS = 20

_Layout = dict[str, dict[int, float]]


def corrected(measurements: Sequence[Measurement]) -> list[Measurement]:
    """`measurements` of one condition with the drift of each launch's worker filled in.

    A worker's drift is known where it timed at least `MIN_OTHERS` other cases that have several
    launches; it is 0 elsewhere. The median drift over connected workers is 0, so that the drift of
    a single worker moves no latency.
    """
    layout = _layout(measurements)
    case_level = _fit(layout)
    result = []
    for case, measurement in enumerate(measurements):
        drift = tuple(
            _drift(layout[launch.worker], case, case_level) if launch.worker in layout else 0.0
            for launch in measurement.launches
        )
        result.append(replace(measurement, drift=drift if any(drift) else ()))
    return result


def _layout(measurements: Sequence[Measurement]) -> _Layout:
    """Logarithms by worker and case, of workers and cases that can tell a drift."""
    by_worker: _Layout = defaultdict(dict)
    for case, measurement in enumerate(measurements):
        if measurement.count > 1:
            for launch, value in zip(
                measurement.launches, measurement.normalised_log.tolist(), strict=True
            ):
                by_worker[launch.worker][case] = value
    return {w: cases for w, cases in by_worker.items() if len(cases) > MIN_OTHERS}


def _fit(layout: _Layout) -> dict[int, float]:
    """The level a of each case, for which workers of one connected part have a median b of 0."""
    workers_of: dict[int, list[str]] = defaultdict(list)
    for worker, cases in layout.items():
        for case in cases:
            workers_of[case].append(worker)
    worker_level = dict.fromkeys(layout, 0.0)
    case_level: dict[int, float] = {}
    for _ in range(_ROUNDS):
        for case, workers in workers_of.items():
            case_level[case] = statistics.median(
                layout[w][case] - worker_level[w] for w in workers
            )
        for worker, cases in layout.items():
            worker_level[worker] = statistics.median(
                value - case_level[case] for case, value in cases.items()
            )
    for part in _connected(layout, workers_of):
        shift = statistics.median(worker_level[worker] for worker in part)
        for case in {case for worker in part for case in layout[worker]}:
            case_level[case] += shift
    return case_level


def _connected(layout: _Layout, workers_of: dict[int, list[str]]) -> list[set[str]]:
    """Workers in groups that share cases; levels of different groups cannot be compared."""
    parts: list[set[str]] = []
    left = set(layout)
    while left:
        part: set[str] = set()
        front = {min(left)}
        while front:
            part |= front
            front = {w for f in front for case in layout[f] for w in workers_of[case]} - part
        left -= part
        parts.append(part)
    return parts


def _drift(cases: dict[int, float], case: int, case_level: dict[int, float]) -> float:
    others = [value - case_level[other] for other, value in cases.items() if other != case]
    return statistics.median(others) if len(others) >= MIN_OTHERS else 0.0
