"""The pieces that join measuring, searching and data."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from elat.core.errors import ArtefactError, ConfigError, InfeasibleError, MissingLatencyError
from elat.flows.calibrate import calibrate, measure_networks, measured_networks, sample_networks
from elat.flows.fitting import find_latency, fit_space
from elat.flows.images import VALIDATION_SHARE, open_data, split_data
from elat.flows.measuring import spelled
from elat.flows.searching import latency_quantile, run_search
from elat.latency.models.folder import read_model, write_calibration
from elat.latency.network import calibrate as fit_calibration
from elat.search.expected_latency import ExpectedLatency
from elat.search.picked_bound import picked_bound
from elat.search.result import SearchResult
from elat.search.spaces import find_space


@pytest.fixture
def model(lab, campaign, tmp_path):
    """A ridge model of the lab's table, in a folder of its own."""
    return fit_space(campaign.store, lab.device, lab.space, "ridge", tmp_path / "model", 0)


def test_sampled_networks_are_distinct_and_fixed_by_the_seed(lab):
    first = sample_networks(lab.space, 20, seed=3)
    assert len(set(first)) == 20
    assert sample_networks(lab.space, 20, seed=3) == first
    assert sample_networks(lab.space, 20, seed=4) != first
    small = find_space(
        str(lab.folder / "tiny.yaml"), ("stages=[{width: 4, blocks: 1, stride: 1}]",)
    )
    assert len(sample_networks(small, 10**6, seed=0)) == small.size


def test_a_calibrated_model_predicts_whole_networks(lab, campaign, model):
    sampled = sample_networks(lab.space, 8, seed=17)
    assert measured_networks(campaign, lab.space, sampled) == ()
    list(measure_networks(campaign, lab.space, sampled))
    measured = measured_networks(campaign, lab.space, sampled)
    assert [m.architecture for m in measured] == list(sampled)
    calibrated = calibrate(model, "toy", lab.space, measured)
    assert calibrated.calibration is not None
    assert calibrated.folder is not None
    again = read_model(calibrated.folder)
    assert again.calibration == calibrated.calibration
    for network in measured:
        predicted = again.network.predict(lab.space.operators(network.architecture)).latency_ms
        assert predicted == pytest.approx(network.measurement.latency_ms, rel=0.1)
    with pytest.raises(ArtefactError, match="of device toy, not local-ort"):
        calibrate(model, "local-ort", lab.space, measured)


def test_the_newest_model_of_the_device_and_space_is_found(lab, campaign, tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    with pytest.raises(MissingLatencyError, match=r"elat fit --device toy --space tiny\.yaml"):
        find_latency(None, "toy", lab.space)
    fit_space(campaign.store, lab.device, lab.space, "ridge", None, 0)
    newest = fit_space(campaign.store, lab.device, lab.space, "lookup", None, 0)
    found = find_latency(None, "toy", lab.space)
    assert (found.name, found.sha256) == ("lookup", newest.sha256)
    with pytest.raises(MissingLatencyError):
        find_latency(None, "toy", find_space("proxyless-tiny"))


def test_spaces_are_spelled_as_the_command_line_takes_them(lab):
    assert spelled(find_space("proxyless-tiny")) == "proxyless-tiny"
    assert spelled(lab.space) == "tiny.yaml"


def test_quantiles_of_the_latency_rise_within_its_range(lab):
    model = find_latency(lab.scaled(1.0), "toy", lab.space)
    cost = ExpectedLatency.from_network_latency(lab.space, "toy", model.network)
    found = [latency_quantile(cost, q) for q in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert found == sorted(found)
    assert cost.of(cost.fastest()) <= found[0]
    assert found[-1] <= cost.of(cost.slowest()) * (1 + 1e-12)
    assert latency_quantile(cost, 0.5) == found[2]
    sampled = sample_networks(lab.space, 2000, seed=9)
    share = sum(cost.of(a) <= found[2] for a in sampled) / len(sampled)
    assert share == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / len(sampled)))


def test_a_bound_is_resolved_before_anything_is_written(lab, tmp_path):
    order = lab.order(lab.scaled(1.0), tmp_path / "run")
    started = run_search(order)
    assert len(started.models) == 1
    assert [bound.name for bound in started.bounds] == ["toy"]
    assert not (tmp_path / "run").exists()
    with pytest.raises(InfeasibleError, match="the fastest takes"):
        run_search(replace(order, bound_quantile=(), bound_ms=(1e-9,)))
    with pytest.raises(ConfigError, match="--device"):
        run_search(replace(order, devices=()))
    with pytest.raises(ConfigError, match="needs a bound"):
        run_search(replace(order, bound_quantile=None))


def test_a_bound_can_be_asked_of_the_device_and_not_of_the_prediction(lab, model, tmp_path):
    loaded = model
    order = replace(
        lab.order(model.folder, tmp_path / "run"),
        bound_quantile=(),
        bound_level=0.9,
        bound_ms=(1.0,),
    )
    with pytest.raises(MissingLatencyError, match="elat calibrate --device toy"):
        run_search(order)
    networks = [lab.space.operators(a) for a in sample_networks(lab.space, 24, seed=3)]
    sums = [p.latency_ms for p in loaded.network.predict_many(networks)]
    noise = np.exp(np.random.default_rng(0).normal(0, 0.05, len(sums)))
    calibration = fit_calibration(
        loaded.model, networks, [s * e for s, e in zip(sums, noise, strict=True)]
    )
    known = write_calibration(loaded, calibration)
    cost = ExpectedLatency.from_network_latency(lab.space, "toy", known.network)
    held = latency_quantile(cost, 0.6)
    *_, result = run_search(replace(order, bound_ms=(held,))).steps
    assert isinstance(result, SearchResult)
    (limit,) = result.limits
    assert (limit.held, limit.level) == (held, 0.9)
    assert limit.limit == picked_bound(cost, held, 0.9).limit < held
    assert all(candidate.predicted[0] <= limit.limit for candidate in result.candidates)
    best = known.network.predict(lab.space.operators(result.best.architecture))
    assert best.upper_of_pick(0.9) <= held * (1 + 1e-12)
    assert best.macs == result.best.macs
    upper = cost.upper(result.best.architecture, 0.9)
    assert upper == pytest.approx(best.upper(0.9), rel=1e-12)
    upper = cost.upper_of_pick(result.best.architecture, 0.9)
    assert upper == pytest.approx(best.upper_of_pick(0.9), rel=1e-12)
    plain = ExpectedLatency.from_network_latency(lab.space, "toy", loaded.network)
    with pytest.raises(MissingLatencyError, match="elat calibrate"):
        plain.upper(result.best.architecture, 0.9)
    with pytest.raises(ConfigError, match="takes 99"):
        run_search(replace(order, bound_level=0.99, out=tmp_path / "other"))
    with pytest.raises(InfeasibleError, match=r"at level 0\.9"):
        least = cost.of(cost.fastest())
        run_search(replace(order, bound_ms=(1.001 * least,), out=tmp_path / "other"))
    with pytest.raises(ConfigError, match="--bound-level is about a latency bound"):
        macs = replace(order, devices=(), latency=(), bound_ms=(), bound_macs=1e9)
        run_search(replace(macs, out=tmp_path / "other"))


def test_latency_and_macs_can_be_bounded_together(lab, tmp_path):
    order = replace(lab.order(lab.scaled(1.0), tmp_path / "run"), bound_macs=80_000.0)
    *_, result = run_search(order).steps
    assert isinstance(result, SearchResult)
    assert [limit.name for limit in result.limits] == ["toy", "macs"]
    for candidate in result.candidates:
        assert candidate.macs <= 80_000
        assert candidate.predicted[0] <= result.limits[0].limit


def test_a_fifth_of_every_class_is_held_out(lab):
    data = open_data("digits", lab.space)
    assert (data.channels, data.resolution) == (1, 8)
    split = split_data(data, seed=1)
    assert not set(split.train) & set(split.validation)
    assert len(split.train) + len(split.validation) == len(data.train)
    held = Counter(data.train.labels[np.asarray(split.validation)].tolist())
    whole = Counter(data.train.labels.tolist())
    for label, count in whole.items():
        assert held[label] == pytest.approx(VALIDATION_SHARE * count, abs=1)
    assert (split_data(data, seed=1).train == split.train).all()
    assert not np.array_equal(split_data(data, seed=2).train, split.train)
