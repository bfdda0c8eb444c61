"""`elat predict`, `--for`, `--samples` and `--transfer-from` as they are typed."""

from __future__ import annotations

import pytest


@pytest.fixture
def file(flow):
    """The verified network of the flow as an ONNX file."""
    (found,) = flow.run.glob("*.onnx")
    return found


def test_a_file_is_predicted_by_the_model_that_is_named_or_found(elat, flow, file):
    where = ("--model-file", file, "--device", "local-ort")
    named = elat("predict", *where, "--latency", flow.model, "--level", 0.5, "--json")
    assert named.code == 0, named.err
    found = named.json
    assert found["low_ms"] < found["latency_ms"] < found["high_ms"]
    assert found["origin"] == "measured"
    assert sum(row["share"] for row in found["operators"]) == pytest.approx(1.0)
    said = elat("predict", *where, "--level", 0.5, "--top", 1)
    assert said.code == 0, said.err
    assert "50% interval" in said.out
    assert "nodes" in said.out


def test_what_lies_outside_what_was_learnt_is_said_in_words_and_in_json(elat, flow, tmp_path):
    from elat.latency.artefacts import export
    from elat.latency.operators.chain import Chain
    from elat.latency.operators.mbconv import MBConv

    wide = Chain((MBConv(16, 480, 16, 3, 1, 6),))
    where = ("--device", "local-ort", "--latency", flow.model, "--level", 0.5)
    for suffix, runtime in (("onnx", "onnxruntime"), ("tflite", "tflite")):
        path = tmp_path / f"wide.{suffix}"
        path.write_bytes(export(wide, wide.build().eval(), runtime))
        said = elat("predict", "--model-file", path, *where, "--json")
        assert said.code == 0, said.err
        (row,) = said.json["operators"]
        excess = next(e for e in row["beyond"] if e["name"] == "out_channels")
        assert excess["value"] == 480 > excess["high"]
        assert "Warning: 1 operator" in said.err
        assert f"out_channels 480 (learnt: {excess['low']} to {excess['high']})" in said.err


def test_wrong_input_is_one_sentence_with_the_repair(elat, flow, file, tmp_path, empty_home):
    said = elat("predict", "--model-file", tmp_path / "none.onnx", "--device", "local-ort")
    assert (said.code, "none.onnx" in said.error) == (7, True)
    said = elat("predict", "--model-file", file, "--device", "local-ort")
    assert said.code == 5
    assert "elat measure --device local-ort --generate 300" in said.error
    with_model = ("--latency", flow.model, "--level", 2)
    said = elat("predict", "--model-file", file, "--device", "local-ort", *with_model)
    assert said.code == 2
    assert "above 0 and below 1" in said.error


def test_times_and_samples_that_fit_nothing_are_refused(elat, flow, tmp_path):
    where = ("--device", "local-ort", "--store", tmp_path / "m.db")
    space = ("--space", flow.space)
    for arguments, words in (
        ((*space, "--for", "soon"), "20m"),
        (("--for", "20m", "--generate", 5), "--space NAME"),
        ((*space, "--samples", 5), "go together"),
        ((*space, "--for", "1m", "--samples", 5, "--transfer-from", "local-ort"), "one of them"),
    ):
        said = elat("measure", *where, *arguments)
        assert said.code == 2
        assert words in said.error


def test_a_device_is_known_from_another_and_few_samples(elat, flow, tmp_path):
    # The same device stands for both: what is known of it is its ridge.
    where = ("--device", "local-ort", "--space", flow.space, "--transfer-from", "local-ort")
    said = elat("fit", *where, "--samples", 5, "--out", tmp_path / "new", "--json")
    assert said.code == 0, said.err
    assert said.json["samples"] == 5
    assert said.json["chosen"] in said.json["choices"]
    searched = ("--latency", tmp_path / "new", "--bound-quantile", 0.5, "--bound-level", 0.9)
    bound = elat("search", *where[:4], *searched, "--out", tmp_path / "run")
    assert bound.code == 5
    assert "elat calibrate" in bound.error
    refused = elat("fit", *where, "--model", "ridge")
    assert refused.code == 2
    assert "leave --model out" in refused.error
