"""Artefacts as the device gets them, against the interpreter and tar of this machine."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ArtefactError, MeasurementError, UnavailableError, WrongOutputError
from elat.latency.benchmark_model import prepared as module
from elat.latency.benchmark_model.carried import Carried, pack
from elat.latency.benchmark_model.prepared import prepare
from elat.latency.runtimes.tflite import load

NAMES = [f"{name} {precision}" for name in ("conv", "add", "concat") for precision in
         ("fp32", "int8")]  # fmt: skip


def interpreter_of(made):
    library = importlib.import_module("ai_edge_litert.interpreter")
    return load(library, made.artefact.model_path, {"xnnpack": True}, 1)


def run(made, inputs):
    """The raw output of the interpreter whose inputs are the bytes `inputs`."""
    interpreter = interpreter_of(made)
    for place, data in zip(interpreter.get_input_details(), inputs, strict=True):
        array = np.frombuffer(data, place["dtype"]).reshape(place["shape"])
        interpreter.set_tensor(place["index"], array)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def inputs_of(made):
    return [made.carried.files[f"input{n}"] for n in range(len(made.artefact.inputs))]


@pytest.mark.parametrize("name", NAMES)
def test_inputs_as_raw_bytes_give_the_output_of_torch(artefacts, name):
    made = prepare(artefacts[name])
    raw = run(made, inputs_of(made)).tobytes()
    assert made.output_bytes == len(raw)
    error = made.check(raw)
    if name.endswith("fp32"):
        assert error < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_int8_inputs_are_quantised_as_the_file_says(artefacts, name):
    """By the affine map of the TFLite quantisation specification, from the artefact's arrays."""
    made = prepare(artefacts[name])
    places = interpreter_of(made).get_input_details()
    for place, array, raw in zip(places, made.artefact.inputs, inputs_of(made), strict=True):
        nhwc = np.moveaxis(array, 1, -1)
        found = np.frombuffer(raw, place["dtype"]).reshape(nhwc.shape)
        if place["dtype"] == np.int8:
            scale, zero = place["quantization"]
            wanted = np.clip(np.round(nhwc / np.float32(scale)) + zero, -128, 127)
            assert np.array_equal(found, wanted)
        else:
            assert np.array_equal(found, nhwc)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_of_another_size_are_refused(artefacts, name):
    made = prepare(artefacts[name])
    raw = run(made, inputs_of(made)).tobytes()
    for bad in (b"", raw[:-1], raw + b"\0", raw * 2):
        with pytest.raises(WrongOutputError, match=f"the model gives {len(raw)}"):
            made.check(bad)


@pytest.mark.parametrize("name", NAMES)
def test_other_values_are_refused(artefacts, name):
    made = prepare(artefacts[name])
    raw = run(made, inputs_of(made))
    with pytest.raises(WrongOutputError):
        made.check(np.roll(raw, 1, axis=-1).tobytes())
    with pytest.raises(WrongOutputError):
        made.check(np.zeros_like(raw).tobytes())


def test_a_single_wrong_number_in_fp32_is_refused(artefacts):
    made = prepare(artefacts["conv fp32"])
    raw = run(made, inputs_of(made)).copy()
    raw.flat[7] += 0.01
    with pytest.raises(WrongOutputError, match=r"differs from torch by 0\.01"):
        made.check(raw.tobytes())


@given(data=st.data())
def test_any_bytes_are_an_error_or_a_difference(artefacts, data):
    made = prepare(artefacts["add int8"])
    size = data.draw(st.sampled_from([made.output_bytes, 5]))
    raw = data.draw(st.binary(min_size=size, max_size=size))
    try:
        assert made.check(raw) >= 0
    except WrongOutputError:
        return


def test_every_input_has_its_name_shape_and_file(artefacts):
    made = prepare(artefacts["concat fp32"])
    folder = f"models/{made.carried.key}"
    assert made.carried.folder == folder
    assert made.carried.flags == (
        "--input_layer=i0,i1,i2",
        "--input_layer_shape=1,5,5,2:1,5,5,3:1,5,5,4",
        f"--input_layer_value_files=i0:{folder}/input0,i1:{folder}/input1,i2:{folder}/input2",
    )
    assert set(made.carried.files) == {"model.tflite", "input0", "input1", "input2"}


def test_the_key_follows_from_all_that_is_brought():
    first = Carried.of(b"model", [b"a", b"b"], [(1,), (1,)])
    assert first == Carried.of(b"model", [b"a", b"b"], [(1,), (1,)])
    others = [
        Carried.of(b"model.", [b"a", b"b"], [(1,), (1,)]),
        Carried.of(b"model", [b"ab", b""], [(1,), (1,)]),
        Carried.of(b"model", [b"b", b"a"], [(1,), (1,)]),
        Carried.of(b"model", [b"a"], [(1,)]),
    ]
    assert len({one.key for one in (first, *others)}) == 5
    assert all(len(one.key) == 32 and int(one.key, 16) for one in others)


def test_artefacts_have_distinct_keys(artefacts):
    keys = {prepare(folder).carried.key for folder in artefacts.values()}
    assert len(keys) == len(artefacts)


def test_tar_of_this_machine_unpacks_what_is_packed(artefacts, tmp_path):
    models = [prepare(artefacts[name]).carried for name in ("conv fp32", "concat int8")]
    pack(models, tmp_path / "models.tar")
    there = tmp_path / "there"
    there.mkdir()
    subprocess.run(["tar", "-xf", "../models.tar"], cwd=there, check=True)
    for model in models:
        found = {path.name: path.read_bytes() for path in (there / model.key).iterdir()}
        assert found == {**model.files, "whole": b""}


def test_what_says_that_a_folder_is_whole_comes_last(tmp_path):
    models = [Carried.of(b"%d" % n, [b"in"], [(2,)]) for n in range(2)]
    pack(models, tmp_path / "models.tar")
    with tarfile.open(tmp_path / "models.tar") as archive:
        names = archive.getnames()
    assert names == [
        f"{model.key}/{name}" for model in models for name in ("model.tflite", "input0", "whole")
    ]


def test_a_damaged_artefact_is_refused(artefacts, tmp_path):
    copy = shutil.copytree(artefacts["conv fp32"], tmp_path / "copy")
    (copy / "model.tflite").write_bytes(b"cut")
    with pytest.raises(ArtefactError, match="changed or cut short"):
        prepare(copy)
    with pytest.raises(ArtefactError):
        prepare(tmp_path / "none")


def test_without_an_interpreter_here_the_package_is_named(artefacts, monkeypatch):
    monkeypatch.setattr(module, "installed_package", lambda: None)
    with pytest.raises(UnavailableError, match="pip install ai-edge-litert"):
        prepare(artefacts["conv fp32"])


def test_a_model_of_other_inputs_than_the_artefact_is_refused(artefacts, tmp_path):
    from elat.core.artefact import read_json, sha256_of, write_json

    copy = shutil.copytree(artefacts["add fp32"], tmp_path / "copy")
    other = (artefacts["conv fp32"] / "model.tflite").read_bytes()
    (copy / "model.tflite").write_bytes(other)
    described = read_json(copy / "artefact.json")
    write_json(copy / "artefact.json", {**described, "sha256": sha256_of(other)})
    with pytest.raises(MeasurementError, match="takes 1 inputs, and the artefact has 2"):
        prepare(copy)
