"""What stands in ONNX files, and what ONNX Runtime makes of the quantised ones."""

import json
from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from elat.core.errors import UnsupportedOperatorError
from elat.core.seeding import torch_generator
from elat.latency.graph.ir import Activation, Graph, GraphBuilder, Node, Pooling, Value
from elat.latency.graph.onnx_file import SCALES_KEY, write_onnx
from elat.latency.graph.quantise import Quantisation, calibrate
from elat.latency.operators import Operator
from elat.latency.operators.chain import Chain
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.operators.weights import initialise, randomise_statistics


def _graph(operator: Operator) -> Graph:
    module = operator.build().eval()
    initialise(module, torch_generator(0, "weights"))
    randomise_statistics(module, torch_generator(0, "statistics"))
    return operator.lower(module)


def _quantisation(graph: Graph) -> Quantisation:
    random = np.random.default_rng(0)
    sample = tuple(random.standard_normal(v.shape).astype(np.float32) for v in graph.inputs)
    return calibrate(graph, [sample])


def _kinds(data: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(data).graph.node]


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (Conv(3, 8, 8, 3, 2), ["Conv", "Clip"]),
        (Conv(3, 8, 8, 3, activation=Activation.RELU), ["Conv", "Relu"]),
        (Conv(3, 8, 8, 3, activation=Activation.HSWISH), ["Conv", "HardSwish"]),
        (MBConv(8, 8, 8, 3), ["Conv", "Clip", "Conv", "Clip", "Conv", "Add"]),
        (Pool(8, 8, 3, 2), ["AveragePool"]),
        (Chain((GlobalPool(8, 7), Linear(8, 3))), ["GlobalAveragePool", "Flatten", "Gemm"]),
    ],
    ids=str,
)
def test_operators_of_a_float_file(operator, expected):
    data = write_onnx(_graph(operator))
    onnx.checker.check_model(data, full_check=True)
    assert _kinds(data) == expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (Conv(8, 8, 8, 3, activation=Activation.RELU), ["QLinearConv"]),
        (Conv(8, 8, 8, 5, 2, groups=8), ["QLinearConv"]),
        (MBConv(8, 8, 8, 3), ["QLinearConv", "QLinearAdd"]),
        (Pool(8, 8, 3, 2), ["QLinearAveragePool"]),
        (Pool(8, 8, 3, 2, Pooling.MAX), ["MaxPool"]),
        (Concat((8, 8), 4), ["Concat"]),
        (
            Chain((Conv(8, 8, 8, 3), GlobalPool(8, 8), Linear(8, 3))),
            ["QLinearConv", "QLinearGlobalAveragePool", "QGemm"],
        ),
    ],
    ids=str,
)
def test_onnx_runtime_runs_the_quantised_file_on_integers_only(operator, expected, tmp_path):
    graph = _graph(operator)
    data = write_onnx(graph, _quantisation(graph))
    onnx.checker.check_model(data, full_check=True)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    optimised = onnx.load(tmp_path / "optimised.onnx")
    kinds = Counter(node.op_type for node in optimised.graph.node)
    assert kinds.keys() - {"Transpose", "Flatten", "Reshape"} == set(expected)


def test_quantised_files_take_uint8_and_say_their_scales():
    graph = _graph(Conv(3, 8, 8, 3))
    quantisation = _quantisation(graph)
    model = onnx.load_from_string(write_onnx(graph, quantisation))
    for place in (model.graph.input[0], model.graph.output[0]):
        assert place.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    rows = json.loads({p.key: p.value for p in model.metadata_props}[SCALES_KEY])
    scales = [quantisation.scales[v.name] for v in (graph.inputs[0], graph.output)]
    assert rows == [[s.scale, s.zero_point + 128] for s in scales]


def test_an_activation_that_saturation_does_not_give_stays():
    """A tied scale that reaches below zero cannot stand for a ReLU."""
    builder = GraphBuilder()
    a = builder.input((1, 2, 4, 4))
    weight = np.ones((2, 2, 1, 1), np.float32)
    from elat.latency.graph.ir import Activation

    relu = builder.conv(a, weight, np.zeros(2, np.float32), activation=Activation.RELU)
    graph = builder.finish(builder.concat((relu, a)))
    assert "Relu" in _kinds(write_onnx(graph, _quantisation(graph)))


def test_an_unknown_node_is_refused():
    class Stranger(Node):
        pass

    x, y = Value("x", (1, 2)), Value("y", (1, 2))
    with pytest.raises(UnsupportedOperatorError, match="Stranger"):
        write_onnx(Graph((x,), (Stranger((x,), y),), y))
