"""`elat profile`: files of any origin, networks by name, and sentences for what is wrong."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from elat.devices.device import find_device
from elat.flows import profiling
from elat.latency.condition import Condition
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.profiling import roofline
from elat.latency.profiling.profile import Profile, ProfiledNode
from elat.latency.store import open_store
from elat.search.zoo.net_config import NetConfig, write_net_config

QUICK = ("--runs", 4, "--processes", 1)
TINY = Chain(
    (
        Conv(3, 8, 224, 3, 2),
        MBConv(8, 8, 112, 3),
        Conv(8, 16, 112, 1),
        GlobalPool(16, 112),
        Linear(16, 5),
    )
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))


@pytest.fixture
def foreign(tmp_path):
    """A model that this package did not write: an open batch, two inputs, integers, no names."""
    value = helper.make_tensor_value_info
    weight = onnx.numpy_helper.from_array(np.ones((40, 256), np.float32), "embedding")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["embedding", "ids"], ["rows"]),
            helper.make_node("MatMul", ["rows", "x"], ["product"]),
            helper.make_node("Relu", ["product"], ["y"]),
        ],
        "g",
        [
            value("ids", TensorProto.INT64, ["n", 64]),
            value("x", TensorProto.FLOAT, ["n", 256, 256]),
        ],
        [value("y", TensorProto.FLOAT, ["n", 64, 256])],
        [weight],
    )
    path = tmp_path / "foreign.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path
    )
    return path


def test_a_file_of_any_origin(elat, foreign):
    said = elat("profile", foreign, "--device", "local-ort", *QUICK, "--no-bounds", "--json")
    assert said.code == 0, said.err
    found = said.json
    assert [node["fused"] for node in found["nodes"]] == [["Gather_0"], ["MatMul_1"], ["Relu_2"]]
    assert [node["macs"] for node in found["nodes"]] == [0, 64 * 256 * 256, 0]
    assert sum(node["share"] for node in found["nodes"]) == pytest.approx(1.0)
    assert found["model"] == str(foreign)
    assert found["origin"] == "measured" and found["roofline"] is None
    assert found["condition"]["device"] == "local-ort"


def test_a_network_by_name_with_bounds_and_a_store(elat, tmp_path, monkeypatch):
    # A roofline takes half a minute: this one is made up, and of no machine.
    def times_ms(paths, condition, *, bench=None):
        return [float(i) + 1 for i in range(len(paths))]

    monkeypatch.setattr(roofline, "ask_times_ms", times_ms)
    monkeypatch.setattr(roofline, "_written", lambda graph, condition: b"")
    config, store = tmp_path / "tiny.config", tmp_path / "s.db"
    write_net_config(config, NetConfig(TINY))
    said = elat("profile", config, "--device", "local-tflite", *QUICK, "--store", store, "--json")
    assert said.code == 0, said.err
    found = said.json
    assert [part["operator"] for part in found["parts"]] == [str(o) for o in TINY.operators]
    assert sum(part["latency_ms"] for part in found["parts"]) == pytest.approx(found["nodes_ms"])
    assert sum(node["macs"] for node in found["nodes"]) == TINY.macs
    assert found["roofline"]["macs_per_ms"] > 0
    bounds = [node["bound_ms"] for node in found["nodes"] if node["fused"]]
    assert all(bound is not None for bound in bounds)
    with open_store(store, create=False) as opened:
        kept = opened.profiles(Condition.of(find_device("local-tflite")).of_models)
    assert list(kept) == [TINY]
    assert Profile.from_json(kept[TINY][0]).to_json()["nodes"] == found["nodes"]


def test_people_see_what_was_fused_and_how_it_sums_up(elat, tmp_path, monkeypatch):
    nodes = (
        ProfiledNode("a_nchwc", "Conv", ("a", "b", "c", "d"), 0.4, 0.3, False, 9000, 10, 0.15),
        ProfiledNode("r", "ReorderOutput", (), 0.2, 0.1, True),
    )
    condition = Condition.of(find_device("local-ort"))
    made = Profile(
        nodes, 40, 1, 0.7, 0.42, 0.02, 0.001, 1.01, 1e-3, condition, {"delegation": "GPU partial"},
        ("A note.",),
    )  # fmt: skip
    found = profiling.ProfiledModel("m.onnx", made, (profiling.Part("Conv", 0.4, 0.1),), None)
    monkeypatch.setattr(profiling, "profile_model", lambda order: found)
    said = elat("profile", "m.onnx", "--device", "local-ort")
    assert said.code == 0
    assert "a + b + c + 1 more" in said.out and "(layout)" in said.out
    assert "75.0%" in said.out and "9,000" in said.out and "50%" in said.out
    assert "0.4200 ms a run" in said.err and "0.1000 ms in changes of layout" in said.err
    assert "A note." in said.err and "delegates: GPU partial" in said.err


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["missing.onnx", "--device", "local-ort"], 7, "missing.onnx does not exist"),
        (["broken.onnx", "--device", "local-ort"], 7, "broken.onnx is no ONNX model"),
        (["broken.onnx", "--device", "local-tflite"], 2, "opens .tflite files"),
        (["notes.txt", "--device", "local-ort"], 2, "opens .onnx files"),
        (["no_such_network", "--device", "local-ort"], 2, "Unknown network"),
        (["broken.onnx", "--device", "nowhere"], 2, "Unknown device"),
        (["broken.onnx", "--device", "made-up.yaml"], 3, "these have: onnxruntime, tflite"),
        (["broken.onnx", "--device", "local-ort", "--store", "s.db"], 2, "leave out --store"),
    ],
)
def test_errors_are_sentences(elat, tmp_path, monkeypatch, arguments, code, error):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "made-up.yaml").write_text(
        "schema: 1\nid: made-up\nkind: simulated\nruntime: {name: simulated}\n"
    )
    said = elat("profile", *arguments, "--json")
    assert said.code == code, said.err
    assert error in said.error
    assert said.out == ""
