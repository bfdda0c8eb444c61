"""What every search strategy must hold, on a space small enough to enumerate."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from elat.core.errors import ConfigError, InfeasibleError
from elat.latency.operators.aggregate import Aggregate
from elat.search.bound import Bound
from elat.search.data import TensorData
from elat.search.expected_latency import ExpectedLatency
from elat.search.journal import Journal
from elat.search.result import read_run
from elat.search.run import search
from elat.search.spaces import block_space, space_from_description
from elat.search.strategies import Problem, SearchStep, strategies

SPACE = block_space(
    space_from_description(
        {
            "family": "mbconv-chain",
            "name": "toy",
            "resolution": 8,
            "in_channels": 1,
            "classes": 3,
            "stem": {"width": 4, "stride": 2},
            "first": 4,
            "stages": [
                {"width": 4, "blocks": 2, "stride": 1},
                {"width": 8, "blocks": 1, "stride": 2},
            ],
            "kernels": [3, 5],
            "expansions": [1, 2],
            "head": 8,
        }
    ),
    "a test",
)
AGGREGATION = {
    "family": "aggregation",
    "name": "links",
    "resolution": 8,
    "in_channels": 1,
    "classes": 3,
    "stages": [{"layers": 3, "growth": 3}, {"layers": 2, "growth": 4}],
    "head": 6,
}
LINKS = space_from_description(AGGREGATION)
FREE = space_from_description({**AGGREGATION, "name": "free", "previous": "free"})
QUERIES = {
    "steps": 6,
    "queries": 8,
    "batch_size": 8,
    "query_batches": 1,
    "candidates": 3,
    "calibration_batches": 1,
    "record_interval": 1,
    "trial": {"epochs": 1, "batch_size": 16},
}
SHORT = {
    "proxyless-g": {
        "warmup_steps": 6,
        "steps": 8,
        "batch_size": 8,
        "architecture_batch_size": 8,
        "score_batches": 2,
        "candidates": 3,
        "calibration_batches": 1,
        "record_interval": 1,
    },
    "proxyless-r": {
        "warmup_steps": 6,
        "steps": 8,
        "batch_size": 8,
        "architecture_batch_size": 8,
        "samples": 3,
        "candidates": 3,
        "calibration_batches": 1,
        "record_interval": 1,
    },
}
FILES = ("result.json", "history.jsonl", "scores.json", "course.bin")
STOPS = [(1,), (6,), (9,), (14,), (16,), (3, 4, 5)]
# What searches links, with each setting that decides how.
LINKED: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("proxyless-g", {"gates": gates}) for gates in ("recompute", "full", "two")),
    *(
        ("proxyless-g", {"mechanism": mechanism, "strength": 0.01})
        for mechanism in ("expected_cost", "add_linear", "mul_log")
    ),
    ("proxyless-r", {}),
    ("proxyless-r", {"reward": "soft"}),
)
# These go on by the same code as one-shot: one stop in each phase is enough for them.
ALIKE = {"evolution", "exact", "local-search", "peer", "surrogate"}


@pytest.fixture(params=list(strategies))
def strategy(request):
    return request.param


@pytest.fixture(autouse=True)
def always_save(monkeypatch):
    original = Journal.save
    monkeypatch.setattr(
        Journal, "save", lambda self, take, force=False: original(self, take, force=True)
    )


def problem(seed=0, quantile=0.4, both=False, space=SPACE):
    generator = torch.Generator().manual_seed(9)
    labels = torch.randint(3, (48,), generator=generator)
    images = torch.randn((48, 1, 8, 8), generator=generator) + labels[:, None, None, None]
    data = TensorData(
        "shifted", 3, (images[:32], labels[:32]), (images[32:], labels[32:]), seed=seed
    )
    device = ExpectedLatency.from_costs(
        space, "phone", lambda ops: [o.traffic_elements / 1e4 for o in ops], network=0.1
    )
    costs = (device, ExpectedLatency.from_macs(space))[: 2 if both else 1]
    bounds = tuple(Bound(c.name, c.quantile(quantile, 500, generator)) for c in costs)
    return Problem(space, costs, bounds, data, seed)


def run(strategy, folder, *, given=None, threads=1, **changes):
    settings = {**SHORT.get(strategy, QUERIES), **changes}
    return search(
        given or problem(),
        strategy,
        settings,
        folder=folder,
        origin="simulated",
        model={"name": "made up"},
        threads=threads,
    )


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("quantile", [0.02, 0.4])
def test_every_candidate_is_within_every_bound(strategy, tmp_path, quantile, both):
    given = problem(quantile=quantile, both=both)
    list(run(strategy, tmp_path, given=given))
    result = read_run(tmp_path).result
    assert result.strategy == strategy
    assert [limit.name for limit in result.limits] == [b.name for b in given.bounds]
    assert space_from_description(result.space) == SPACE
    assert 1 <= len(result.candidates) <= 3
    assert len({c.architecture for c in result.candidates}) == len(result.candidates)
    for candidate in result.candidates:
        network = SPACE.network(candidate.architecture)
        assert (candidate.macs, candidate.params) == (network.macs, network.params)
        assert candidate.accuracy is not None
        assert 0 <= candidate.accuracy <= 1
        for cost, bound, predicted in zip(
            given.costs, given.bounds, candidate.predicted, strict=True
        ):
            assert predicted == cost.of(candidate.architecture) <= bound.limit
    accuracies = [c.accuracy for c in result.candidates if c.accuracy is not None]
    assert accuracies == sorted(accuracies, reverse=True)


def test_steps_count_to_the_total_and_round_trip(strategy, tmp_path):
    steps = list(run(strategy, tmp_path))
    assert [s.step for s in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == steps[-1].total
    for step in steps:
        assert SearchStep.from_json(step.to_json()) == step
        for row, block in zip(step.probabilities, SPACE.blocks, strict=True):
            assert len(row) == len(block.candidates)
            assert sum(row) == pytest.approx(1.0, rel=1e-12)


def test_the_same_seed_gives_the_same_bytes(strategy, tmp_path):
    for name in ("a", "b"):
        list(run(strategy, tmp_path / name))
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    list(run(strategy, tmp_path / "c", given=problem(seed=1)))
    assert (tmp_path / "a" / FILES[1]).read_bytes() != (tmp_path / "c" / FILES[1]).read_bytes()


@pytest.mark.parametrize(
    ("strategy", "stops"),
    [
        (strategy, stops)
        for strategy in strategies
        for stops in (STOPS if strategy not in ALIKE else [(4, 5)])
    ],
)
def test_an_interrupted_search_ends_in_the_same_bytes(strategy, tmp_path, stops):
    list(run(strategy, tmp_path / "whole"))
    for stop in stops:
        part = run(strategy, tmp_path / "parts")
        list(itertools.islice(part, stop))
        part.close()
    list(run(strategy, tmp_path / "parts"))
    for name in FILES:
        whole, parts = tmp_path / "whole" / name, tmp_path / "parts" / name
        assert whole.read_bytes() == parts.read_bytes()
    assert not (tmp_path / "parts" / "checkpoint.safetensors").exists()


def test_a_finished_search_returns_at_once(strategy, tmp_path):
    list(run(strategy, tmp_path))
    before = (tmp_path / "result.json").stat().st_mtime_ns
    assert list(run(strategy, tmp_path)) == []
    assert (tmp_path / "result.json").stat().st_mtime_ns == before


def test_another_search_in_the_same_folder_is_refused(strategy, tmp_path):
    next(run(strategy, tmp_path))
    with pytest.raises(ConfigError, match=r"another seed .*0 there, 1 now"):
        next(run(strategy, tmp_path, given=problem(seed=1)))
    with pytest.raises(ConfigError, match="another bounds"):
        next(run(strategy, tmp_path, given=problem(quantile=0.9)))
    with pytest.raises(ConfigError, match="another settings"):
        next(run(strategy, tmp_path, candidates=1))


def test_an_infeasible_bound_is_refused_before_anything_is_written(strategy, tmp_path):
    given = problem()
    bounds = (Bound("phone", 1e-4),)
    hopeless = Problem(SPACE, given.costs, bounds, given.data, 0)
    with pytest.raises(InfeasibleError):
        next(run(strategy, tmp_path / "run", given=hopeless))
    assert not (tmp_path / "run").exists()


def test_unknown_settings_are_refused(strategy, tmp_path):
    with pytest.raises(ConfigError, match="setps"):
        next(run(strategy, tmp_path, setps=3))


def test_settings_are_complete_in_the_description(strategy):
    described = strategies[strategy].from_settings({}, "test").describe()
    again = strategies[strategy].from_settings(described, "test")
    assert again.describe() == described


def test_threads_are_put_back(strategy, tmp_path):
    before = torch.get_num_threads()
    run_once = run(strategy, tmp_path, threads=2 if before == 1 else 1)
    next(run_once)
    run_once.close()
    assert torch.get_num_threads() == before


def linked(strategy, folder, space=LINKS, **changes):
    """A search of links under bounds on latency, parameters and links together."""
    generator = torch.Generator().manual_seed(4)
    given = problem(space=space)
    costs = (
        # Costs above 1 ms, where every mechanism is defined.
        ExpectedLatency.from_costs(space, "phone", lambda ops: [o.traffic_elements for o in ops]),
        ExpectedLatency.from_params(space),
        ExpectedLatency.from_links(space),
    )
    bounds = tuple(Bound(c.name, c.quantile(0.5, 500, generator)) for c in costs)
    found = replace(given, costs=costs, bounds=bounds)
    if strategy == "proxyless-g":
        changes = {"polish_evaluations": 3, "finalists": 2, **changes}
    return found, run(strategy, folder, given=found, **changes)


@pytest.mark.parametrize(
    ("strategy", "changes", "space"),
    [
        *((strategy, changes, LINKS) for strategy, changes in LINKED),
        ("proxyless-g", {}, FREE),
        ("proxyless-r", {}, FREE),
    ],
)
def test_a_search_of_links_ends_within_every_bound(strategy, tmp_path, changes, space):
    given, steps = linked(strategy, tmp_path, space, **changes)
    searched = [step for step in steps if step.phase == "search"]
    assert searched[-1].probabilities != searched[0].probabilities
    result = read_run(tmp_path).result
    assert [limit.name for limit in result.limits] == ["phone", "params", "links"]
    assert space_from_description(result.space) == space
    assert result.candidates
    for candidate in result.candidates:
        network = space.network(candidate.architecture)
        read = sum(o.sources for o in network.operators if isinstance(o, Aggregate))
        assert candidate.predicted[1:] == (network.params, read)
        for cost, bound, predicted in zip(
            given.costs, given.bounds, candidate.predicted, strict=True
        ):
            assert predicted == cost.of(candidate.architecture) <= bound.limit
        assert candidate.accuracy is not None


@pytest.mark.parametrize(("strategy", "changes"), LINKED[::2])
def test_an_interrupted_search_of_links_ends_in_the_same_bytes(strategy, tmp_path, changes):
    list(linked(strategy, tmp_path / "whole", **changes)[1])
    for stop in (3, 6, 5):
        part = linked(strategy, tmp_path / "parts", **changes)[1]
        list(itertools.islice(part, stop))
        part.close()
    list(linked(strategy, tmp_path / "parts", **changes)[1])
    for name in FILES:
        whole, parts = tmp_path / "whole" / name, tmp_path / "parts" / name
        assert whole.read_bytes() == parts.read_bytes()


@pytest.mark.parametrize(
    ("strategy", "changes", "repair"),
    [
        *(
            (name, {}, "use --strategy proxyless-g or proxyless-r")
            for name in strategies
            if name not in dict(LINKED)
        ),
        ("proxyless-g", {"mechanism": "frank_wolfe"}, "use --set mechanism=augmented_lagrangian"),
        ("proxyless-g", {"legacy": True}, "leave it out"),
    ],
)
def test_links_are_refused_with_what_to_use_instead(strategy, tmp_path, changes, repair):
    """In one sentence, before anything is written: the folder is free for another search."""
    with pytest.raises(ConfigError) as error:
        next(linked(strategy, tmp_path, **changes)[1])
    said = str(error.value)
    assert "needs choice blocks, and links has links to choose" in said
    assert repair in said
    assert said.endswith(".")
    assert said.count(". ") == 0
    assert not list(tmp_path.iterdir())
