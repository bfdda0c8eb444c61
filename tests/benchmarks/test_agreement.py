"""How far our times and those of LiteRT's own benchmarking tool agree, run in turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from elat.devices.device import find_device
from elat.flows.measuring import Campaign, measure_cases
from elat.latency.artefacts import ArtefactCache
from elat.latency.protocol import SCREEN
from elat.latency.store import open_store
from elat.search.zoo import find_network

# Of at least a millisecond: the tool rounds to 0.01 ms.
NETWORKS = ("mobilenet_v2", "proxyless_mobile", "mnasnet_a1", "mobilenet_v3_large")
ROUNDS = 7
RUNS = 150


@pytest.fixture(scope="module")
def core():
    return max(os.sched_getaffinity(0))


def test_agreement_with_litert_benchmark(benchmark, figure, tmp_path, core):
    known = {name: find_network(name).operator() for name in NETWORKS}
    cache = ArtefactCache(tmp_path / "artefacts")
    device = replace(find_device("local-tflite"), affinity=(core,))
    theirs: dict[str, list[float]] = {name: [] for name in known}
    with open_store(tmp_path / "store.db") as store:

        def take_turns():
            for number in range(1, ROUNDS + 1):
                protocol = replace(
                    SCREEN,
                    name=f"turn {number}",
                    min_launches=number,
                    max_launches=number,
                    looks=(number,),
                )
                campaign = Campaign(device, protocol, store, cache, seed=number)
                for _ in measure_cases(campaign, tuple(known.values())):
                    pass
                for name, network in known.items():
                    file = cache.artefact(network, campaign.condition.of_models).folder
                    theirs[name].append(_tool_ms(next(file.glob("*.tflite")), tmp_path, core))

        benchmark.pedantic(take_turns, rounds=1, iterations=1)
        (condition,) = store.conditions()
        found = {m.operator: m for m in store.measurements(condition)}
    for name, network in known.items():
        ours = np.log([launch.wall_ms for launch in found[network].launches])
        other = np.log(theirs[name])
        off = 100 * abs(np.expm1(np.median(ours) - np.median(other)))
        both = _interval(ours), _interval(other)
        overlap = max(low for low, _ in both) <= min(high for _, high in both)
        figure(f"{name}: median of ours", float(np.exp(np.median(ours))), "ms")
        figure(f"{name}: of litert-benchmark", statistics.median(theirs[name]), "ms", least=1.0)
        figure(f"{name}: difference", off, "%", **({} if overlap else {"most": 1.0}))
        figure(f"{name}: intervals overlap", float(overlap), "")


def _tool_ms(file, folder, core) -> float:
    """The median of the tool's runs of `file`, in milliseconds."""
    result = folder / "result.json"
    subprocess.run(
        [
            "taskset", "-c", str(core), sys.executable, "-m",
            "ai_edge_litert.tools.benchmark_litert_model", "--model", str(file),
            "--num_threads", "1", "--warmup_runs", "20", "--num_runs", str(RUNS),
            "--result_json", str(result),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return float(json.loads(result.read_text())["latency"]["median_ms"])


def _interval(logs) -> tuple[float, float]:
    low, high = stats.t.interval(0.95, len(logs) - 1, np.mean(logs), stats.sem(logs))
    return float(low), float(high)
