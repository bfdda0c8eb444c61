"""How long a table of 1,000 operators takes."""

from __future__ import annotations

import os

import pytest

from elat.devices.device import find_device
from elat.flows.measuring import Campaign, measure_cases
from elat.latency.artefacts import ArtefactCache
from elat.latency.operators.generate import generate
from elat.latency.protocol import find_protocol
from elat.latency.store import open_store

OPERATORS = int(os.environ.get("ELAT_BENCH_OPERATORS", "1000"))
MINUTES = {"screen": 10.0, "standard": 20.0}


@pytest.mark.parametrize("protocol", MINUTES)
def test_minutes_of_a_thousand_operators(benchmark, figure, tmp_path, device, protocol):
    with open_store(tmp_path / "store.db") as store:
        campaign = Campaign(
            find_device(device), find_protocol(protocol), store, ArtefactCache(tmp_path), seed=0
        )
        cases = generate(OPERATORS, seed=1)
        benchmark.pedantic(
            lambda: [None for _ in measure_cases(campaign, cases)], rounds=1, iterations=1
        )
        (condition,) = store.conditions()
        found = store.measurements(condition)
    seconds = benchmark.stats.stats.total
    where = f"{device} {protocol}: 1,000 operators"
    figure(where, seconds / 60 * 1000 / OPERATORS, "min", most=MINUTES[protocol])
    timed_ms = sum(s.wall_ms * s.loops for m in found for x in m.launches for s in x.samples)
    figure(f"{where}: share of the time in timed slices", timed_ms / (1e3 * seconds) * 100, "%")
    figure(f"{where}: measured", len(found) / OPERATORS * 100, "%")
    converged = sum(m.relative_half_width <= m.protocol.target for m in found)
    figure(f"{where}: converged", converged / len(found) * 100, "%")
