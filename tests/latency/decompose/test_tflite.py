"""TFLite files as other tools write them."""

from __future__ import annotations

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from elat.core.errors import ArtefactError, ConfigError, UnsupportedOperatorError
from elat.datasets.corpora.locate import corpus_folder
from elat.latency.decompose import read_program, with_blocks
from elat.latency.graph.ir import Activation, Pooling
from elat.latency.operators.activate import Activate
from elat.latency.operators.channel_slice import ChannelSlice
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.operators.squeeze_excite import SqueezeExcite
from elat.latency.precision import Precision

FLOAT, HALF, BYTE, WIDE = (
    getattr(schema.TensorType, name) for name in ("FLOAT32", "FLOAT16", "INT8", "INT16")
)
SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
NONE, RELU, RELU6 = (
    getattr(schema.ActivationFunctionType, name) for name in ("NONE", "RELU", "RELU6")
)


class Build:
    """A TFLite graph, node by node; images are NHWC."""

    def __init__(self, *shape, kind=FLOAT) -> None:
        self.kind = kind
        self.tensors: list[schema.TensorT] = []
        self.buffers = [schema.BufferT()]
        self.operators: list[schema.OperatorT] = []
        self.codes: list[int] = []
        self.x = self.tensor("x", shape)

    def tensor(self, name, shape, kind=None, data=None):
        made = schema.TensorT()
        made.name, made.shape = name.encode(), list(shape)
        made.type, made.buffer = self.kind if kind is None else kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self.buffers.append(buffer)
            made.buffer = len(self.buffers) - 1
        self.tensors.append(made)
        return len(self.tensors) - 1

    def constant(self, data, kind=None):
        data = np.asarray(data)
        kinds = {"float32": FLOAT, "float16": HALF, "int8": BYTE, "int32": schema.TensorType.INT32}
        return self.tensor(f"c{len(self.tensors)}", data.shape, kinds[str(data.dtype)], data)

    def reals(self, *shape):
        made = {FLOAT: np.float32, BYTE: np.int8}.get(self.kind, np.float32)
        return self.constant(np.ones(shape, made))

    def integers(self, data):
        return self.constant(np.array(data, np.int32))

    def add(self, kind, inputs, shape, options=None, to=None, **given):
        """A node of `kind` that makes an image of `shape`; its output's number."""
        operator = schema.OperatorT()
        code = getattr(schema.BuiltinOperator, kind)
        if code not in self.codes:
            self.codes.append(code)
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs = list(inputs)
        out = self.tensor(f"n{len(self.operators)}", shape, to)
        operator.outputs = [out]
        if options is not None:
            made = getattr(schema, f"{options}T")()
            for name, value in given.items():
                setattr(made, name, value)
            operator.builtinOptions = made
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        self.operators.append(operator)
        return out

    def conv(self, x, into, out, side, kernel=1, stride=1, padding=SAME, inside=NONE):
        given = [x, self.reals(out, kernel, kernel, into), self.reals(out)]
        return self.add(
            "CONV_2D", given, (1, side, side, out), "Conv2DOptions", strideH=stride,
            strideW=stride, padding=padding, fusedActivationFunction=inside,
        )  # fmt: skip

    def depthwise(self, x, channels, side, kernel=3, stride=1, padding=SAME, inside=NONE):
        given = [x, self.reals(1, kernel, kernel, channels), self.reals(channels)]
        return self.add(
            "DEPTHWISE_CONV_2D", given, (1, side, side, channels), "DepthwiseConv2DOptions",
            strideH=stride, strideW=stride, padding=padding, depthMultiplier=1,
            fusedActivationFunction=inside,
        )  # fmt: skip

    def pad(self, x, edges, shape):
        edges = [[0, 0], edges, edges, [0, 0]]
        return self.add("PAD", [x, self.integers(edges)], shape, "PadOptions")

    def mean(self, x, channels):
        given = [x, self.integers([1, 2])]
        return self.add("MEAN", given, (1, 1, 1, channels), "ReducerOptions", keepDims=True)

    def hard_sigmoid(self, x, shape):
        three = self.constant(np.array(3, np.float32))
        sixth = self.constant(np.array([1 / 6], np.float32))
        shifted = self.add("ADD", [x, three], shape, "AddOptions", fusedActivationFunction=RELU6)
        return self.add("MUL", [shifted, sixth], shape, "MulOptions")

    def model(self, *outputs):
        graph, model = schema.SubGraphT(), schema.ModelT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = [self.x], list(outputs)
        model.version, model.buffers, model.subgraphs = 3, self.buffers, [graph]
        model.operatorCodes = []
        for code in self.codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = code, min(code, 127), 1
            model.operatorCodes.append(entry)
        return model

    def written(self, tmp_path, *outputs):
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model(*outputs).Pack(builder), b"TFL3")
        path = tmp_path / "other.tflite"
        path.write_bytes(bytes(builder.Output()))
        return path


def operators_of(path):
    return [part.operator for part in read_program(path).parts]


def test_padding_before_a_strided_window_is_part_of_it(tmp_path):
    b = Build(1, 14, 14, 8)
    y = b.depthwise(b.pad(b.x, [0, 1], (1, 15, 15, 8)), 8, 7, stride=2, padding=VALID)
    z = b.conv(b.pad(y, [1, 1], (1, 9, 9, 8)), 8, 16, 7, 3, padding=VALID, inside=RELU)
    program = read_program(b.written(tmp_path, z))
    assert [part.operator for part in program.parts] == [
        Conv(8, 8, 14, 3, 2, 8, Activation.NONE),
        Conv(8, 16, 7, 3, activation=Activation.RELU),
    ]
    assert [part.nodes for part in program.parts] == [("n0", "n1"), ("n2", "n3")]
    assert program.parts[0].reads == ("x",)


def test_padding_that_something_else_reads_too_is_no_part_of_a_window(tmp_path):
    b = Build(1, 14, 14, 8)
    padded = b.pad(b.x, [1, 1], (1, 16, 16, 8))
    y = b.conv(padded, 8, 8, 14, 3, padding=VALID)
    with pytest.raises(UnsupportedOperatorError, match=r"1 nodes .*n0 \(PAD\)"):
        read_program(b.written(tmp_path, y, padded))


@pytest.mark.parametrize("side", [13, 14])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (5, 2), (7, 1)])
def test_same_padding_keeps_what_a_window_makes(tmp_path, side, kernel, stride):
    b = Build(1, side, side, 8)
    y = b.conv(b.x, 8, 8, -(-side // stride), kernel, stride)
    (found,) = operators_of(b.written(tmp_path, y))
    assert found == Conv(8, 8, side, kernel, stride, activation=Activation.NONE)
    assert found.output_shape[1] == -(-side // stride)


def test_pools_are_told_by_their_window_and_padding(tmp_path):
    b = Build(1, 14, 14, 8)
    window = {"strideH": 2, "strideW": 2, "filterHeight": 3, "filterWidth": 3}
    y = b.pad(b.x, [1, 1], (1, 16, 16, 8))
    y = b.add("MAX_POOL_2D", [y], (1, 7, 7, 8), "Pool2DOptions", padding=VALID, **window)
    y = b.add("AVERAGE_POOL_2D", [y], (1, 4, 4, 8), "Pool2DOptions", padding=SAME, **window)
    window = dict.fromkeys(window, 4)
    y = b.add("AVERAGE_POOL_2D", [y], (1, 1, 1, 8), "Pool2DOptions", padding=VALID, **window)
    assert operators_of(b.written(tmp_path, y)) == [
        Pool(8, 14, 3, 2, Pooling.MAX),
        Pool(8, 7, 3, 2, Pooling.AVERAGE, counts_padding=False),
        GlobalPool(8, 4),
    ]


def test_activations_are_found_inside_behind_and_written_out(tmp_path):
    b = Build(1, 14, 14, 8)
    shape = (1, 14, 14, 8)
    y = b.conv(b.x, 8, 8, 14, inside=RELU6)
    y = b.add("HARD_SWISH", [b.conv(y, 8, 8, 14)], shape, "HardSwishOptions")
    y = b.conv(y, 8, 8, 14)
    y = b.add("MUL", [y, b.hard_sigmoid(y, shape)], shape, "MulOptions")
    y = b.conv(y, 8, 8, 14, inside=RELU)
    y = b.add("LOGISTIC", [y], shape)
    swish = Conv(8, 8, 14, 1, activation=Activation.HSWISH)
    assert operators_of(b.written(tmp_path, y)) == [
        Conv(8, 8, 14, 1),
        swish,
        swish,
        Conv(8, 8, 14, 1, activation=Activation.RELU),
        Activate(8, 14, Activation.SIGMOID),
    ]


def test_a_block_with_a_gate_is_one_operator(tmp_path):
    b = Build(1, 14, 14, 8)
    y = b.conv(b.x, 8, 24, 14, inside=RELU)
    y = b.depthwise(y, 24, 14, 5, inside=RELU)
    hidden = b.conv(b.mean(y, 24), 24, 8, 1, inside=RELU)
    gate = b.hard_sigmoid(b.conv(hidden, 8, 24, 1), (1, 1, 1, 24))
    y = b.add("MUL", [y, gate], (1, 14, 14, 24), "MulOptions")
    y = b.conv(y, 24, 8, 14)
    y = b.add("ADD", [b.x, y], (1, 14, 14, 8), "AddOptions")
    program = read_program(b.written(tmp_path, y))
    assert [part.operator for part in program.parts][2] == SqueezeExcite(24, 14, 8)
    (block,) = with_blocks(program).parts
    assert block.operator == MBConv(8, 8, 14, 5, expand=3, se=True, activation=Activation.RELU)
    assert len(block.nodes) == program.nodes == 10


def test_what_moves_nothing_is_free_and_layers_take_images_as_vectors(tmp_path):
    b = Build(1, 4, 4, 8)
    y = b.add("STRIDED_SLICE", [b.x, *map(b.integers, ([0, 0, 0, 4], [1, 4, 4, 8], [1] * 4))],
              (1, 4, 4, 4), "StridedSliceOptions", beginMask=7, endMask=15)  # fmt: skip
    y = b.mean(y, 4)
    y = b.add("TRANSPOSE", [y, b.integers([0, 3, 1, 2])], (1, 4, 1, 1), "TransposeOptions")
    options = {"fusedActivationFunction": NONE}
    given = [y, b.reals(10, 4), -1]
    y = b.add("FULLY_CONNECTED", given, (1, 10), "FullyConnectedOptions", **options)
    program = read_program(b.written(tmp_path, y))
    assert [part.operator for part in program.parts] == [
        ChannelSlice(8, 4, 4, 8),
        GlobalPool(4, 4),
        Linear(4, 10, bias=False),
    ]
    assert program.free == ("n2",)


def test_conversions_at_the_ends_and_weights_of_half_precision_cost_nothing(tmp_path):
    b = Build(1, 8, 8, 8)
    y = b.add("QUANTIZE", [b.x], (1, 8, 8, 8), to=BYTE)
    b.kind = BYTE
    y = b.conv(y, 8, 8, 8, inside=RELU)
    program = read_program(b.written(tmp_path, b.add("DEQUANTIZE", [y], (1, 8, 8, 8), to=FLOAT)))
    assert program.precision is Precision.INT8
    assert len(program.free) == 2
    assert len(program.parts) == 1
    b = Build(1, 8, 8, 8)
    half = b.constant(np.ones((4, 1, 1, 8), np.float16))
    weight = b.add("DEQUANTIZE", [half], (4, 1, 1, 8), to=FLOAT)
    y = b.add("CONV_2D", [b.x, weight], (1, 8, 8, 4), "Conv2DOptions", strideH=1, strideW=1)
    program = read_program(b.written(tmp_path, y))
    assert program.precision is Precision.FP32
    bare = Conv(8, 4, 8, 1, activation=Activation.NONE, norm=Norm.NONE)
    assert [part.operator for part in program.parts] == [bare]


def test_files_of_mixed_precision_are_refused(tmp_path):
    b = Build(1, 8, 8, 8)
    weight = b.constant(np.ones((4, 1, 1, 8), np.int8))
    y = b.add("CONV_2D", [b.x, weight], (1, 8, 8, 4), "Conv2DOptions", strideH=1, strideW=1)
    with pytest.raises(ConfigError, match="weights of int8 for activations of float32"):
        read_program(b.written(tmp_path, y))
    b = Build(1, 8, 8, 8, kind=WIDE)
    weight = b.constant(np.ones((4, 1, 1, 8), np.int8))
    y = b.add("CONV_2D", [b.x, weight], (1, 8, 8, 4), "Conv2DOptions", strideH=1, strideW=1)
    with pytest.raises(ConfigError, match="activations of int16"):
        read_program(b.written(tmp_path, y))
    b = Build(1, 8, 8, 8)
    y = b.add("QUANTIZE", [b.conv(b.x, 8, 8, 8)], (1, 8, 8, 8), to=BYTE)
    b.kind = BYTE
    with pytest.raises(ConfigError, match="1 of 2 layers are quantised"):
        read_program(b.written(tmp_path, b.conv(y, 8, 8, 8)))


def test_everything_unknown_is_named_at_once(tmp_path):
    b = Build(1, 8, 8, 8)
    tanh = schema.ActivationFunctionType.TANH
    y = b.conv(b.conv(b.x, 8, 8, 8), 8, 8, 8, inside=tanh)
    y = b.add("SOFTMAX", [y], (1, 8, 8, 8), "SoftmaxOptions")
    y = b.add("MUL", [y, b.x], (1, 8, 8, 8), "MulOptions", fusedActivationFunction=RELU)
    with pytest.raises(UnsupportedOperatorError) as refused:
        read_program(b.written(tmp_path, y))
    message = str(refused.value)
    for words in ("3 nodes", "n1 (CONV_2D)", "n2 (SOFTMAX)", "n3 (MUL)", "HARD_SWISH", "RESHAPE"):
        assert words in message
    b = Build(1, 8, 6, 8)
    y = b.add("RELU", [b.x], (1, 8, 6, 8))
    with pytest.raises(UnsupportedOperatorError, match="no square image but 1x8x8x6"):
        read_program(b.written(tmp_path, y))


def test_what_leads_to_no_output_costs_nothing(tmp_path):
    b = Build(1, 8, 8, 8)
    b.conv(b.x, 8, 64, 8, 3)
    program = read_program(b.written(tmp_path, b.conv(b.x, 8, 8, 8)))
    assert len(program.parts) == len(program.free) == 1


def test_tensors_without_names_of_their_own_are_told_apart(tmp_path):
    b = Build(1, 8, 8, 8)
    y = b.conv(b.conv(b.x, 8, 8, 8), 8, 4, 8)
    for tensor in b.tensors:
        tensor.name = b"same"
    program = read_program(b.written(tmp_path, y))
    assert [part.operator.output_shape[0] for part in program.parts] == [8, 4]
    assert program.parts[1].reads == (program.parts[0].writes,)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\x00\x01nonsense")
    with pytest.raises(ArtefactError, match=r"broken\.tflite is no TFLite model"):
        read_program(path)
    b = Build(1, 8, 8, 8)
    whole = b.written(tmp_path, b.conv(b.x, 8, 8, 8)).read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(ArtefactError, match="no whole TFLite model"):
        read_program(path)


def test_a_sample_of_another_tool_is_made_of_blocks():
    path = corpus_folder().parent / "samples" / "litert" / "mini_mbv2.tflite"
    if not path.is_file():
        pytest.skip(f"There is no {path}; the folder of samples lies beside that of ELAT_DATA.")
    onnx = path.parent.parent / "onnxruntime" / "mini_mbv2.onnx"
    found = [with_blocks(read_program(file)).parts for file in (path, onnx)]
    assert [p.operator for p in found[0]] == [
        Conv(3, 16, 112, 3, 2),
        MBConv(16, 16, 56, 3, expand=4),
        MBConv(16, 32, 56, 3, 2),
        GlobalPool(32, 28),
        Linear(32, 1000),
    ]
    assert [p.operator for p in found[1]] == [p.operator for p in found[0]]
