"""What stands in the ONNX files for TensorRT, what it builds of them, and what they compute."""

import json
import re
from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from elat.core.errors import ConfigError, MeasurementError, UnsupportedOperatorError
from elat.core.seeding import numpy_generator
from elat.latency.artefacts import snr_db
from elat.latency.export import seeded_module
from elat.latency.graph import reference
from elat.latency.graph.ir import Activation, GraphBuilder, Pooling
from elat.latency.graph.onnx_file import SCALES_KEY, Dialect, write_onnx
from elat.latency.graph.quantise import Quantisation, Scale, calibrate
from elat.latency.graph.tensorrt_onnx import write_tensorrt_onnx
from elat.latency.operators.activate import Activate
from elat.latency.operators.channel_pad import ChannelPad
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv
from elat.latency.operators.linear import Linear
from elat.latency.operators.pool import Pool
from elat.latency.precision import Precision
from elat.latency.tensorrt.engine import BuildSettings, build_engine
from elat.latency.tensorrt.package import find_package

from ...conformance.test_runtimes import BRANCHES, CASES, NETWORK

TYPES = {
    Precision.FP32: TensorProto.FLOAT,
    Precision.FP16: TensorProto.FLOAT16,
    Precision.BF16: TensorProto.BFLOAT16,
    Precision.INT8: TensorProto.INT8,
}
# Float32 is exact but for the order of sums; the others lose what their mantissa is short of.
MIN_SNR_DB = {
    Precision.FP32: 100.0,
    Precision.FP16: 35.0,
    Precision.BF16: 20.0,
    Precision.INT8: 15.0,
}
NETWORK_SNR_DB = {**MIN_SNR_DB, Precision.FP16: 30.0}
CAPABILITIES = ("sm86", "sm120")
SMALL = Conv(3, 8, 8, 3)
LINEAR = Linear(32, 10)
HSWISH = Activate(8, 6, Activation.HSWISH)
PADDED = ChannelPad(8, 11, 6)

EVERY = pytest.mark.parametrize("precision", Precision)
CASE = pytest.mark.parametrize("operator", CASES, ids=str)


@cache
def _graph(operator):
    return operator.lower(seeded_module(operator, 0))


def _inputs(graph, purpose, index=0):
    random = numpy_generator(0, purpose, index)
    return tuple(random.standard_normal(v.shape, np.float32) for v in graph.inputs)


@cache
def _quantisation(operator):
    graph = _graph(operator)
    return calibrate(graph, (_inputs(graph, "calibration", index) for index in range(4)))


def _needed(operator, precision):
    return _quantisation(operator) if precision is Precision.INT8 else None


@cache
def _written(operator, precision):
    return write_tensorrt_onnx(_graph(operator), precision, _needed(operator, precision))


def _rows(model):
    return json.loads({entry.key: entry.value for entry in model.metadata_props}[SCALES_KEY])


@EVERY
@CASE
def test_the_standard_allows_the_file(operator, precision):
    onnx.checker.check_model(_written(operator, precision), full_check=True)


@EVERY
@CASE
def test_everything_real_has_the_type_of_the_precision(operator, precision):
    graph = onnx.load_from_string(_written(operator, precision)).graph
    ends = {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)}
    constants = {constant.data_type for constant in graph.initializer} - {TensorProto.INT64}
    assert ends == {TYPES[precision]}
    # Beside integers, quantised files hold float32 scales and biases.
    extra = {TensorProto.FLOAT} if precision is Precision.INT8 else set()
    assert constants <= {TYPES[precision]} | extra


@CASE
def test_float32_is_what_onnx_runtime_gets(operator):
    assert _written(operator, Precision.FP32) == write_onnx(_graph(operator))


@EVERY
def test_the_same_graph_gives_the_same_bytes(precision):
    first, second = (NETWORK.lower(seeded_module(NETWORK, 0)) for _ in range(2))
    given = _needed(NETWORK, precision)
    written = write_tensorrt_onnx(first, precision, given)
    assert written == write_tensorrt_onnx(second, precision, given)


# What TensorRT makes of the files.


def _refusal(model, capabilities=CAPABILITIES):
    """Why TensorRT makes no engine of the file `model`; None if it makes one."""
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    package = find_package("tensorrt_rtx")
    for capability in capabilities:
        try:
            build_engine(package, model, BuildSettings(), source="it", capability=capability)
        except MeasurementError as error:
            return str(error)
    return None


@EVERY
@CASE
def test_tensorrt_builds_an_engine(operator, precision):
    assert _refusal(_written(operator, precision)) is None


def _bf16_with_hard_swish():
    dialect = Dialect(opset=22, ir_version=10, real=TensorProto.BFLOAT16)
    return write_onnx(_graph(HSWISH), None, dialect)


def _int8_padded_with_a_constant():
    model = onnx.load_from_string(_written(PADDED, Precision.INT8))
    (node,) = model.graph.node
    node.input.append("zero")
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int8), "zero"))
    return model.SerializeToString()


TURING = ("sm75",)
REFUSED = {
    "HardSwish in bf16": (
        _bf16_with_hard_swish,
        CAPABILITIES,
        "The parser of .*Only FLOAT, HALF or INT8",
    ),
    "uint8": (
        lambda: write_onnx(_graph(SMALL), _quantisation(SMALL)),
        CAPABILITIES,
        "The parser of .*unsupported input type of UINT8",
    ),
    "a quantised constant to pad with": (
        _int8_padded_with_a_constant,
        CAPABILITIES,
        ".* builds no engine of it: .*Quantized constant",
    ),
    "bf16 on Turing": (
        lambda: _written(SMALL, Precision.BF16),
        TURING,
        ".* builds no engine of it: .*HW-specific datatypes: b16",
    ),
    "a linear layer in fp32 on Turing": (
        lambda: _written(LINEAR, Precision.FP32),
        TURING,
        ".* builds no engine of it: .*FP32 GEMM is not supported",
    ),
    "a linear layer in int8 on Turing": (
        lambda: _written(LINEAR, Precision.INT8),
        TURING,
        ".* builds no engine of it: .*FP32 GEMM is not supported",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_tensorrt_refuses(name):
    """Why the files are written as they are, and what no way of writing them repairs."""
    write, capabilities, reason = REFUSED[name]
    assert re.match(reason, _refusal(write(), capabilities) or "nothing is refused")


# What the files compute.


def _session(model):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run(model, inputs):
    session = _session(model)
    names = [place.name for place in session.get_inputs()]
    (output,) = session.run(None, dict(zip(names, inputs, strict=True)))
    return output


def _run_int8(model, inputs):
    *given, (last, _) = _rows(onnx.load_from_string(model))
    steps = [np.rint(x / np.float32(scale)) for x, (scale, _) in zip(inputs, given, strict=True)]
    output = _run(model, [np.clip(step, -128, 127).astype(np.int8) for step in steps])
    return output.astype(np.float32) * np.float32(last)


def _rounding(model):
    """The bfloat16 file `model` in float32, rounded to bfloat16 after each operation.

    ONNX Runtime has no bfloat16 kernels for CPUs.
    """
    model = onnx.load_from_string(model)
    for constant in model.graph.initializer:
        if constant.data_type == TensorProto.BFLOAT16:
            array = numpy_helper.to_array(constant).astype(np.float32)
            constant.CopyFrom(numpy_helper.from_array(array, constant.name))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT
    nodes = []
    for node in model.graph.node:
        (name,) = node.output
        node.output[0] = f"{name}.exact"
        short = helper.make_node(
            "Cast", [f"{name}.exact"], [f"{name}.short"], to=TensorProto.BFLOAT16
        )
        nodes += [
            node,
            short,
            helper.make_node("Cast", [f"{name}.short"], [name], to=TensorProto.FLOAT),
        ]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def _output(model, precision, inputs):
    """What the file computes in the type of `precision`, as float32."""
    match precision:
        case Precision.INT8:
            return _run_int8(model, inputs)
        case Precision.BF16:
            kind = helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16)
            rounded = [x.astype(kind).astype(np.float32) for x in inputs]
            return _run(_rounding(model), rounded)
        case Precision.FP16:
            return _run(model, [x.astype(np.float16) for x in inputs]).astype(np.float32)
        case Precision.FP32:
            return _run(model, inputs)


@EVERY
@CASE
def test_files_compute_the_graph(operator, precision):
    graph = _graph(operator)
    inputs = _inputs(graph, "check")
    expected = reference.run(graph, inputs)[graph.output.name]
    found = _output(_written(operator, precision), precision, inputs)
    assert found.shape == expected.shape
    least = (NETWORK_SNR_DB if operator in (NETWORK, BRANCHES) else MIN_SNR_DB)[precision]
    assert snr_db(expected, found) > least


# How the files are written.


def _kinds(model):
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


def test_hard_swish_is_a_product_in_bf16_alone():
    assert _kinds(_written(HSWISH, Precision.BF16)) == ["HardSigmoid", "Mul"]
    for precision in (Precision.FP32, Precision.FP16):
        assert _kinds(_written(HSWISH, precision)) == ["HardSwish"]


def test_int8_stands_between_operations_and_float32_in_them():
    activation = Conv(8, 8, 8, 3, activation=Activation.RELU)
    assert _kinds(_written(activation, Precision.INT8)) == [
        "DequantizeLinear",  # the input
        "DequantizeLinear",  # the weights
        "Conv",
        "Relu",
        "QuantizeLinear",
    ]
    graph = onnx.load_from_string(_written(activation, Precision.INT8)).graph
    conv = next(node for node in graph.node if node.op_type == "Conv")
    constants = {constant.name: constant for constant in graph.initializer}
    np.testing.assert_array_equal(
        numpy_helper.to_array(constants[conv.input[2]]), _graph(activation).nodes[0].bias
    )


@CASE
def test_int8_has_zero_points_of_zero_and_a_scale_for_each_channel_of_weights(operator):
    graph = onnx.load_from_string(_written(operator, Precision.INT8)).graph
    constants = {c.name: numpy_helper.to_array(c) for c in graph.initializer}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        source, scale, zero_point = node.input
        assert constants[zero_point].dtype == np.int8
        assert not constants[zero_point].any()
        if source in constants:
            assert [a.i for a in node.attribute if a.name == "axis"] == [0]
            assert constants[scale].shape == constants[source].shape[:1]


@pytest.mark.parametrize(
    ("operator", "kinds"),
    [
        (Pool(8, 8, 3, 2, Pooling.MAX), ["MaxPool"]),
        (Concat((8, 4), 5), ["Concat"]),
        (PADDED, ["Pad"]),
    ],
    ids=str,
)
def test_what_only_moves_stays_int8(operator, kinds):
    assert _kinds(_written(operator, Precision.INT8)) == kinds


@CASE
def test_int8_files_say_the_symmetric_scales_of_their_ends(operator):
    graph, ranges = _graph(operator), _quantisation(operator).scales
    rows = _rows(onnx.load_from_string(_written(operator, Precision.INT8)))
    for value, (scale, zero_point) in zip((*graph.inputs, graph.output), rows, strict=True):
        low, high = ranges[value.name].real(np.array([-128, 127], np.int8))
        assert zero_point == 0
        assert scale == pytest.approx(max(-low, high) / 127, rel=1e-6)


@pytest.mark.parametrize(("zero_point", "reach"), [(-128, 255), (127, 255), (0, 128), (-28, 155)])
def test_symmetric_scales_hold_the_whole_range(zero_point, reach):
    graph = _graph(SMALL)
    scales = {value.name: Scale(0.5, zero_point) for value in graph.values()}
    written = write_tensorrt_onnx(graph, Precision.INT8, Quantisation(scales))
    assert _rows(onnx.load_from_string(written)) == [[pytest.approx(0.5 * reach / 127), 0]] * 2


@pytest.mark.parametrize(
    ("precision", "kind"), [(Precision.FP16, "float16"), (Precision.BF16, "bfloat16")]
)
def test_weights_beyond_the_range_are_refused_by_name(precision, kind):
    weight = np.ones((2, 2, 1, 1), np.float32)
    weight[1, 0] = -3.4e38
    builder = GraphBuilder()
    y = builder.conv(builder.input((1, 2, 4, 4)), weight, np.zeros(2, np.float32))
    graph = builder.finish(y)
    write_tensorrt_onnx(graph, Precision.FP32)
    with pytest.raises(
        UnsupportedOperatorError, match=rf"{y.name}.weight reaches 3.4e\+38.* {kind} "
    ):
        write_tensorrt_onnx(graph, precision)


def test_int8_needs_a_quantisation_and_the_others_take_none():
    with pytest.raises(ConfigError, match=r"int8 was asked for, .* none was given"):
        write_tensorrt_onnx(_graph(SMALL), Precision.INT8)
    with pytest.raises(ConfigError, match=r"fp16 was asked for, .* one was given"):
        write_tensorrt_onnx(_graph(SMALL), Precision.FP16, _quantisation(SMALL))
