"""Fusion found on a simulated device, whose rules are known, and then used."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from elat.core.errors import ArtefactError, ConfigError
from elat.devices.device import find_device
from elat.flows.fitting import fit_space
from elat.flows.fusing import Detected, FusionOrder, Progress, detect_fusion
from elat.flows.predicting import predict_file
from elat.latency.artefacts import export
from elat.latency.fusion import Verdict, read_rules
from elat.latency.fusion import timing as timing_module
from elat.latency.fusion.decision import Outcome
from elat.latency.fusion.pairs import Pair
from elat.latency.fusion.rules import rules_path, write_rules

# The simulated device pays for every node of a graph; ReLU is part of a layer's.
FUSED, APART = Pair(("linear",), "relu"), Pair(("linear",), "hswish")


@pytest.fixture
def order(lab, monkeypatch):
    quick = replace(
        timing_module.protocol_of(3),
        passes=2, max_passes=2, group_min_ms=0.0, warmup_min_ms=0.1, settle_calls=0,
    )  # fmt: skip
    monkeypatch.setattr("elat.flows.fusing.protocol_of", lambda rounds: quick)
    return FusionOrder(find_device("toy"), rounds=3, pairs=(FUSED, APART))


def test_what_a_device_fuses_is_found_and_kept(lab, order):
    *_, found = all_ = list(detect_fusion(order))
    steps = [step for step in all_ if isinstance(step, Progress)]
    assert isinstance(found, Detected)
    assert [step.done for step in steps] == list(range(1, 7))
    assert {step.total for step in steps} == {6}
    assert [rule.outcome for rule in found.rules.rules] == [Outcome.FUSED, Outcome.APART]
    assert found.unprofiled is not None
    assert "simulated" in found.unprofiled
    assert found.path == lab.home / "fusion" / "toy.json"
    kept = read_rules(found.path)
    assert kept.origin == "simulated"
    assert kept.verdict("linear", "relu") is Verdict.FUSED
    assert kept.verdict("linear", "hswish") is Verdict.APART
    assert kept.rules == found.rules.rules


def test_a_prediction_says_which_rules_it_used(lab, campaign, order, tmp_path):
    model = fit_space(campaign.store, lab.device, lab.space, "ridge", tmp_path / "model", 0)
    network = lab.space.network(lab.space.sample(torch.Generator().manual_seed(1)))
    path = tmp_path / "network.onnx"
    path.write_bytes(export(network, network.build().eval(), "onnxruntime"))
    rules_file = rules_path(lab.home, "toy")
    rules_file.unlink(missing_ok=True)
    assumed = predict_file(path, lab.device, model.folder, 0.9)
    assert assumed.fusion == "assumed; detect them with: elat fusion --device toy"
    *_, found = detect_fusion(order)
    assert isinstance(found, Detected)
    detected = predict_file(path, lab.device, model.folder, 0.9)
    assert detected.fusion.startswith(f"detected ({rules_file}")
    # The blocks of this space were measured whole, so that no rule changes what they take.
    assert detected.latency_ms == assumed.latency_ms
    write_rules(rules_file, replace(found.rules, origin="measured"))
    assert (
        "they are measured, not simulated"
        in predict_file(path, lab.device, model.folder, 0.9).fusion
    )
    rules_file.write_text("{}")
    with pytest.raises(ArtefactError, match="elat fusion"):
        predict_file(path, lab.device, model.folder, 0.9)
    rules_file.unlink()


def test_too_few_rounds_are_refused(order):
    with pytest.raises(ConfigError, match="At least 3 rounds"):
        next(detect_fusion(replace(order, rounds=2)))
    with pytest.raises(ConfigError, match="of 0"):
        next(detect_fusion(replace(order, pairs=())))
