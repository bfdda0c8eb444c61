"""Ends of ONNX files, outputs, and times."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from elat.core.errors import ArtefactError, ConfigError, MeasurementError
from elat.latency.protocol import SCREEN
from elat.latency.sample import Interval, Sample
from elat.latency.tensorrt.tensors import TensorInfo
from elat.latency.tensorrt.trtexec.model_file import read_ends, read_output
from elat.latency.tensorrt.trtexec.times import read_samples
from elat.latency.tensorrt.trtexec.timing import MOST, is_steady, iterations_for

OUTPUT = TensorInfo("y", (1, 2, 2), "FLOAT", None)


def model(tmp_path, kind=TensorProto.FLOAT, shape=(1, 3)):
    ends = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
    weight = helper.make_tensor("w", kind, (1,), [1.0])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        "g",
        [ends[0], helper.make_tensor_value_info("w", kind, (1,))],
        [ends[1]],
        [weight],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph), str(path))
    return path


@pytest.mark.parametrize(
    ("kind", "name"),
    [(TensorProto.FLOAT, "FLOAT"), (TensorProto.FLOAT16, "HALF"), (TensorProto.BFLOAT16, "BF16")],
)
def test_ends_are_inputs_without_constants_and_the_output(tmp_path, kind, name):
    assert read_ends(model(tmp_path, kind)) == (
        TensorInfo("x", (1, 3), name, None),
        TensorInfo("y", (1, 3), name, None),
    )


def test_files_that_cannot_be_fed_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"\(0, 3\), where 0 stands for an open size"):
        read_ends(model(tmp_path, shape=("batch", 3)))
    with pytest.raises(ConfigError, match="holds DOUBLE; elat measures with FLOAT, FLOAT16"):
        read_ends(model(tmp_path, TensorProto.DOUBLE))
    (tmp_path / "no.onnx").write_bytes(b"\xff" * 9)
    with pytest.raises(ArtefactError, match="is no ONNX file"):
        read_ends(tmp_path / "no.onnx")


def written(values, name="y"):
    return json.dumps([{"name": name, "dimensions": "1x2x2", "values": values}]).encode()


def test_outputs_have_the_shape_of_the_file():
    assert read_output(written([1, 2, 3, 4.5]), OUTPUT).tolist() == [[[1, 2], [3, 4.5]]]


def test_outputs_of_int8_are_steps():
    steps = TensorInfo("y", (1, 2, 2), "INT8", 0.5)
    assert read_output(written([-128, 2, 3, 127]), steps).tolist() == [[[-64, 1], [1.5, 63.5]]]


def test_what_is_not_finite_is_read_as_it_is_spelt():
    found = read_output(b'[{"name": "y", "values": [nan, -nan, inf, -inf]}]', OUTPUT).ravel()
    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [np.inf, -np.inf]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[",
        b"{}",
        b"[1]",
        b"null",
        written([1, 2, 3, 4])[:-9],
        written([1, 2, 3, 4], "z"),
        written([1, 2, 3, "four"]),
        written([1, 2, 3]),
        written([[1, 2], [3, 4]]),
        written([]),
    ],
)
def test_outputs_that_cannot_be_read_are_refused(data):
    with pytest.raises(MeasurementError, match="of the output y"):
        read_output(data, OUTPUT)


def times(starts, compute=2.0):
    return json.dumps(
        [
            {
                "startEnqMs": start, "endEnqMs": start + 0.5, "startH2dMs": start,
                "endH2dMs": start, "startComputeMs": start, "endComputeMs": start + compute,
                "startD2hMs": start, "endD2hMs": start + 1, "h2dMs": 0, "computeMs": compute,
                "d2hMs": 1, "latencyMs": compute + 1,
            }
            for start in starts
        ]
    ).encode()  # fmt: skip


def test_samples_after_the_warm_up():
    expected = (Sample(1, 2_000_000, 500_000, 0),) * 2
    assert read_samples(times([100, 200, 300]), Interval.DEVICE_COMPUTE, 200) == expected
    (sample,) = read_samples(times([0]), Interval.TRANSFERS_AND_COMPUTE, 0)
    assert sample.wall_ms == 3.0


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (times([1])[:-5], "no readable times"),
        (b"[]", "no readable times"),
        (b'[{"endMs": 1}]', "no known version"),
        (times([1, 2]), "All 2 inferences of trtexec began in the 200 ms"),
        (times([300], 0), "no time at all"),
    ],
)
def test_times_that_tell_nothing_are_refused(data, words):
    with pytest.raises(MeasurementError, match=words):
        read_samples(data, Interval.DEVICE_COMPUTE, 200)


def test_a_launch_lasts_as_long_as_its_slices():
    budget_ms = SCREEN.passes * SCREEN.slice_ms
    assert iterations_for(0.1, 1, SCREEN) == round(budget_ms / 0.1)
    assert iterations_for(0.1, 3, SCREEN) == round(3 * budget_ms / 0.1)
    assert iterations_for(1e3, 1, SCREEN) == SCREEN.passes
    assert iterations_for(1e-6, 1, SCREEN) == MOST


@pytest.mark.parametrize(
    ("early", "late", "is_it"), [(100, 101, True), (101, 100, True), (100, 103, False)]
)
def test_a_launch_is_warm_whose_halves_agree(early, late, is_it):
    samples = [Sample(1, ns, 0, 0) for ns in [early] * 5 + [late] * 5]
    assert is_steady(samples, 0.02) is is_it


def test_a_single_inference_tells_of_no_warmth():
    assert not is_steady([Sample(1, 5, 0, 0)], 0.02)
