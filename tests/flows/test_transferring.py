"""A second toy device, known from the first and a few operators of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from elat.core.errors import ConfigError, MissingLatencyError, MissingOperatorError
from elat.devices.device import find_device
from elat.flows.fitting import find_latency, fit_space
from elat.flows.measuring import known_entries
from elat.flows.transfer_exam import CHOSEN, SCRATCH, TRANSFERRED, examine_transfer
from elat.flows.transferring import choose_samples, measure_samples, source_models, transfer
from elat.latency.condition import Condition
from elat.latency.entry import Entry
from elat.latency.operators.generate import generate
from elat.latency.table import LatencyTable

from .conftest import CARD


@pytest.fixture
def new(lab, campaign, monkeypatch, tmp_path):
    """A campaign on a device of which nothing is known, in a home of its own."""
    home = tmp_path / "home"
    (home / "devices").mkdir(parents=True)
    for name in ("toy", "twin"):
        (home / "devices" / f"{name}.yaml").write_text(CARD.replace("id: toy", f"id: {name}"))
    monkeypatch.setenv("ELAT_HOME", str(home))
    return replace(campaign, device=find_device("twin"))


def test_a_few_samples_and_a_known_device_make_a_model_of_a_new_one(lab, campaign, new):
    fit_space(campaign.store, lab.device, lab.space, "ridge", None, 0)
    sources = source_models(["toy"], lab.space)
    with pytest.raises(MissingOperatorError, match=r"elat measure --device twin .*--samples"):
        transfer(new, lab.space, sources, None, None)
    list(measure_samples(new, lab.space, sources, 6))
    known = known_entries(new, lab.space)
    assert set(known) >= set(choose_samples(lab.space, sources, 6, new.seed))
    written, model = transfer(new, lab.space, sources, 5, None)
    assert len(written.table) == 5
    assert written.origin == "simulated"
    assert written.condition.device == "twin"
    # The newest model of the device and space, as any other.
    found = find_latency(None, "twin", lab.space)
    assert found.sha256 == written.sha256
    operators = list(lab.table)
    predicted = found.model.predict(operators).latency_ms
    assert predicted.tolist() == model.predict(operators).latency_ms.tolist()
    # Both devices are the same simulation.
    assert np.mean(np.abs(predicted / [lab.table[o] for o in operators] - 1)) < 0.1


def test_devices_without_a_model_and_none_at_all_are_refused(lab, new):
    with pytest.raises(MissingLatencyError, match="no latency model for toy"):
        source_models(["toy"], lab.space)
    for devices in ([], ["toy", "toy"]):
        with pytest.raises(ConfigError, match="each once"):
            source_models(devices, lab.space)


def scaled(device, lab_condition: Condition, factor: float, noise: float) -> LatencyTable:
    operators = generate(120, seed=0, kinds=("mbconv", "conv"))
    random = np.random.default_rng(len(device))
    errors = np.exp(random.normal(0, noise, len(operators)))
    entries = {
        o: Entry(3, factor * (o.macs / 1e6 + o.traffic_elements / 1e6) * float(e), 0.0)
        for o, e in zip(operators, errors, strict=True)
    }
    return LatencyTable(replace(lab_condition, device=device), "simulated", entries)


def test_the_exam_leaves_each_device_out(lab):
    tables = [
        scaled("one", lab.table.condition, 1.0, 0.01),
        scaled("second", lab.table.condition, 2.0, 0.01),
    ]
    exam = examine_transfer(tables, ("mbconv", "conv"), model="ridge", seeds=2)
    assert exam.operators == 120
    assert {row.device for row in exam.rows} == {"one", "second"}
    rows = {(row.device, row.samples, row.way): row for row in exam.rows}
    for device in ("one", "second"):
        for way in (TRANSFERRED, CHOSEN):
            assert rows[device, 10, way].median is not None
            assert rows[device, 10, way].within_10 > 0.8
            assert rows[device, 10, way].within_10 > rows[device, 10, SCRATCH].within_10
    with pytest.raises(ConfigError, match="two devices"):
        examine_transfer(tables[:1], ("mbconv",), model="ridge", seeds=1)
    with pytest.raises(ConfigError, match="0 operators of linear"):
        examine_transfer(tables, ("linear",), model="ridge", seeds=1)
