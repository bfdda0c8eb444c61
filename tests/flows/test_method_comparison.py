"""All methods on a simulated device, whose latencies add up but for the call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from elat.devices.device import find_device
from elat.flows.measuring import Campaign, default_cache, subjects_of
from elat.flows.method_comparison import Comparison, write_comparison
from elat.latency.condition import Method
from elat.latency.methods import METHODS
from elat.latency.methods.isolated import primitives
from elat.latency.store import open_store
from elat.reports.method_comparison import MethodComparison, read_method_comparison
from elat.search.spaces import find_space

from .conftest import QUICK

CARD = """
schema: 1
id: exact
kind: simulated
runtime:
  name: simulated
  method: in_situ
  options: {call_us: 5.0, launch_noise: 0.0, sample_noise: 0.0}
"""
SPACE = """
family: mbconv-chain
resolution: 8
in_channels: 1
classes: 4
stem: {width: 8, stride: 1}
first: 8
stages:
  - {width: 8, blocks: 2, stride: 1}
  - {width: 12, blocks: 1, stride: 2}
kernels: [3, 5]
expansions: [1, 3]
head: 8
"""
CALL_MS = 0.005


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compared")


@pytest.fixture(scope="module")
def comparison(folder: Path) -> Iterator[Comparison]:
    (folder / "exact.yaml").write_text(CARD)
    (folder / "small.yaml").write_text(SPACE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELAT_HOME", str(folder))
        with open_store(folder / "store.db") as store:
            device = find_device(str(folder / "exact.yaml"))
            campaign = Campaign(device, QUICK, store, default_cache(), 3)
            made = Comparison.of(campaign, find_space(str(folder / "small.yaml")), 8)
            for step in made.measure():
                assert step.failure is None
            yield made


@pytest.fixture(scope="module")
def result(comparison: Comparison, folder: Path) -> MethodComparison:
    return write_comparison(folder, comparison)


def test_methods_that_profile_are_left_out_with_the_reason(comparison, result):
    assert comparison.left_out is not None
    assert "simulated" in comparison.left_out
    methods = [mark.method for mark in result.marks]
    assert methods == [Method.BLOCK, Method.ISOLATED, Method.SLOPE, Method.IN_SITU]
    assert comparison.profiled == ()


def test_alone_operators_pay_the_call_each(comparison, result):
    """So does each primitive of `isolated`; copies side by side pay none."""
    parts = [comparison.space.operators(a) for a in comparison.networks]
    block, isolated, slope, _ = result.marks
    for network, part, alone, apart, copy in zip(
        result.networks, parts, block.sums_ms, isolated.sums_ms, slope.sums_ms, strict=True
    ):
        nodes_ms = network.measured_ms - CALL_MS
        assert alone == pytest.approx(nodes_ms + CALL_MS * len(part), rel=1e-4)
        count = sum(len(tuple(primitives(operator))) for operator in part)
        assert apart == pytest.approx(nodes_ms + CALL_MS * count, rel=1e-4)
        assert copy == pytest.approx(nodes_ms, rel=2e-3)


def test_without_noise_calibration_leaves_next_to_nothing(result):
    by_method = {mark.method: mark for mark in result.marks}
    assert by_method[Method.SLOPE].calibrated < 1e-3
    assert by_method[Method.IN_SITU].calibrated < 1e-3
    for method in (Method.SLOPE, Method.IN_SITU):
        assert result.errors(by_method[method]).spearman == pytest.approx(1.0)


def test_every_operator_has_a_latency_and_what_it_cost(comparison, result):
    for mark in result.marks:
        assert mark.missing == ()
        assert mark.operators == len(comparison.subjects.busy)
        assert mark.cases == len(METHODS[mark.method].cases(comparison.subjects))
        assert mark.busy_s > 0
    assert result.marks[0].busy_s < result.marks[1].busy_s, "more models take more time"


def test_all_methods_share_the_rounds(comparison):
    """Machine speed cancels only if the launches of all methods come from the same workers."""
    measured = comparison.campaign.store.measurements(comparison.campaign.condition.of_models)
    groups = {m.launches[0].worker for m in measured}
    assert len(measured) == len(comparison.cases)
    assert len(groups) == -(-len(comparison.cases) // QUICK.group_size)


def test_nothing_is_measured_twice(comparison):
    assert list(comparison.measure()) == []


def test_the_file_is_read_back(result, folder):
    assert read_method_comparison(folder) == result


def test_the_estimate_grows_with_the_protocol(comparison):
    careful = replace(comparison.campaign.protocol, min_launches=5, max_launches=5, looks=(5,))
    campaign = replace(comparison.campaign, protocol=careful)
    assert replace(comparison, campaign=campaign).estimated_s > comparison.estimated_s > 0


def test_sampled_networks_hold_every_operator_often_enough():
    space = find_space("proxyless-tiny")
    subjects = subjects_of(space, Method.SAMPLED, 0)
    assert 24 <= len(subjects.networks) < 96
    for operator in space.all_operators():
        assert sum(network.operators.count(operator) for network in subjects.networks) >= 3
    assert subjects == subjects_of(space, Method.SAMPLED, 0)
    assert subjects != subjects_of(space, Method.SAMPLED, 1)
    assert subjects_of(space, Method.BLOCK, 0).networks == ()
