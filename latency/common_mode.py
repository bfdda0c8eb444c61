"""What moved all cases of one group alike, taken out: first by the sentinel, then by each other.

A group of cases timed in the same passes of one worker process has a speed of its own. The
sentinel tells how slow the machine was. What remains (the sentinel's own luck with its place in
memory, what else ran beside) is shared by all cases of the group, too, so the other cases tell it.
With y the logarithm of what worker w found for case c, the slowness by the sentinel taken off,

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
from math import log

from .estimate import trimmed_mean
from .following import Following, following
from .launch import Launch
from .measurement import Measurement
from .sample import Clock

MIN_OTHERS = 5
REFERENCE_WORKERS = 5
_ROUNDS = 20

_Layout = dict[str, dict[int, float]]


def corrected(measurements: Sequence[Measurement]) -> list[Measurement]:
    """`measurements` of one condition with the drift of each launch's worker filled in.

    And with what share of that, and of the slowness, each case follows.

    A worker's drift is known where it timed at least `MIN_OTHERS` other cases that have several
    launches; it is 0 elsewhere. Drifts tell workers from each other, not from the truth: their
    trimmed mean over workers that share cases is 0, as the latency is a trimmed mean of launches.
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
    return [replace(m, following=_following(m)) for m in result]


def _following(measurement: Measurement) -> Following:
    """How the case follows the machine, where a sentinel tells its speed."""
    if not measurement.slowness:
        return Following()
    return following(measurement.raw_log, measurement.machine_log)


def slowness_by_worker(
    launches: Sequence[Launch], clock: Clock, first: Sequence[Launch] | None = None
) -> dict[str, float]:
    """Logarithm of the sentinel's time over that at the reference speed, for each worker with one.

    A worker's time is the median over its launches; the reference is the median over the first
    `REFERENCE_WORKERS` workers. The store only grows, so that the reference never moves again once
    there are so many.

    Args:
        launches: All launches of each worker that is asked for, in the order of recording.
        clock: The clock that decides.
        first: All launches of the condition's first workers; by default they are in `launches`.
    """
    logs = _sentinel_logs(launches, clock)
    if not logs:
        return {}
    known = logs if first is None else _sentinel_logs(first, clock)
    reference = statistics.median(list(known.values())[:REFERENCE_WORKERS])
    return {worker: value - reference for worker, value in logs.items()}


def _sentinel_logs(launches: Sequence[Launch], clock: Clock) -> dict[str, float]:
    """Logarithm of the sentinel's time in ms, for each worker with one, the earliest first."""
    by_worker: dict[str, list[float]] = defaultdict(list)
    for launch in launches:
        value = launch.sentinel_ms(clock)
        if value is not None:
            by_worker[launch.worker].append(value)
    return {worker: log(statistics.median(values)) for worker, values in by_worker.items()}


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
    """The level a of each case, for which the trimmed mean of b over a connected part is 0."""
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
        shift = trimmed_mean([worker_level[worker] for worker in part])
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
