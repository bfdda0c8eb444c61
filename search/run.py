"""A search in a run folder: starts, goes on, or is already done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from ..core.artefact import (
    MANIFEST,
    canonical_json,
    manifest,
    read_manifest,
    sha256_of,
    write_json,
)
from ..core.errors import ConfigError
from .bound import limits_of
from .data import check_data
from .expected_latency import ExpectedLatency
from .journal import Journal
from .result import HISTORY, RESULT, SearchResult, write_record
from .strategies import Problem, SearchStep, strategies

CHECKPOINT = "checkpoint.safetensors"
KIND = "search"


def search(
    problem: Problem,
    strategy: str,
    settings: Mapping[str, Any],
    *,
    folder: Path,
    origin: str,
    model: Mapping[str, str],
    threads: int,
) -> Iterator[SearchStep]:
    """Yields after every step, and leaves `result.json` and `history.jsonl` in `folder`.

    Goes on from the folder's checkpoint if there is one, to the same result to the bit; yields
    nothing if the result is already there. What cannot succeed is refused by the first `next`,
    before anything is trained.

    Args:
        problem: Space, costs, bounds, data and seed.
        strategy: A name of the strategy registry.
        settings: Of the strategy; defaults stand in for the rest.
        folder: The run folder; made if missing.
        origin: Where the latencies come from: `measured`, `imported` or `simulated`.
        model: Name and hash of the latency model.
        threads: Of torch, set while the search runs; results depend on it in the last bits.

    Raises:
        UnknownNameError: There is no such strategy.
        ConfigError: Settings, data or bounds are wrong, or `folder` holds another search.
        InfeasibleError: No architecture is within a bound.
    """
    algorithm = strategies[strategy].from_settings(settings, f"strategy {strategy}")
    check_data(problem.space, problem.data)
    limits = limits_of(problem.costs, problem.bounds)
    _check_together(problem)
    algorithm.check(problem)
    identity: dict[str, Any] = {
        "space": problem.space.describe(),
        "strategy": strategy,
        "settings": algorithm.describe(),
        "bounds": {bound.name: bound.limit for bound in problem.bounds},
        "costs": {cost.name: _hash(cost) for cost in problem.costs},
        "data": problem.data.name,
        "seed": problem.seed,
        "origin": origin,
        "model": dict(model),
        "threads": threads,
    }
    _claim(folder, identity, problem.seed)
    if (folder / RESULT).exists():
        return
    journal = Journal(folder, CHECKPOINT, HISTORY)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        candidates = yield from algorithm.run(problem, journal, folder)
    finally:
        torch.set_num_threads(before)
    result = SearchResult(
        space=problem.space.describe(),
        strategy=strategy,
        seed=problem.seed,
        steps=algorithm.weight_steps(problem.data),
        limits=limits,
        origin=origin,
        model=dict(model),
        candidates=candidates,
    )
    write_record(folder, result)
    journal.close()


def _check_together(problem: Problem) -> None:
    """Several bounds can each be met and yet not all at once; one projection tells."""
    if len(problem.bounds) > 1:
        from .projection import project

        project(problem.costs[0].mask.numpy() * 0.0, problem.costs, problem.bounds)


def _hash(cost: ExpectedLatency) -> str:
    return sha256_of(canonical_json([float(cost.fixed), cost.cost.tolist()]))


def _claim(folder: Path, identity: dict[str, Any], seed: int) -> None:
    """Write the manifest of a new search, or check that the one in `folder` is of this search."""
    if not (folder / MANIFEST).exists():
        write_json(folder / MANIFEST, manifest(KIND, config=identity, seed=seed, parents={}))
        return
    found = read_manifest(folder, KIND)["config"]
    wanted = identity
    different = sorted(
        key
        for key in {*found, *wanted}
        if canonical_json(found.get(key)) != canonical_json(wanted.get(key))
    )
    if different:
        key = different[0]
        raise ConfigError(
            f"{folder} holds a search with another {', '.join(different)} "
            f"({key}: {_brief(found.get(key))} there, {_brief(wanted.get(key))} now); "
            f"choose another --out, or delete the folder to start again."
        )


def _brief(value: Any) -> str:
    text = canonical_json(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
