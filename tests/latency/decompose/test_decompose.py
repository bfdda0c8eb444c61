"""Files written from known operators are read back as them; others' ways to write are known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from elat.core.errors import ArtefactError, ConfigError, UnsupportedOperatorError
from elat.latency.artefacts import export
from elat.latency.decompose import read_program, with_blocks
from elat.latency.graph.ir import Activation
from elat.latency.operators.add import Add
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.dag import Dag
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.operators.squeeze_excite import SqueezeExcite
from elat.latency.precision import Precision
from elat.search.spaces import find_space
from elat.search.zoo import networks


def written(tmp_path, operator, precision=Precision.FP32):
    module = operator.build().eval()
    given = [np.zeros((1, *shape), np.float32) for shape in operator.input_shapes]
    calibration = [tuple(given)] if precision is Precision.INT8 else ()
    path = tmp_path / "network.onnx"
    path.write_bytes(
        export(operator, module, "onnxruntime", precision=precision, calibration=calibration)
    )
    return path


@pytest.mark.parametrize("seed", range(4))
def test_a_network_of_a_space_is_read_as_the_operators_that_it_was_made_of(tmp_path, seed):
    space = find_space("proxyless-tiny")
    architecture = space.sample(torch.Generator().manual_seed(seed))
    network = space.network(architecture)
    program = read_program(written(tmp_path, network))
    made_of = [o for o in space.operators(architecture) if not o.is_free]
    assert Counter(p.operator for p in with_blocks(program).parts) == Counter(made_of)
    assert sum(part.operator.macs for part in program.parts) == network.macs
    assert not any(isinstance(part.operator, MBConv) for part in program.parts)
    nodes = [node for part in program.parts for node in part.nodes]
    assert len(nodes) == len(set(nodes)) == program.nodes - len(program.free)


@pytest.mark.parametrize("name", ["resnet20", "densenet40_12", "mobilenet_v3_small"])
def test_every_multiply_add_of_a_published_network_is_found(tmp_path, name):
    network = networks[name].operator()
    program = read_program(written(tmp_path, network))
    assert sum(part.operator.macs for part in program.parts) == network.macs
    assert program.precision is Precision.FP32


def test_blocks_with_gates_and_hard_swish_are_read_back(tmp_path):
    blocks = (
        MBConv(16, 16, 14, 5, expand=4, se=True, activation=Activation.HSWISH),
        MBConv(16, 24, 14, 3, 2, expand=6, activation=Activation.RELU),
        MBConv(24, 24, 7, 3, expand=1),
    )
    found = with_blocks(read_program(written(tmp_path, Chain(blocks))))
    assert tuple(part.operator for part in found.parts) == blocks


def test_what_is_almost_a_block_stays_in_parts(tmp_path):
    # A residual of two, around no bottleneck: nothing of it is an MBConv.
    conv = Conv(16, 16, 14, 3, groups=16)
    last = Conv(16, 16, 14, 1, activation=Activation.NONE)
    without_skip = Chain((conv, last))
    found = with_blocks(read_program(written(tmp_path, without_skip)))
    assert [part.operator for part in found.parts] == [conv, last]
    twice = Dag((conv, last, Add(16, 14), Add(16, 14)), ((0,), (1,), (0, 2), (3, 2)))
    found = with_blocks(read_program(written(tmp_path, twice)))
    assert [part.operator for part in found.parts] == [conv, last, Add(16, 14), Add(16, 14)]


def test_a_quantised_file_is_read_as_the_same_operators_in_int8(tmp_path):
    network = Chain((Conv(3, 8, 16, 3, 2), MBConv(8, 8, 8, 3, expand=3), GlobalPool(8, 8)))
    program = read_program(written(tmp_path, network, Precision.INT8))
    assert program.precision is Precision.INT8
    assert sum(part.operator.macs for part in program.parts) == network.macs


class Build:
    """An ONNX graph as other tools write it."""

    def __init__(self, shape=(1, 8, 14, 14), kind=TensorProto.FLOAT) -> None:
        self.kind = kind
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.input = helper.make_tensor_value_info("x", kind, list(shape))

    def constant(self, name, array):
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, kind, *inputs, **attributes):
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def conv(self, x, out, into, kernel=1, groups=1, bias=False, **attributes):
        number = len(self.nodes)
        of = helper.tensor_dtype_to_np_dtype(self.kind)
        weight = np.zeros((out, into // groups, kernel, kernel), of)
        names = [self.constant(f"w{number}", weight)]
        if bias:
            names.append(self.constant(f"b{number}", np.zeros(out, np.float32)))
        attributes.setdefault("pads", [kernel // 2] * 4)
        return self.add("Conv", x, *names, group=groups, **attributes)

    def norm(self, x, channels):
        zeros = [
            self.constant(f"s{len(self.nodes)}{i}", np.ones(channels, np.float32))
            for i in range(4)
        ]
        return self.add("BatchNormalization", x, *zeros)

    def written(self, tmp_path, *outputs):
        made = [helper.make_tensor_value_info(o, self.kind, None) for o in outputs]
        graph = helper.make_graph(self.nodes, "g", [self.input], made, self.constants)
        opset = [helper.make_opsetid("", 17)]
        path = tmp_path / "other.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), str(path))
        return path


def operators_of(path):
    return [part.operator for part in read_program(path).parts]


def test_batch_norm_and_activation_are_folded_into_the_convolution_before(tmp_path):
    b = Build()
    y = b.norm(b.conv("x", 16, 8, 3, strides=[2, 2]), 16)
    six = [b.constant(name, np.float32(value)) for name, value in (("lo", 0), ("hi", 6))]
    y = b.add("Clip", y, *six)
    found = operators_of(b.written(tmp_path, b.conv(y, 8, 16)))
    assert found == [
        Conv(8, 16, 14, 3, 2),
        Conv(16, 8, 7, 1, activation=Activation.NONE, norm=Norm.NONE),
    ]


def test_an_activation_that_is_not_alone_is_an_operator_of_its_own(tmp_path):
    b = Build()
    y = b.conv("x", 8, 8, bias=True)
    z = b.add("Relu", y)
    path = b.written(tmp_path, b.add("Add", y, z))
    kinds = [type(operator).__name__ for operator in operators_of(path)]
    assert kinds == ["Conv", "Activate", "Add"]


@pytest.mark.parametrize("way", ["one", "gate", "clip"])
def test_hard_swish_is_known_however_it_is_written(tmp_path, way):
    b = Build()
    y = b.conv("x", 8, 8, bias=True)
    if way == "one":
        z = b.add("HardSwish", y)
    elif way == "gate":
        z = b.add("Mul", y, b.add("HardSigmoid", y, alpha=1 / 6, beta=0.5))
    else:
        three, zero, six = (b.constant(f"c{v}", np.float32(v)) for v in (3, 0, 6))
        z = b.add("Div", b.add("Mul", y, b.add("Clip", b.add("Add", y, three), zero, six)), six)
    (found,) = operators_of(b.written(tmp_path, z))
    assert found == Conv(8, 8, 14, 1, activation=Activation.HSWISH)


def test_a_gate_is_one_operator_and_free_nodes_cost_nothing(tmp_path):
    b = Build()
    pooled = b.add("GlobalAveragePool", "x")
    hidden = b.add("Relu", b.conv(pooled, 4, 8, bias=True))
    gate = b.add("Sigmoid", b.conv(hidden, 8, 4, bias=True))
    y = b.add("Mul", "x", gate)
    mean = b.add("ReduceMean", y, axes=[2, 3], keepdims=0)
    w = b.constant("w", np.zeros((8, 10), np.float32))
    logits = b.add("Add", b.add("MatMul", mean, w), b.constant("bias", np.zeros(10, np.float32)))
    program = read_program(b.written(tmp_path, b.add("Identity", logits)))
    assert [part.operator for part in program.parts] == [
        SqueezeExcite(8, 14, 4, Activation.SIGMOID),
        GlobalPool(8, 14),
        Linear(8, 10),
    ]
    assert len(program.free) == 1


def test_pools_are_told_by_their_window_and_padding(tmp_path):
    b = Build()
    y = b.add("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    z = b.add("AveragePool", y, kernel_shape=[7, 7])
    assert operators_of(b.written(tmp_path, z)) == [
        Pool(8, 14, 3, 2, "max"),  # type: ignore[arg-type]
        GlobalPool(8, 7),
    ]


def test_everything_unknown_is_named_at_once(tmp_path):
    b = Build()
    y = b.add("Softplus", b.add("Erf", b.conv("x", 8, 8)))
    with pytest.raises(UnsupportedOperatorError) as refused:
        read_program(b.written(tmp_path, y))
    message = str(refused.value)
    assert "2 nodes" in message
    assert "n1 (Erf)" in message
    assert "n2 (Softplus)" in message
    assert "elat profile" in message


def test_files_that_are_none_and_sizes_that_are_open_are_refused(tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"\x00\x01nonsense")
    with pytest.raises(ArtefactError, match=r"broken\.onnx"):
        read_program(path)
    b = Build(shape=(1, 8, 14, 14))
    y = b.conv("x", 8, 8)
    b.input.type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(ConfigError, match="height"):
        read_program(b.written(tmp_path, y))


def test_several_images_at_once_are_refused(tmp_path):
    b = Build(shape=(8, 8, 14, 14))
    with pytest.raises(ConfigError, match="8 images at once"):
        read_program(b.written(tmp_path, b.conv("x", 8, 8)))


def test_half_precision_is_told_and_a_mixture_refused(tmp_path):
    b = Build(kind=TensorProto.FLOAT16)
    assert read_program(b.written(tmp_path, b.conv("x", 8, 8))).precision is Precision.FP16
    b = Build()
    scale, zero = b.constant("scale", np.float32(0.1)), b.constant("zero", np.uint8(128))
    y = b.add("DequantizeLinear", b.add("QuantizeLinear", "x", scale, zero), scale, zero)
    mixed = b.conv(b.conv(y, 8, 8), 8, 8)
    with pytest.raises(ConfigError, match="1 of 2 layers are quantised"):
        read_program(b.written(tmp_path, mixed))


def test_what_leads_to_no_output_costs_nothing(tmp_path):
    b = Build()
    b.conv("x", 64, 8, 3)
    program = read_program(b.written(tmp_path, b.conv("x", 8, 8)))
    assert len(program.parts) == 1
    assert len(program.free) == 1


def test_what_only_looks_like_hard_swish_is_not_taken_for_it(tmp_path):
    b = Build()
    y = b.conv("x", 8, 8, bias=True)
    hundred, low, high, seven = (
        b.constant(f"c{value}", np.float32(value)) for value in (100, -5, 50, 7)
    )
    clipped = b.add("Clip", b.add("Add", y, hundred), low, high)
    z = b.add("Mul", b.add("Mul", y, clipped), seven)
    with pytest.raises(UnsupportedOperatorError, match="Mul"):
        read_program(b.written(tmp_path, z))


def test_an_identity_in_between_does_not_part_what_is_fused(tmp_path):
    b = Build()
    y = b.add("Relu", b.add("Identity", b.conv("x", 8, 8, bias=True)))
    assert operators_of(b.written(tmp_path, y)) == [Conv(8, 8, 14, 1, activation=Activation.RELU)]


def test_a_gate_with_another_activation_inside_is_no_known_one(tmp_path):
    b = Build()
    pooled = b.add("GlobalAveragePool", "x")
    hidden = b.add("HardSwish", b.conv(pooled, 4, 8, bias=True))
    gate = b.add("Sigmoid", b.conv(hidden, 8, 4, bias=True))
    with pytest.raises(UnsupportedOperatorError, match="Mul"):
        read_program(b.written(tmp_path, b.add("Mul", "x", gate)))
