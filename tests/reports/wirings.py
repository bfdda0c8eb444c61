"""A small made-up study of wirings; no number here was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from elat.latency.condition import Condition, Method, Precision
from elat.reports.wirings import Wiring, WiringRow, Wirings
from elat.search.architecture import Architecture
from elat.search.result import Candidate, Limit, MeasuredLatency, SearchResult, write_record
from elat.search.spaces import space_from_description
from elat.search.spaces.aggregation import AggregationSpace
from elat.search.spaces.wirings import dense, exponential, shuffled

SCALES = (4, 6)
SEEDS = (0, 1, 2)
# Of each seed, in percent.
ACCURACY = {
    Wiring.SPARSE: (88.0, 88.2, 88.4),
    Wiring.SHUFFLED: (87.5, 88.0, 88.2),
    Wiring.LEARNED: (89.0, 89.1, 89.5),
    Wiring.DENSE_LATENCY: (86.0, 86.5, 86.4),
    Wiring.DENSE_PARAMS: (86.0, 86.2, 86.4),
}


def described(growth: int, layers: int = 5, **settings: Any) -> dict[str, Any]:
    """Two stages of so many layers."""
    return {
        "family": "aggregation", "name": f"links-g{growth}", "resolution": 8, "in_channels": 1,
        "classes": 2, "stages": [{"layers": layers, "growth": growth}] * 2, "head": 8, **settings,
    }  # fmt: skip


def link_space(growth: int = 4, layers: int = 5, **settings: Any) -> AggregationSpace:
    """A space of links."""
    space = space_from_description(described(growth, layers, **settings))
    assert isinstance(space, AggregationSpace)
    return space


def latency_of(latency_ms: float, half_ms: float = 0.002) -> MeasuredLatency:
    """Made up, on a device that is not there."""
    condition = Condition("one", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
    return MeasuredLatency(
        "one", condition.to_json(), latency_ms, latency_ms - half_ms, latency_ms + half_ms, 0.95,
        5, (), "simulated",
    )  # fmt: skip


def made_up_study() -> Wirings:
    """Every wiring at two widths with three seeds; learned networks get slower with the seed."""
    rows = []
    for scale in SCALES:
        space = link_space(scale)
        sparse = exponential(space, 2)
        reference_ms = 0.05 * scale
        for wiring, accuracies in ACCURACY.items():
            growth = scale - 1 if "dense" in wiring else scale
            own = link_space(growth)
            for seed in SEEDS:
                random = np.random.default_rng((scale, seed))
                architecture = {
                    Wiring.SPARSE: sparse,
                    Wiring.SHUFFLED: shuffled(space, sparse, random),
                    Wiring.LEARNED: learned(space, sparse, random),
                }.get(wiring, dense(own))
                network = own.network(architecture)
                is_learned = wiring is Wiring.LEARNED
                late_ms = 0.0015 * (seed - 1) if is_learned else 0.0
                rows.append(
                    WiringRow(
                        wiring, scale, growth, seed, own.describe(), architecture,
                        sum(len(read) for stage in own.sources(architecture) for read in stage),
                        network.params, network.macs, latency_of(reference_ms + late_ms),
                        reference_ms + 0.002, space.network(sparse).params,
                        accuracies[seed] / 100, 0.8 + 0.01 * seed if is_learned else None,
                        60.0 * (seed + 1) if is_learned else None,
                    )
                )  # fmt: skip
    return Wirings("made up", 2, 100, tuple(rows))


def learned(
    space: AggregationSpace, sparse: Architecture, random: np.random.Generator
) -> Architecture:
    """As many links as in `sparse`, those of the rule somewhat likelier."""
    scores = random.random(len(space.options)) + 0.4 * np.asarray(sparse.choices)
    both = np.stack([np.zeros_like(scores), scores], axis=1)
    return Architecture(space.name, space.from_rows(space.row_choices(sparse.choices), both))


def write_search(folder: Path, space: AggregationSpace, architecture: Architecture) -> Path:
    """A run folder of a search that chose `architecture`, with nothing but its result."""
    folder.mkdir(parents=True)
    best = Candidate(architecture, 1.0, (0.9,), 0.9, 1000, 100)
    limit = Limit("one", 1.0, 0.5, 2.0)
    result = SearchResult(
        space.describe(), "proxyless-g", 0, 10, (limit,), "simulated", {"name": "ridge"}, (best,)
    )
    write_record(folder, result)
    return folder
