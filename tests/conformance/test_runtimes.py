"""What every registered runtime promises."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from elat.core.errors import ConfigError, MeasurementError, WrongOutputError
from elat.latency.artefacts import ArtefactCache
from elat.latency.condition import Condition, Method, Precision
from elat.latency.graph.ir import Activation, Pooling
from elat.latency.operators import Operator
from elat.latency.operators.activate import Activate
from elat.latency.operators.add import Add
from elat.latency.operators.batch_norm import BatchNorm
from elat.latency.operators.chain import Chain
from elat.latency.operators.channel_pad import ChannelPad
from elat.latency.operators.channel_shuffle import ChannelShuffle
from elat.latency.operators.channel_slice import ChannelSlice
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.dag import Dag
from elat.latency.operators.depth_conv import DepthConv
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.identity import Identity
from elat.latency.operators.linear import Linear
from elat.latency.operators.mbconv import MBConv
from elat.latency.operators.point_sum import PointSum
from elat.latency.operators.pool import Pool
from elat.latency.operators.shift import Shift
from elat.latency.operators.squeeze_excite import SqueezeExcite
from elat.latency.operators.sum import Sum
from elat.latency.operators.zero import Zero
from elat.latency.runtimes import runtimes
from elat.latency.sample import Sample

from ..latency.tensorrt import pretended

NETWORK = Chain(
    (
        Conv(3, 8, 28, 3, 2),
        MBConv(8, 8, 14, 3, 1, 1),
        MBConv(8, 16, 14, 5, 2, 6),
        Zero(16, 7),
        MBConv(16, 16, 7, 7, 1, 3, True),
        Identity(16, 7),
        MBConv(16, 16, 7, 3, 1, 4, True, Activation.HSWISH),
        Conv(16, 64, 7, 1),
        GlobalPool(64, 7),
        Linear(64, 10),
    )
)
BRANCHES = Dag(
    (
        Conv(3, 12, 16, 3, 2, activation=Activation.RELU),
        ChannelSlice(12, 8, 0, 6),
        ChannelSlice(12, 8, 6, 12),
        DepthConv(6, 6, 8, 3),
        Zero(6, 8),
        Concat((6, 6), 8),
        ChannelShuffle(12, 8),
        Pool(12, 8, 3, 1, counts_padding=False),
        Add(12, 8, Activation.RELU),
        GlobalPool(12, 8),
        Linear(12, 10),
    ),
    ((0,), (1,), (1,), (2,), (3,), (5, 4), (6,), (7,), (8, 1), (9,), (10,)),
)
CASES: tuple[Operator, ...] = (
    Conv(3, 16, 14, 3, 2),
    Conv(3, 16, 15, 3, 2),
    Conv(1, 8, 12, 5, activation=Activation.NONE),
    Conv(8, 24, 9, 1, activation=Activation.RELU),
    Conv(16, 16, 10, 3, groups=4),
    Conv(16, 16, 10, 3, 2, groups=16, activation=Activation.HSWISH),
    Conv(8, 16, 10, 5, groups=8),
    MBConv(8, 8, 10, 3),
    MBConv(8, 12, 11, 7, 2, 2, True, Activation.HSWISH),
    *(Pool(8, r, 3, s, p) for r in (8, 9) for s in (1, 2) for p in Pooling),
    Pool(8, 8, 2, 2),
    Pool(8, 8, 2, 2, Pooling.MAX),
    GlobalPool(16, 7),
    Linear(32, 10),
    Linear(32, 10, Activation.HSWISH),
    Add(8, 6),
    Add(8, 6, Activation.RELU),
    Concat((8, 4, 12), 5),
    Concat((12,) * 64, 4),
    Sum(3, 8, 6, Activation.RELU),
    Sum(64, 12, 4),
    PointSum((8, 4, 12), 10, 6),
    PointSum((12,) * 64, 16, 4, Activation.RELU),
    Identity(8, 6),
    Conv(8, 8, 9, 3, 2, activation=Activation.NONE, norm=Norm.BIAS, padding=0),
    MBConv(8, 8, 9, 3, se=True, mid_channels=20),
    SqueezeExcite(8, 6, 4, Activation.SIGMOID),
    DepthConv(8, 12, 9, 5),
    BatchNorm(8, 6),
    BatchNorm(8, 6, Activation.HSWISH),
    *(Activate(8, 6, a) for a in Activation if a is not Activation.NONE),
    *(Pool(8, r, 3, s, counts_padding=False) for r in (8, 9) for s in (1, 2)),
    ChannelSlice(8, 6, 2, 7),
    ChannelPad(8, 11, 6),
    ChannelShuffle(12, 6, 3),
    Shift(8, 6),
    NETWORK,
    BRANCHES,
)
SMALL = Conv(3, 8, 8, 3)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# The others run by launches of their own, and open no session.
IN_PROCESS = [name for name in runtimes if runtimes[name].launch == "process"]


@pytest.fixture(params=IN_PROCESS)
def runtime(request, monkeypatch, tmp_path):
    runtime = runtimes[request.param]()
    if request.param == "tensorrt" and runtime.unavailable_reason():
        pretended.install(monkeypatch, tmp_path)
    if reason := runtime.unavailable_reason():
        pytest.skip(reason)
    return runtime


@pytest.fixture
def condition(runtime):
    name = next(name for name in runtimes if runtimes[name] is type(runtime))
    options = tuple(sorted(runtime.options({}).items()))
    return Condition("here", name, runtime.version(), Precision.FP32, 1, 1, Method.BLOCK, options)


PRECISE = pytest.mark.parametrize(
    ("runtime", "precision"),
    [(name, precision) for name in IN_PROCESS for precision in sorted(runtimes[name].precisions)],
    indirect=["runtime"],
)


@PRECISE
@pytest.mark.parametrize("operator", CASES, ids=str)
def test_computes_what_torch_computes(runtime, condition, operator, precision, tmp_path):
    condition = replace(condition, precision=precision)
    artefact = ArtefactCache(tmp_path).artefact(operator, condition)
    with runtime.open(artefact.model_path, artefact.inputs, condition) as session:
        output = session.output()
        assert output.dtype == np.float32
        artefact.check(output)
        np.testing.assert_array_equal(session.output(), output)


@PRECISE
def test_batches_and_threads(runtime, condition, precision, tmp_path):
    condition = replace(condition, precision=precision, batch=3, threads=2)
    artefact = ArtefactCache(tmp_path).artefact(NETWORK, condition)
    assert artefact.expected.shape == (3, 10)
    with runtime.open(artefact.model_path, artefact.inputs, condition) as session:
        artefact.check(session.output())


def test_samples_count_their_loops(runtime, condition, tmp_path):
    artefact = ArtefactCache(tmp_path).artefact(SMALL, condition)
    with runtime.open(artefact.model_path, artefact.inputs, condition) as session:
        sample = session.time_loops(3)
    assert isinstance(sample, Sample)
    assert sample.loops == 3
    assert sample.wall_ns > 0
    assert sample.cpu_ns >= 0


def test_sessions_live_side_by_side(runtime, condition, tmp_path):
    cache = ArtefactCache(tmp_path)
    first, second = (cache.artefact(op, condition) for op in (SMALL, NETWORK))
    with (
        runtime.open(first.model_path, first.inputs, condition) as a,
        runtime.open(second.model_path, second.inputs, condition) as b,
    ):
        for _ in range(2):
            first.check(a.output())
            second.check(b.output())


@PRECISE
def test_the_same_graph_gives_the_same_bytes(runtime, condition, precision, tmp_path):
    condition = replace(condition, precision=precision)
    hashes = {ArtefactCache(tmp_path / name).artefact(NETWORK, condition).sha256 for name in "ab"}
    assert len(hashes) == 1


def test_a_file_that_is_no_model_is_refused(runtime, condition, tmp_path):
    path = tmp_path / f"model{runtime.suffix}"
    path.write_bytes(b"no model")
    with (
        pytest.raises(MeasurementError, match=r"refuses.*model"),
        runtime.open(path, (np.zeros((1, 3, 8, 8), np.float32),), condition),
    ):
        pass


def test_the_wrong_number_of_inputs_is_refused(runtime, condition, tmp_path):
    artefact = ArtefactCache(tmp_path).artefact(SMALL, condition)
    with (
        pytest.raises(MeasurementError, match="takes 1 inputs, got 2"),
        runtime.open(artefact.model_path, artefact.inputs * 2, condition),
    ):
        pass


def test_an_artefact_of_other_weights_fails_its_check(runtime, condition, tmp_path):
    cache = ArtefactCache(tmp_path)
    artefact = cache.artefact(SMALL, condition)
    other = cache.artefact(replace(SMALL, activation=Activation.NONE), condition)
    with (
        runtime.open(other.model_path, artefact.inputs, condition) as session,
        pytest.raises(WrongOutputError, match="differs from torch"),
    ):
        artefact.check(session.output())


def test_options_have_values_and_unknown_ones_are_refused(runtime):
    options = runtime.options({})
    assert runtime.options(options) == options
    assert all(isinstance(value, str | int | float | bool) for value in options.values())
    with pytest.raises(ConfigError, match="no_such_option"):
        runtime.options({"no_such_option": 1})


def test_says_what_it_is(runtime):
    assert runtime.suffix.startswith(".")
    assert runtime.version()
    assert runtime.origin in ("measured", "simulated")
