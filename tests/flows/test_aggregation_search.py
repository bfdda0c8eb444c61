"""Spaces of links from the measurement of their layers to a certified network."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from elat.core.errors import ConfigError, InfeasibleError
from elat.flows.calibrate import sample_networks
from elat.flows.measured_latency import measured_latency
from elat.flows.measuring import Campaign, measure_cases, measure_space, space_table
from elat.flows.searching import SearchOrder, run_search
from elat.flows.verify import VerifyOrder, verify_run
from elat.latency.table import LatencyTable, write_table
from elat.search.result import Certificate, SearchResult, read_run
from elat.search.spaces import SearchSpace, find_space

from .test_kill import finish, killed, started

SPACE = """
family: aggregation
resolution: 8
in_channels: 1
classes: 10
stages:
  - {layers: 4, growth: 4}
  - {layers: 3, growth: 6}
head: 8
"""
SHORT = ("warmup_steps=2", "steps=2", "score_batches=2", "candidates=3", "polish_evaluations=2")
KILLS = 3


@dataclass(frozen=True)
class Links:
    """A space of links, measured on the simulated device."""

    file: Path
    space: SearchSpace
    table: LatencyTable
    times: Path

    def order(self, out: Path, **changed: object) -> SearchOrder:
        """A search of a few steps under the median of the space's latency."""
        order = SearchOrder(
            space=str(self.file),
            devices=("toy",),
            latency=(self.times,),
            bound_quantile=(0.5,),
            overrides=SHORT,
            out=out,
        )
        return replace(order, **changed)  # type: ignore[arg-type]


@pytest.fixture
def links(lab, campaign: Campaign, tmp_path: Path) -> Links:
    file = tmp_path / "links.yaml"
    file.write_text(SPACE)
    space = find_space(str(file))
    for step in measure_space(campaign, space):
        assert step.failure is None
    table = space_table(campaign.store, lab.device, space)
    times = tmp_path / "times.yaml"
    write_table(table, times)
    return Links(file, space, table, times)


def searched(order: SearchOrder) -> SearchResult:
    *_, result = run_search(order).steps
    assert isinstance(result, SearchResult)
    return result


def test_measured_layers_add_up_to_networks_of_any_links(links, campaign: Campaign):
    assert set(links.table.entries) == set(links.space.all_operators())
    sampled = sample_networks(links.space, 4, seed=1)
    list(measure_cases(campaign, tuple(map(links.space.network, sampled))))
    for architecture in sampled:
        found = measured_latency(campaign, links.space, architecture)
        total = sum(links.table[operator] for operator in links.space.operators(architecture))
        assert found.latency_ms == pytest.approx(total, rel=0.01)


@pytest.mark.parametrize("strategy", ["proxyless-g", "proxyless-r"])
def test_a_search_of_links_ends_within_the_bounds_and_is_certified(links, tmp_path, strategy):
    """On latency, parameters and links together; the network found is measured."""
    out = tmp_path / "run"
    overrides = SHORT if strategy == "proxyless-g" else ("warmup_steps=2", "steps=4")
    order = links.order(
        out, strategy=strategy, bound_params=4_000.0, bound_links=24.0, overrides=overrides
    )
    result = searched(order)
    assert [limit.name for limit in result.limits] == ["toy", "params", "links"]
    assert result.candidates
    for candidate in result.candidates:
        network = links.space.network(candidate.architecture)
        assert network.params == candidate.predicted[1] <= 4_000
        assert candidate.predicted[2] <= 24
        assert candidate.predicted[0] <= result.limits[0].limit
    verify = VerifyOrder(
        folder=out, device=None, also=(), latency=(links.times,), store=None, protocol="screen",
        seed=0,
    )  # fmt: skip
    *_, certificate = verify_run(verify)
    assert isinstance(certificate, Certificate)
    assert certificate.is_met
    assert certificate.measured[0].high_ms <= result.limits[0].limit
    assert links.space.fault(certificate.architecture.choices) is None
    assert (out / "network.onnx").exists()


def test_a_finished_search_of_links_is_not_searched_again(links, tmp_path):
    result = searched(links.order(tmp_path / "run"))
    before = (tmp_path / "run" / "result.json").read_bytes()
    assert searched(links.order(tmp_path / "run")) == result == read_run(tmp_path / "run").result
    assert (tmp_path / "run" / "result.json").read_bytes() == before


def test_too_few_links_are_refused_ahead_of_the_search(links, tmp_path):
    order = links.order(tmp_path / "run", bound_links=8.0)
    with pytest.raises(InfeasibleError, match=r"8 links .*Ask for at least 9 links"):
        run_search(order)
    blocks = links.order(tmp_path / "run", space="proxyless-tiny", bound_links=8.0)
    with pytest.raises(ConfigError, match="no links to bound"):
        run_search(replace(blocks, devices=(), latency=(), bound_quantile=()))
    assert not (tmp_path / "run").exists()


@pytest.fixture
def forty(lab, campaign: Campaign, tmp_path: Path) -> Iterator[Path]:
    """The latencies of aggregation-40 on the simulated device."""
    space = find_space("aggregation-40")
    for step in measure_space(campaign, space):
        assert step.failure is None
    path = tmp_path / "forty.yaml"
    write_table(space_table(campaign.store, lab.device, space), path)
    yield path


@pytest.mark.slow
def test_a_search_of_forty_layers_that_is_killed_ends_in_the_same_bytes(lab, forty, tmp_path):
    def command(name: str) -> tuple[object, ...]:
        settings = (
            "warmup_steps=6", "steps=10", "batch_size=16", "architecture_batch_size=16",
            "score_batches=2", "candidates=2", "polish_evaluations=1", "finalists=1",
            "calibration_batches=2", "final_calibration_batches=2",
        )  # fmt: skip
        return (
            "search", "--space", "aggregation-40", "--device", "toy", "--latency", forty,
            "--bound-quantile", 0.3, "--out", tmp_path / name,
            *(word for setting in settings for word in ("--set", setting)),
        )  # fmt: skip

    finish(started(lab.home, *command("whole")))
    chance = random.Random(22)
    for _ in range(KILLS):
        process = started(lab.home, *command("killed"))
        killed(process, chance, 2.0, tmp_path / "killed" / "checkpoint.safetensors")
    finish(started(lab.home, *command("killed")))
    for name in ("result.json", "history.jsonl", "scores.json"):
        whole, resumed = tmp_path / "whole" / name, tmp_path / "killed" / name
        assert whole.read_bytes() == resumed.read_bytes(), name
    result = read_run(tmp_path / "killed").result
    for candidate in result.candidates:
        assert candidate.predicted[0] <= result.limits[0].limit
