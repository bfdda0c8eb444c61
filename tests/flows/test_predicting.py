"""Model files predicted by the toy device's models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from elat.core.errors import ArtefactError, ConfigError, MissingLatencyError
from elat.flows.calibrate import sample_networks
from elat.flows.fitting import fit_space
from elat.flows.predicting import predict_file
from elat.latency.artefacts import export
from elat.latency.models.evaluate import held_out
from elat.latency.models.folder import write_calibration, write_model
from elat.latency.models.ridge import Ridge
from elat.latency.network import calibrate
from elat.latency.operators.chain import Chain
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.precision import Precision


@pytest.fixture
def model(lab, campaign, tmp_path):
    return fit_space(campaign.store, lab.device, lab.space, "ridge", tmp_path / "model", 0)


@pytest.fixture
def file(lab, tmp_path):
    """A network of the space as an ONNX file, and its operators."""
    architecture = lab.space.sample(torch.Generator().manual_seed(1))
    network = lab.space.network(architecture)
    path = tmp_path / "network.onnx"
    path.write_bytes(export(network, network.build().eval(), "onnxruntime"))
    return path, [o for o in lab.space.operators(architecture) if not o.is_free]


def test_a_file_takes_what_its_operators_take(lab, model, file):
    path, operators = file
    found = predict_file(path, lab.device, model.folder, 0.8)
    single = model.model.predict(operators)
    assert found.latency_ms == found.sum_ms == pytest.approx(float(single.latency_ms.sum()))
    assert found.calibration is None
    assert found.origin == "simulated"
    assert found.macs == sum(operator.macs for operator in operators)
    assert sum(row.count for row in found.operators) == len(operators)
    assert sum(row.share for row in found.operators) == pytest.approx(1.0)
    times = [row.latency_ms for row in found.operators]
    assert times == sorted(times, reverse=True)
    assert found.covered + len(found.free) == found.nodes
    for row in found.operators:
        assert row.low_ms < row.latency_ms < row.high_ms
    # As wide as if all erred alike at most, and as if all erred apart at least.
    _, high = single.interval(0.8)
    assert found.high_ms <= float(high.sum()) + 1e-12
    apart = float(np.sqrt(np.square(high - single.latency_ms).sum()))
    assert found.high_ms >= found.latency_ms + apart - 1e-12
    assert 0 <= found.low_ms < found.latency_ms


def test_a_tflite_file_is_predicted_as_the_onnx_file_of_the_same_network(lab, model, file):
    path, _ = file
    network = lab.space.network(lab.space.sample(torch.Generator().manual_seed(1)))
    other = path.with_suffix(".tflite")
    other.write_bytes(export(network, network.build().eval(), "tflite"))
    found, expected = (predict_file(p, lab.device, model.folder, 0.8) for p in (other, path))
    assert found.latency_ms == pytest.approx(expected.latency_ms, rel=1e-12)
    assert [row.operator for row in found.operators] == [
        row.operator for row in expected.operators
    ]


def test_operators_outside_what_was_learnt_are_named(lab, model, file, tmp_path):
    path, operators = file
    assert predict_file(path, lab.device, model.folder, 0.9).beyond == ()
    widest = max(operators, key=lambda o: o.macs if isinstance(o, MBConv) else 0)
    wider = replace(widest, in_channels=512, out_channels=512)
    chain = Chain((wider,))
    odd = tmp_path / "odd.onnx"
    odd.write_bytes(export(chain, chain.build().eval(), "onnxruntime"))
    found = predict_file(odd, lab.device, model.folder, 0.9)
    (row,) = found.beyond
    assert row.operator == str(wider)
    most = max(o.in_channels for o in model.table if isinstance(o, MBConv))
    excess = next(e for e in row.beyond if e.name == "in_channels")
    assert excess.value == 512
    assert excess.high is not None
    assert excess.high <= most


def test_a_calibrated_model_predicts_the_whole(lab, model, file):
    path, operators = file
    networks = [lab.space.operators(a) for a in sample_networks(lab.space, 24, seed=3)]
    sums = [p.latency_ms for p in model.network.predict_many(networks)]
    noise = np.exp(np.random.default_rng(0).normal(0, 0.02, len(sums)))
    measured = [1.5 * s * e for s, e in zip(sums, noise, strict=True)]
    known = write_calibration(model, calibrate(model.model, networks, measured))
    found = predict_file(path, lab.device, model.folder, 0.9)
    assert found.latency_ms == pytest.approx(1.5 * found.sum_ms, rel=0.1)
    assert (found.low_ms, found.high_ms) == known.network.predict(operators).interval(0.9)


def test_a_device_without_a_model_that_can_answer_is_refused_with_the_commands(
    lab, model, file, tmp_path, monkeypatch
):
    path, _ = file
    odd = tmp_path / "odd.onnx"
    layer = Chain((Linear(64, 10), Linear(10, 64)))
    odd.write_bytes(export(layer, layer.build().eval(), "onnxruntime"))
    table = model.table.only([o for o in model.table if not isinstance(o, Linear)])
    write_model(tmp_path / "part", "ridge", table, 0, held_out(table, Ridge, folds=2, seed=0))
    with pytest.raises(MissingLatencyError, match=r"None of 1 answers .*elat fit --device toy"):
        predict_file(odd, lab.device, tmp_path / "part", 0.9)
    home = tmp_path / "empty"
    home.mkdir()
    monkeypatch.setenv("ELAT_HOME", str(home))
    with pytest.raises(MissingLatencyError, match=r"There is none.*--generate 300"):
        predict_file(path, lab.device, None, 0.9)
    with pytest.raises(ArtefactError):
        predict_file(tmp_path / "missing.onnx", lab.device, model.folder, 0.9)
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        predict_file(path, lab.device, model.folder, 1.5)


def test_another_precision_is_refused(lab, model, tmp_path):
    network = lab.space.network(lab.space.sample(torch.Generator().manual_seed(1)))
    given = (np.zeros((1, *network.input_shapes[0]), np.float32),)
    path = tmp_path / "int8.onnx"
    path.write_bytes(
        export(
            network, network.build().eval(), "onnxruntime",
            precision=Precision.INT8, calibration=[given],
        )
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"int8 model.*fp32"):
        predict_file(path, lab.device, model.folder, 0.9)
