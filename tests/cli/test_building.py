"""`elat build`: what becomes of operators, networks and files, and what it says of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from onnx import TensorProto, helper

from elat.core.errors import UnavailableError
from elat.latency.tensorrt.package import RTX, find_package
from elat.search.spaces import find_space


def missing() -> str | None:
    try:
        found = find_package()
    except UnavailableError as error:
        return str(error)
    return None if found.name == RTX else f"{found} builds for its own GPU alone"


ahead = pytest.mark.skipif(missing() is not None, reason=f"needs tensorrt-rtx: {missing()}")
FOR_SM86 = ("build", "--device", "local-tensorrt", "--ahead-of-time", "sm86")


def write_file(path: Path, kind: str, batch: int | str = 1, side: int | str = 8) -> Path:
    """An ONNX file of one node of `kind`; an axis that has a name is open."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, (batch, 3, side, 8))
        for name in ("x", "y")
    ]
    graph = helper.make_graph([helper.make_node(kind, ["x"], ["y"])], "file", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@ahead
def test_every_operator_of_a_space_is_built_ahead_of_time(elat, empty_home):
    said = elat(*FOR_SM86, "--space", "proxyless-tiny", "--json")
    assert said.code == 0, said.err
    space = find_space("proxyless-tiny")
    operators = [str(o) for o in dict.fromkeys(space.all_operators()) if not o.is_free]
    assert [row["operator"] for row in said.json] == operators
    for row in said.json:
        assert row["built"] is True
        assert row["refusal"] is None
        assert row["bytes"] > 1000
        assert row["seconds"] > 0
        assert row["target"] == "sm86"
        assert row["layers"] >= 1
    again = elat(*FOR_SM86, "--space", "proxyless-tiny", "--json")
    assert again.json == said.json, "what was built is not built again"


@ahead
def test_files_and_networks_are_built(elat, empty_home, tmp_path):
    path = write_file(tmp_path / "mine.onnx", "Relu", "batch")
    said = elat(*FOR_SM86, path, path, "mobilenet_v3_small", "--json")
    assert said.code == 0, said.err
    network, file = said.json
    assert (network["operator"], network["built"]) == ("mobilenet_v3_small", True)
    assert network["layers"] > 100
    assert (file["operator"], file["kind"], file["built"]) == (str(path), "file", True)
    assert list(tmp_path.glob("*.onnx")) == [path], "engines lie at home, not beside the file"
    table = elat(*FOR_SM86, path)
    assert table.code == 0
    assert "built" in table.out


@ahead
@pytest.mark.parametrize("content", ["Nowhere", None])
def test_what_is_refused_is_said_beside_what_is_built(elat, empty_home, tmp_path, content):
    good, bad = write_file(tmp_path / "good.onnx", "Relu"), tmp_path / "bad.onnx"
    if content is None:
        bad.write_text("no model")
    else:
        write_file(bad, content)
    said = elat(*FOR_SM86, bad, good, "--json")
    assert said.code == 4
    assert said.error == f"1 of 2 were refused, {bad} among them."
    refused, built = said.json
    assert (refused["built"], refused["bytes"], refused["seconds"]) == (False, None, None)
    assert refused["refusal"].startswith("UNSUPPORTED: The parser of tensorrt_rtx ")
    assert content is None or content in refused["refusal"]
    assert built["built"] is True
    table = elat(*FOR_SM86, bad)
    assert (table.code, "UNSUPPORTED" in table.out) == (4, True)


@ahead
def test_an_unknown_target_is_wrong_input_that_names_the_known_ones(elat, empty_home, tmp_path):
    path = write_file(tmp_path / "mine.onnx", "Relu")
    said = elat("build", "--device", "local-tensorrt", path, "--ahead-of-time", "sm99")
    assert said.code == 2
    assert "'sm99'; it knows sm75, " in said.error
    assert "sm86" in said.error


@ahead
def test_a_file_with_open_sides_is_wrong_input(elat, empty_home, tmp_path):
    path = write_file(tmp_path / "mine.onnx", "Relu", side="side")
    said = elat(*FOR_SM86, path)
    assert said.code == 2
    assert "Export it with fixed sizes" in said.error


@pytest.mark.parametrize("device", ["local-tensorrt", "local-ort"])
def test_nothing_to_build_is_wrong_input(elat, empty_home, device):
    said = elat("build", "--device", device)
    assert said.code == 2
    assert said.error.startswith("Nothing to build: give a space with --space")


def test_what_is_not_there_is_named(elat, empty_home, tmp_path):
    path = tmp_path / "nowhere.onnx"
    said = elat("build", "--device", "local-ort", path)
    assert (said.code, f"{path} cannot be read" in said.error) == (7, True)
    said = elat("build", "--device", "local-ort", "mobilenet_v22")
    assert said.code == 2
    assert "Did you mean 'mobilenet_v2'?" in said.error


def test_a_runtime_that_compiles_nothing_builds_its_files(elat, empty_home, tiny):
    said = elat("build", "--device", "local-ort", "--space", tiny, "--json")
    assert said.code == 0, said.err
    operators = [o for o in find_space(str(tiny)).all_operators() if not o.is_free]
    assert [row["operator"] for row in said.json] == list(map(str, operators))
    assert all(row["built"] and row["bytes"] > 100 for row in said.json)
    assert len(list((empty_home / "artefacts").glob("*/model.onnx"))) == len(operators)
    said = elat("build", "--device", "local-ort", "--space", tiny, "--ahead-of-time", "sm86")
    assert said.code == 2
    assert said.error == "onnxruntime compiles nothing ahead of time; leave sm86 out."


def test_a_file_for_a_runtime_that_reads_others_is_wrong_input(elat, empty_home, tmp_path):
    path = write_file(tmp_path / "mine.onnx", "Relu")
    said = elat("build", "--device", "local-tflite", path)
    assert said.code == 2
    assert said.error == f"{path} is an ONNX file, and the device's runtime reads .tflite."
