"""One network is read as the same operators from every format that it is written in."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError
from elat.latency.artefacts import export
from elat.latency.decompose import read_program, with_blocks
from elat.latency.graph.ir import Activation, Pooling
from elat.latency.operators import Operator
from elat.latency.operators.activate import Activate
from elat.latency.operators.batch_norm import BatchNorm
from elat.latency.operators.chain import Chain
from elat.latency.operators.channel_pad import ChannelPad
from elat.latency.operators.channel_shuffle import ChannelShuffle
from elat.latency.operators.channel_slice import ChannelSlice
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.pool import Pool
from elat.latency.operators.squeeze_excite import SqueezeExcite
from elat.latency.precision import Precision
from elat.search.spaces import find_space
from elat.search.zoo import networks

FORMATS = {"onnx": "onnxruntime", "tflite": "tflite"}
ACTIVATIONS = (Activation.NONE, Activation.RELU, Activation.RELU6, Activation.HSWISH)


def read(folder, operator, precision=Precision.FP32):
    """The program of each format, the first one ONNX."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = operator.build().eval()
    random = np.random.default_rng(0)
    sample = tuple(
        random.standard_normal((1, *shape), np.float32) for shape in operator.input_shapes
    )
    calibration = (sample,) if precision is Precision.INT8 else ()
    found = []
    for suffix, runtime in FORMATS.items():
        path = folder / f"network.{suffix}"
        path.write_bytes(
            export(operator, module, runtime, precision=precision, calibration=calibration)
        )
        found.append(read_program(path))
    return found


def operators_of(program):
    return [part.operator for part in program.parts]


@st.composite
def convolutions(draw, channels, side):
    kernel = draw(st.sampled_from([1, 3, 5]))
    groups = [1, 2] if kernel == 1 else [1, 2, channels]
    group = draw(st.sampled_from([g for g in groups if channels % g == 0]))
    out = channels if group == channels else draw(st.sampled_from([8, 12, 16]))
    dilation = draw(st.sampled_from([1, 2])) if kernel == 3 else 1
    return Conv(
        channels, out, side, kernel, draw(st.sampled_from([1, 2])), group,
        draw(st.sampled_from(ACTIVATIONS)),
        padding=draw(st.sampled_from([None, 0])) if side > 8 else None,
        dilation=dilation,
    )  # fmt: skip


@st.composite
def others(draw, channels, side, last):
    choices: list[Operator] = [
        ChannelPad(channels, channels + 4, side),
        Activate(channels, side, Activation.SIGMOID),
        Activate(channels, side, Activation.HSIGMOID),
        SqueezeExcite(channels, side, 4, draw(st.sampled_from(["hsigmoid", "sigmoid"]))),
        Pool(channels, side, 3, draw(st.sampled_from([1, 2])), Pooling.MAX),
        Pool(channels, side, 3, 1, Pooling.AVERAGE, draw(st.booleans())),
        Pool(channels, side, 2, 2, draw(st.sampled_from(list(Pooling)))),
    ]
    if channels % 2 == 0:
        begin = draw(st.sampled_from([0, channels // 2]))
        choices += [
            ChannelSlice(channels, side, begin, begin + channels // 2),
            ChannelShuffle(channels, side, 2),
            MBConv(channels, draw(st.sampled_from([channels, 12])), side, 3, expand=3,
                   se=draw(st.booleans()), activation=draw(st.sampled_from(ACTIVATIONS[1:]))),
        ]  # fmt: skip
    if last is None or isinstance(last, Pool):
        # Behind a convolution without an activation it is folded by one runtime alone.
        choices.append(BatchNorm(channels, side, draw(st.sampled_from(ACTIVATIONS[:3]))))
    return draw(st.sampled_from(choices))


@st.composite
def chains(draw):
    channels, side = draw(st.sampled_from([3, 8, 12])), draw(st.sampled_from([9, 14, 16]))
    operators: list[Operator] = []
    for _ in range(draw(st.integers(1, 4))):
        last = operators[-1] if operators else None
        kinds = st.one_of(convolutions(channels, side), others(channels, side, last))
        operators.append(draw(kinds))
        channels, side = operators[-1].output_shape[0], operators[-1].output_shape[1]
        if side < 5:
            break
    if draw(st.booleans()):
        operators += [GlobalPool(channels, side), Linear(channels, 10)]
    return Chain(tuple(operators))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(chain=chains())
def test_any_chain_is_the_same_in_both_formats(tmp_path, chain):
    onnx, tflite = read(tmp_path, chain)
    assert operators_of(onnx) == operators_of(tflite)
    assert sum(operator.macs for operator in operators_of(tflite)) == chain.macs
    assert [p.operator for p in with_blocks(onnx).parts] == [
        p.operator for p in with_blocks(tflite).parts
    ]
    for program in (onnx, tflite):
        names = [name for part in program.parts for name in part.nodes]
        assert len({*names, *program.free}) == len(names) + len(program.free) == program.nodes


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
@pytest.mark.parametrize("side", [13, 14])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 2), (3, 1), (3, 2), (5, 2)])
@pytest.mark.parametrize("pooling", [*Pooling, None])
def test_pools_are_the_same_in_both(tmp_path, pooling, kernel, stride, side, precision):
    counts = pooling is not None or kernel == 2
    pool = Pool(8, side, kernel, stride, pooling or Pooling.AVERAGE, counts)
    for program in read(tmp_path, pool, precision):
        assert operators_of(program) == [pool]


@pytest.mark.parametrize("name", ["proxyless-tiny", "nas-bench-macro"])
@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_a_network_of_a_space_is_made_of_its_operators_in_both(tmp_path, name, precision):
    space = find_space(name)
    architecture = space.sample(torch.Generator().manual_seed(5))
    made_of = Counter(o for o in space.operators(architecture) if not o.is_free)
    for program in read(tmp_path, space.network(architecture), precision):
        assert program.precision is precision
        if name == "proxyless-tiny":
            assert Counter(operators_of(with_blocks(program))) == made_of
        assert sum(o.macs for o in operators_of(program)) == sum(
            o.macs for o in made_of.elements()
        )


@pytest.mark.parametrize("name", ["resnet20", "densenet40_12"])
def test_a_published_network_is_the_same_in_both(tmp_path, name):
    network = networks[name].operator()
    onnx, tflite = read(tmp_path, network)
    assert operators_of(onnx) == operators_of(tflite)
    assert sum(operator.macs for operator in operators_of(tflite)) == network.macs


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet_a1",
        "proxyless_mobile", "shufflenet_v2_x1_0", "resnet18", "resnet50", "densenet121",
    ],
)  # fmt: skip
def test_large_published_networks_are_the_same_in_both(tmp_path, name):
    network = networks[name].operator()
    onnx, tflite = read(tmp_path, network)
    assert operators_of(onnx) == operators_of(tflite)
    assert sum(operator.macs for operator in operators_of(tflite)) == network.macs


def test_a_batch_norm_behind_a_bare_convolution_is_folded_where_the_runtime_folds_it(tmp_path):
    conv = Conv(8, 16, 14, 1, activation=Activation.NONE, norm=Norm.NONE)
    onnx, tflite = read(tmp_path, Chain((conv, BatchNorm(16, 14, Activation.RELU))))
    assert operators_of(onnx) == [Conv(8, 16, 14, 1, activation=Activation.RELU)]
    assert operators_of(tflite) == [
        Conv(8, 16, 14, 1, activation=Activation.NONE),
        BatchNorm(16, 14, Activation.RELU),
    ]


def test_activations_that_a_quantised_file_leaves_to_its_limits_are_found(tmp_path):
    gated = MBConv(8, 8, 8, 3, expand=3, se=True)
    chain = Chain((Conv(3, 8, 16, 3, 2), gated, GlobalPool(8, 8), Linear(8, 1)))
    for program in read(tmp_path, chain, Precision.INT8):
        assert tuple(operators_of(with_blocks(program))) == chain.operators


def test_a_file_that_is_not_there_is_refused_in_every_format(tmp_path):
    from elat.core.errors import ArtefactError

    for suffix in FORMATS:
        with pytest.raises(ArtefactError, match="does not exist"):
            read_program(tmp_path / f"none.{suffix}")


def test_formats_are_told_by_content(tmp_path):
    conv = Conv(3, 8, 16, 3, 2)
    onnx, tflite = read(tmp_path, conv)
    (tmp_path / "network.tflite").rename(tmp_path / "network.bin")
    assert read_program(tmp_path / "network.bin") == tflite
    assert operators_of(onnx) == [conv]


def test_several_images_at_once_are_refused_in_both(tmp_path):
    conv = Conv(3, 8, 16, 3, 2)
    for suffix, runtime in FORMATS.items():
        path = tmp_path / f"network.{suffix}"
        path.write_bytes(export(conv, conv.build().eval(), runtime, batch=4))
        with pytest.raises(ConfigError, match="takes 4 images at once"):
            read_program(path)
