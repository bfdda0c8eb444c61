"""Model files of whatever origin: sizes fixed, inputs made up, costs counted."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper

from elat.core.errors import ArtefactError, ConfigError
from elat.latency.export import seeded_module
from elat.latency.graph.onnx_file import write_onnx
from elat.latency.graph.tflite_file import write_tflite
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.profiling.model_file import ModelInput, read_model
from elat.latency.profiling.tflite_model import _packed

NETWORK = Chain(
    (Conv(3, 8, 12, 3, 2), MBConv(8, 8, 6, 3, expand=2), GlobalPool(8, 6), Linear(8, 5))
)


@pytest.fixture
def graph():
    return NETWORK.lower(seeded_module(NETWORK, 0), 2)


def saved(path, *nodes, inputs, outputs, constants=()):
    kinds = {name: numpy_helper.from_array(array, name) for name, array in constants}
    model = helper.make_model(
        helper.make_graph(list(nodes), "g", inputs, outputs, list(kinds.values())),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.save(model, path)
    return path


def tensor(name, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def unknown(name):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, None)


@pytest.mark.parametrize(("suffix", "write"), [(".onnx", write_onnx), (".tflite", write_tflite)])
def test_the_macs_of_a_network_are_counted(tmp_path, graph, suffix, write):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(write(graph))
    model = read_model(path, suffix, 1)
    assert sum(node.macs or 0 for node in model.nodes) == 2 * NETWORK.macs
    assert len({node.name for node in model.nodes}) == len(model.nodes)
    assert not model.has_integers
    assert [given.shape[0] for given in model.inputs] == [2]


def test_onnx_products_are_counted(tmp_path):
    path = saved(
        tmp_path / "m.onnx",
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Gemm", ["b", "b"], ["c"], transA=1),
        helper.make_node("ConvTranspose", ["i", "k"], ["d"]),
        helper.make_node("Relu", ["a"], ["e"]),
        inputs=[tensor("x", 2, 3, 4), tensor("b", 6, 7), tensor("i", 1, 2, 5, 5)],
        outputs=[unknown("e"), unknown("c"), unknown("d")],
        constants=[
            ("w", np.ones((4, 5), np.float32)),
            ("k", np.ones((2, 3, 3, 3), np.float32)),
        ],
    )
    macs = [node.macs for node in read_model(path, ".onnx", 1).nodes]
    assert macs == [2 * 3 * 5 * 4, 7 * 7 * 6, 2 * 25 * 3 * 9, 0]


def test_unknown_shapes_give_unknown_macs_and_not_none(tmp_path):
    path = saved(
        tmp_path / "m.onnx",
        helper.make_node("Mystery", ["x"], ["a"], domain="org.example"),
        helper.make_node("MatMul", ["a", "a"], ["b"]),
        inputs=[tensor("x", 4, 4)],
        outputs=[unknown("b")],
    )
    model = read_model(path, ".onnx", 1)
    assert model.nodes[1].macs is None
    assert "a" not in model.tensor_bytes


def test_an_open_batch_is_fixed_wherever_it_appears(tmp_path):
    path = saved(
        tmp_path / "m.onnx",
        helper.make_node("Add", ["x", "y"], ["a"]),
        inputs=[tensor("x", "batch", 3), tensor("y", "batch", 3)],
        outputs=[tensor("a", "batch", 3)],
    )
    model = read_model(path, ".onnx", 4)
    assert [given.shape for given in model.inputs] == [(4, 3), (4, 3)]
    assert model.tensor_bytes["a"] == 4 * 3 * 4
    assert [x.shape for x in model.seeded_inputs()] == [(4, 3), (4, 3)]


def test_another_open_axis_is_refused_with_its_repair(tmp_path):
    path = saved(
        tmp_path / "m.onnx",
        helper.make_node("Relu", ["x"], ["a"]),
        inputs=[tensor("x", "batch", "width")],
        outputs=[tensor("a", "batch", "width")],
    )
    with pytest.raises(ConfigError, match=r"axis 1 of input 'x'.*--dim_param width"):
        read_model(path, ".onnx", 1)


def test_nodes_without_names_or_with_equal_ones_get_their_own(tmp_path):
    path = saved(
        tmp_path / "m.onnx",
        helper.make_node("Relu", ["x"], ["a"], name="same"),
        helper.make_node("Neg", ["a"], ["b"], name="same"),
        helper.make_node("Neg", ["b"], ["c"]),
        inputs=[tensor("x", 1)],
        outputs=[tensor("c", 1)],
    )
    assert [n.name for n in read_model(path, ".onnx", 1).nodes] == ["same", "Neg_1", "Neg_2"]


def test_inputs_are_made_up_by_their_kind():
    def made(kind):
        from elat.latency.profiling.model_file import _made_up

        given = ModelInput("x", np.dtype(kind), (400,))
        return _made_up(given, np.random.default_rng(0))

    assert abs(made("float16").astype(float).std() - 1) < 0.2
    assert set(made("int64")) == {0, 1}
    assert made("bool").dtype == np.bool_
    assert made("uint8").max() > 200
    assert made("int8").min() < -100
    with pytest.raises(ConfigError, match="no values can be made up"):
        made(object)


@pytest.mark.parametrize("suffix", [".onnx", ".tflite"])
def test_what_is_no_model_is_refused(tmp_path, suffix):
    with pytest.raises(ArtefactError, match="does not exist"):
        read_model(tmp_path / f"m{suffix}", suffix, 1)
    path = tmp_path / f"m{suffix}"
    for data in (b"", b"no model at all, but text", b"\x08\x09\x12\xff\xff"):
        path.write_bytes(data)
        with pytest.raises(ArtefactError):
            read_model(path, suffix, 1)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.95])
def test_a_model_that_was_cut_short_is_refused(tmp_path, graph, part):
    for suffix, write in ((".onnx", write_onnx), (".tflite", write_tflite)):
        data = write(graph)
        path = tmp_path / f"m{suffix}"
        path.write_bytes(data[: int(part * len(data))])
        with pytest.raises(ArtefactError):
            read_model(path, suffix, 1)


def test_a_file_of_another_format_is_refused(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"opens .onnx files; .* is none"):
        read_model(path, ".onnx", 1)


def opened_batch(data, axis):
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
    tensor.shapeSignature = list(tensor.shape)
    tensor.shapeSignature[axis] = -1
    return _packed(model)


def test_an_open_batch_of_tflite_is_fixed_for_all_that_follows(tmp_path):
    path = tmp_path / "m.tflite"
    one = NETWORK.lower(seeded_module(NETWORK, 0), 1)
    path.write_bytes(opened_batch(write_tflite(one), 0))
    assert sum(node.macs or 0 for node in read_model(path, ".tflite", 1).nodes) == NETWORK.macs
    model = read_model(path, ".tflite", 3)
    assert model.inputs[0].shape == (3, 12, 12, 3)
    assert sum(node.macs or 0 for node in model.nodes) == 3 * NETWORK.macs


def test_another_open_axis_of_tflite_is_refused(tmp_path, graph):
    path = tmp_path / "m.tflite"
    path.write_bytes(opened_batch(write_tflite(graph), 2))
    with pytest.raises(ConfigError, match="axis 2 of input"):
        read_model(path, ".tflite", 1)
