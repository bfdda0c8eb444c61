import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from elat.core.errors import (
    ArtefactError,
    ConfigError,
    UnsupportedOperatorError,
    WrongOutputError,
)
from elat.core.seeding import torch_generator
from elat.latency.artefacts import (
    ARRAYS,
    DESCRIPTION,
    ArtefactCache,
    export,
    read_artefact,
    snr_db,
)
from elat.latency.condition import Condition, Method, Precision
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.weights import initialise, randomise_statistics
from elat.latency.operators.zero import Zero
from elat.latency.runtimes import runtimes

OPERATOR = Conv(3, 8, 8, 3)
NETWORK = Chain((Conv(3, 8, 8, 3, 2), MBConv(8, 8, 4, 3), GlobalPool(8, 4), Linear(8, 4)))
CONDITION = Condition("x", "simulated", "", Precision.FP32, 1, 1, Method.BLOCK, ())
INT8 = replace(CONDITION, precision=Precision.INT8)


@pytest.fixture
def cache(tmp_path):
    return ArtefactCache(tmp_path / "artefacts")


def test_the_second_call_reads_what_the_first_wrote(cache):
    first, second = (cache.artefact(OPERATOR, CONDITION) for _ in range(2))
    assert first.folder == second.folder
    assert first.build_ms == second.build_ms
    assert first.sha256 == second.sha256
    np.testing.assert_array_equal(first.expected, second.expected)


def test_what_decides_the_file_decides_the_folder_and_nothing_else(cache):
    base = cache.artefact(OPERATOR, CONDITION).folder
    assert cache.artefact(OPERATOR, replace(CONDITION, threads=2, device="y")).folder == base
    others = (
        cache.artefact(replace(OPERATOR, kernel=5), CONDITION),
        cache.artefact(OPERATOR, INT8),
        cache.artefact(OPERATOR, replace(CONDITION, batch=2)),
        cache.artefact(OPERATOR, replace(CONDITION, runtime="onnxruntime")),
    )
    assert len({base, *(artefact.folder for artefact in others)}) == 5


@pytest.mark.parametrize("name", [DESCRIPTION, ARRAYS, "model.sim.json"])
@pytest.mark.parametrize("damage", ["truncate", "change", "delete"])
def test_a_damaged_artefact_is_refused_and_rebuilt(cache, name, damage):
    before = cache.artefact(OPERATOR, CONDITION)
    path = before.folder / name
    data = path.read_bytes()
    if damage == "delete":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(data[: len(data) // 2])
    elif name == DESCRIPTION:
        path.write_bytes(data.replace(before.sha256[:8].encode(), b"00000000"))
    else:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtefactError):
        read_artefact(before.folder)
    after = cache.artefact(OPERATOR, CONDITION)
    assert after.sha256 == before.sha256
    np.testing.assert_array_equal(after.expected, before.expected)


def test_nothing_half_made_is_left(cache, monkeypatch):
    def refuse(self, graph, precision, quantisation=None):
        raise UnsupportedOperatorError("no kernel")

    monkeypatch.setattr(runtimes["simulated"], "write", refuse)
    with pytest.raises(UnsupportedOperatorError):
        cache.artefact(OPERATOR, CONDITION)
    folder = cache.artefact(NETWORK, replace(CONDITION, runtime="onnxruntime")).folder
    assert list(folder.parent.iterdir()) == [folder]


def test_reading_needs_no_torch(cache):
    folder = cache.artefact(OPERATOR, CONDITION).folder
    program = (
        "import sys; from pathlib import Path; from elat.latency.artefacts import read_artefact;"
        f"a = read_artefact(Path({str(folder)!r})); a.check(a.expected);"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-P", "-c", program], check=True)


def test_the_expected_output_is_that_of_the_module(cache):
    artefact = cache.artefact(NETWORK, CONDITION)
    assert artefact.expected.std() > 0.01
    assert artefact.macs == NETWORK.macs
    assert artefact.params == NETWORK.params


def test_a_wrong_output_is_refused(cache):
    artefact = cache.artefact(OPERATOR, CONDITION)
    assert artefact.max_error is not None
    assert artefact.check(artefact.expected + np.float32(artefact.max_error / 2)) > 0
    with pytest.raises(WrongOutputError, match="differs from torch"):
        artefact.check(artefact.expected + np.float32(2 * artefact.max_error))
    with pytest.raises(WrongOutputError, match="torch gives"):
        artefact.check(artefact.expected[:, :1])
    with pytest.raises(WrongOutputError, match="not finite"):
        artefact.check(artefact.expected * np.float32(np.nan))


def test_int8_is_held_to_a_signal_to_noise_ratio(cache):
    artefact = cache.artefact(OPERATOR, INT8)
    noise = np.random.default_rng(0).standard_normal(artefact.expected.shape)
    noise *= np.linalg.norm(artefact.expected) / np.linalg.norm(noise)
    quiet, loud = (artefact.expected + noise * 10 ** (-db / 20) for db in (20, 10))
    assert snr_db(artefact.expected, quiet) == pytest.approx(20)
    assert artefact.check(quiet.astype(np.float32)) > 0
    with pytest.raises(WrongOutputError, match=r"10\.0 dB"):
        artefact.check(loud.astype(np.float32))


def test_a_free_operator_has_no_artefact(cache):
    with pytest.raises(UnsupportedOperatorError, match="0 by definition"):
        cache.artefact(Zero(8, 4), CONDITION)


@pytest.mark.parametrize("runtime_name", ["onnxruntime", "tflite"])
@pytest.mark.parametrize("precision", Precision)
def test_a_trained_module_exports(runtime_name, precision, tmp_path):
    runtime = runtimes[runtime_name]()
    if reason := runtime.unavailable_reason():
        pytest.skip(reason)
    module = NETWORK.build().eval()
    initialise(module, torch_generator(1, "weights"))
    randomise_statistics(module, torch_generator(1, "statistics"))
    random = np.random.default_rng(0)
    samples = [(random.standard_normal((2, 3, 8, 8)).astype(np.float32),) for _ in range(4)]
    data = export(NETWORK, module, runtime_name, precision=precision, calibration=samples, batch=2)
    path = tmp_path / f"model{runtime.suffix}"
    path.write_bytes(data)
    condition = Condition("x", runtime_name, "", precision, 2, 1, Method.BLOCK, ())
    with torch.no_grad():
        expected = module(torch.from_numpy(samples[0][0])).numpy()
    with runtime.open(path, samples[0], condition) as session:
        assert snr_db(expected, session.output()) > (100 if precision == "fp32" else 20)


def test_an_int8_export_needs_calibration():
    with pytest.raises(ConfigError, match="calibration"):
        export(OPERATOR, OPERATOR.build(), "onnxruntime", precision=Precision.INT8)
