"""The measured bound holds at the end, whatever the model got wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from elat.core.errors import ArtefactError, ConfigError
from elat.flows.calibrate import sample_networks
from elat.flows.fitting import fit_space
from elat.flows.measured_latency import measured_latency
from elat.flows.measuring import Campaign, measure_cases
from elat.flows.repair import WANTED_SHARE
from elat.flows.searching import run_search
from elat.flows.verify import VerifyOrder, verify_run
from elat.latency.models.folder import write_calibration
from elat.latency.network import calibrate
from elat.search.result import Certificate, SearchResult, read_run


def searched(lab, factor: float, folder: Path) -> tuple[SearchResult, Path]:
    """A search by latencies that are `factor` times too long; its result and the latencies."""
    latency = lab.scaled(factor)
    *_, result = run_search(lab.order(latency, folder)).steps
    assert isinstance(result, SearchResult)
    return result, latency


def verified(folder: Path, latency: Path, **changed) -> Certificate:
    order = VerifyOrder(
        **{
            "folder": folder,
            "device": None,
            "also": (),
            "latency": (latency,),
            "store": None,
            "protocol": "screen",
            "seed": 0,
            **changed,
        }
    )
    *_, certificate = verify_run(order)
    assert isinstance(certificate, Certificate)
    return certificate


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.0, 1.3, 2.0])
def test_the_measured_bound_holds_and_is_used_whatever_the_model_says(lab, tmp_path, factor):
    result, latency = searched(lab, factor, tmp_path / "run")
    certificate = verified(tmp_path / "run", latency)
    (limit,) = result.limits
    (found,) = certificate.measured
    assert (certificate.device, certificate.bound_ms) == ("toy", limit.limit)
    assert certificate.is_met
    assert found.high_ms <= limit.limit
    assert found.origin == "simulated"
    assert read_run(tmp_path / "run").certificate == certificate
    first = certificate.tried[0][1]
    if factor < 0.9:
        assert first.high_ms > limit.limit, "the model promised too much"
    if first.high_ms <= limit.limit and first.latency_ms >= WANTED_SHARE * limit.limit:
        assert certificate.architecture == result.best.architecture
    if any(m.latency_ms >= WANTED_SHARE * limit.limit and m.high_ms <= limit.limit
           for _, m in certificate.tried):  # fmt: skip
        assert certificate.used_share is not None
        assert certificate.used_share >= WANTED_SHARE


def test_the_certificate_says_whether_the_upper_limit_of_the_prediction_was_kept(
    lab, campaign, tmp_path
):
    model = fit_space(campaign.store, lab.device, lab.space, "lookup", tmp_path / "model", 0)
    networks = [lab.space.operators(a) for a in sample_networks(lab.space, 20, seed=3)]
    sums = np.array([p.latency_ms for p in model.network.predict_many(networks)])
    noise = np.exp(np.random.default_rng(0).normal(0, 0.05, len(sums)))
    known = write_calibration(model, calibrate(model.model, networks, list(sums * noise)))
    assert known.folder is not None
    list(run_search(lab.order(known.folder, tmp_path / "run")).steps)
    certificate = verified(tmp_path / "run", known.folder)
    operators = lab.space.operators(certificate.architecture)
    upper = certificate.upper["toy"]
    assert upper.level == 0.95
    assert upper.is_of_pick
    assert upper.limit_ms == known.network.predict(operators).upper_of_pick(0.95)
    assert certificate.unsure == {}
    assert upper.limit_ms > certificate.predicted_ms["toy"]
    assert certificate.is_below("toy") is (certificate.measured[0].latency_ms <= upper.limit_ms)
    assert read_run(tmp_path / "run").certificate == certificate
    cut = replace(certificate, upper={"toy": replace(upper, limit_ms=1e-9)})
    assert cut.is_below("toy") is False
    old = {name: value for name, value in certificate.to_json().items() if name != "upper"}
    assert Certificate.from_json(old).is_below("toy") is None


@pytest.mark.parametrize(
    ("networks", "macs", "reason"),
    [(12, True, "takes 19: elat calibrate --networks 19"), (20, False, "elat calibrate again")],
)
def test_the_certificate_says_why_no_limit_of_a_pick_is_known(
    lab, campaign, tmp_path, networks, macs, reason
):
    model = fit_space(campaign.store, lab.device, lab.space, "lookup", tmp_path / "model", 0)
    drawn = [lab.space.operators(a) for a in sample_networks(lab.space, networks, seed=3)]
    sums = [p.latency_ms for p in model.network.predict_many(drawn)]
    noise = np.exp(np.random.default_rng(0).normal(0, 0.02, len(sums)))
    calibration = calibrate(model.model, drawn, [s * e for s, e in zip(sums, noise, strict=True)])
    if not macs:
        calibration = replace(calibration, macs=(), measured_ms=())
    known = write_calibration(model, calibration)
    assert known.folder is not None
    list(run_search(lab.order(known.folder, tmp_path / "run")).steps)
    certificate = verified(tmp_path / "run", known.folder)
    assert reason in certificate.unsure["toy"]
    # What is known of all networks is still said, and that it is no more than that.
    assert ("toy" in certificate.upper) is (networks == 20)
    assert not any(upper.is_of_pick for upper in certificate.upper.values())
    assert read_run(tmp_path / "run").certificate == certificate


def test_an_unreachable_bound_is_refuted_by_the_fastest_found(lab, tmp_path):
    """The model promises a tenth of the truth: no network holds, and the certificate says so."""
    _, latency = searched(lab, 0.1, tmp_path / "run")
    certificate = verified(tmp_path / "run", latency)
    assert certificate.is_met is False
    assert certificate.bound_ms is not None
    limits = [measured.high_ms for _, measured in certificate.tried]
    assert min(limits) > certificate.bound_ms
    assert certificate.measured[0].high_ms == min(limits)


def test_verifying_again_measures_nothing_and_writes_the_same(lab, tmp_path):
    _, latency = searched(lab, 1.0, tmp_path / "run")
    verified(tmp_path / "run", latency)
    names = ("certificate.json", "network.onnx", "network.tflite")
    before = [(tmp_path / "run" / name).read_bytes() for name in names]
    verified(tmp_path / "run", latency)
    assert [(tmp_path / "run" / name).read_bytes() for name in names] == before


def test_a_search_by_macs_is_measured_where_it_is_asked(lab, tmp_path):
    order = replace(
        lab.order(lab.scaled(1.0), tmp_path / "run"),
        devices=(), latency=(), bound_quantile=(), bound_macs=60_000.0,
    )  # fmt: skip
    *_, result = run_search(order).steps
    assert isinstance(result, SearchResult)
    with pytest.raises(ConfigError, match="--device"):
        verified(tmp_path / "run", lab.scaled(1.0))
    certificate = verified(tmp_path / "run", lab.scaled(1.0), device="toy")
    assert certificate.architecture == result.best.architecture
    assert (certificate.is_met, certificate.bound_ms, certificate.device) == (None, None, None)
    assert [found.device for found in certificate.measured] == ["toy"]


def test_what_was_not_searched_is_not_verified(lab, tmp_path):
    with pytest.raises(ArtefactError, match="elat search"):
        verified(tmp_path / "run", lab.scaled(1.0))


def test_operators_add_up_to_networks_on_a_machine_without_overhead(lab, campaign: Campaign):
    sampled = sample_networks(lab.space, 3, seed=1)
    list(measure_cases(campaign, tuple(map(lab.space.network, sampled))))
    for architecture in sampled:
        found = measured_latency(campaign, lab.space, architecture)
        total = sum(lab.table[operator] for operator in lab.space.operators(architecture))
        assert found.latency_ms == pytest.approx(total, rel=0.01)
