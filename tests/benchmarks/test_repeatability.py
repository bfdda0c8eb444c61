"""How far complete re-measurements in fresh stores agree."""

from __future__ import annotations

import statistics
from itertools import combinations
from math import exp, log

import numpy as np
import pytest

from elat.latency.methods import Evidence, Subjects
from elat.latency.sample import Clock
from elat.latency.table import LatencyTable

REPEATS = {"screen": 3, "standard": 2}


@pytest.mark.parametrize("protocol", REPEATS)
def test_repeatability(benchmark, figure, campaigns, space, device, protocol):
    def measure_all():
        return [campaigns(device, protocol, number) for number in range(REPEATS[protocol])]

    found = benchmark.pedantic(measure_all, rounds=1, iterations=1)
    raw, headline, relative, derived = [], [], [], []
    for fresh in found:
        measured = fresh.measured
        speed = _sentinel_ms(measured.values())
        raw.append({o: m.latency_raw_ms for o, m in measured.items()})
        headline.append({o: m.latency_ms for o, m in measured.items()})
        relative.append({o: m.latency_ms / speed for o, m in measured.items()})
        subjects = Subjects(space.all_operators())
        table = LatencyTable.derived(fresh.campaign.condition, subjects, Evidence(measured))
        derived.append({o: table[o] / speed for o in table})
    where = f"{device} {protocol}"
    _note(figure, f"{where}: timed cases, over the sentinel", relative, least=80)
    _note(figure, f"{where}: timed cases, headline", headline)
    _note(figure, f"{where}: timed cases, raw", raw)
    _note(figure, f"{where}: in-situ operators, over the sentinel", derived, least=80)


def _note(figure, name, stores, least=None):
    differences = [
        abs(log(first[operator] / second[operator]))
        for first, second in combinations(stores, 2)
        for operator in first.keys() & second.keys()
    ]
    percent = 100 * np.expm1(differences)
    figure(f"{name}: within 2 %", 100 * float(np.mean(percent <= 2)), "%", least=least)
    for p in (50, 95):
        figure(f"{name}: p{p} of the difference", float(np.percentile(percent, p)), "%")


def _sentinel_ms(measurements):
    """Time of the sentinel at the store's reference speed."""
    times: dict[str, list[float]] = {}
    slowness: dict[str, float] = {}
    for m in measurements:
        clock = Clock.of(m.condition.threads)
        for launch, slow in zip(m.launches, m.slowness, strict=True):
            times.setdefault(launch.worker, []).append(launch.sentinel_ms(clock))
            slowness[launch.worker] = slow
    worker = next(iter(times))
    return statistics.median(times[worker]) / exp(slowness[worker])
