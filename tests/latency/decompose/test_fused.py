"""Programs follow the rules of a device, and stay as they are without."""

from __future__ import annotations

from collections import Counter

import pytest

from elat.latency.artefacts import export
from elat.latency.condition import Condition, Method, Precision
from elat.latency.decompose import read_program, with_blocks
from elat.latency.decompose.fused import with_fusion
from elat.latency.fusion.pairs import Pair
from elat.latency.fusion.rules import FusionRules, Rule
from elat.latency.graph.ir import Activation
from elat.latency.operators.activate import Activate
from elat.latency.operators.add import Add
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.dag_builder import DagBuilder
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.mbconv import MBConv
from elat.search.zoo import networks

CONDITION = Condition("x", "onnxruntime", "", Precision.FP32, 1, 1, Method.BLOCK, ())
SUMS = ((("dense",), "add"), (("dense", "add"), "relu"))


def rules(*fused, apart=()):
    """Rules by profiles alone, as times would need rounds."""
    found = [Rule(Pair(*pair), {}, True) for pair in fused]
    found += [Rule(Pair(*pair), {}, False) for pair in apart]
    return FusionRules(CONDITION, "measured", tuple(found))


def program(tmp_path, network):
    path = tmp_path / "network.onnx"
    path.write_bytes(export(network, network.build().eval(), "onnxruntime"))
    return read_program(path)


def bare(channels, kernel):
    """A convolution to 8 channels without an activation."""
    return Conv(channels, 8, 8, kernel, activation=Activation.NONE, norm=Norm.BIAS)


def residual(activation):
    """Two convolutions, and the sum of the second with the input of the first."""
    builder = DagBuilder((4, 8, 8))
    start = builder.add(Conv(4, 8, 8, 1), 0)
    inner = builder.add(Conv(8, 8, 8, 3, activation=Activation.RELU), start)
    last = builder.add(bare(8, 3), inner)
    total = builder.add(Add(8, 8, activation), last, start)
    builder.add(GlobalPool(8, 8), total)
    return builder.finish()


def test_a_sum_goes_with_the_convolution_that_it_is_fused_into(tmp_path):
    read = program(tmp_path, residual(Activation.RELU))
    found = with_fusion(read, rules(*SUMS))
    operators = [part.operator for part in found.parts]
    assert not any(isinstance(o, Add) for o in operators)
    assert operators[2] == Conv(8, 8, 8, 3, activation=Activation.RELU)
    assert len(found.parts) == len(read.parts) - 1
    nodes = [node for part in found.parts for node in part.nodes]
    assert Counter(nodes) == Counter(node for part in read.parts for node in part.nodes)
    assert found.parts[2].reads == (found.parts[1].writes, found.parts[0].writes)
    assert found.parts[3].reads == (found.parts[2].writes,)
    assert found.nodes == read.nodes


@pytest.mark.parametrize(
    "known",
    [
        None,
        rules(),
        rules(SUMS[0]),
        rules(SUMS[1], apart=[SUMS[0]]),
        rules((("pointwise",), "add"), (("pointwise", "add"), "relu")),
    ],
)
def test_nothing_is_joined_that_the_rules_do_not_say(tmp_path, known):
    read = program(tmp_path, residual(Activation.RELU))
    assert with_fusion(read, known).parts == read.parts


def test_of_two_convolutions_the_later_takes_the_sum(tmp_path):
    builder = DagBuilder((4, 8, 8))
    left = builder.add(bare(4, 1), 0)
    right = builder.add(bare(4, 3), 0)
    builder.add(GlobalPool(8, 8), builder.add(Add(8, 8), left, right))
    read = program(tmp_path, builder.finish())
    found = with_fusion(read, rules((("dense",), "add"), (("pointwise",), "add")))
    assert [len(part.nodes) for part in found.parts][:2] == [1, 2]
    # A sum is fused once: another one behind it stays.
    assert [type(part.operator) for part in found.parts] == [Conv, Conv, GlobalPool]


def test_a_second_sum_is_not_fused_into_the_same_convolution(tmp_path):
    builder = DagBuilder((8, 8, 8))
    first = builder.add(bare(8, 3), 0)
    once = builder.add(Add(8, 8), first, 0)
    builder.add(GlobalPool(8, 8), builder.add(Add(8, 8), once, 0))
    found = with_fusion(program(tmp_path, builder.finish()), rules(*SUMS))
    assert [type(part.operator) for part in found.parts] == [Conv, Add, GlobalPool]


def test_what_others_read_too_is_not_fused(tmp_path):
    builder = DagBuilder((8, 8, 8))
    first = builder.add(bare(8, 3), 0)
    once = builder.add(Add(8, 8), first, 0)
    builder.add(GlobalPool(8, 8), builder.add(Add(8, 8), once, first))
    read = program(tmp_path, builder.finish())
    assert with_fusion(read, rules(*SUMS)).parts == read.parts


def test_a_gate_behind_a_convolution_is_fused_where_that_is_known(tmp_path):
    builder = DagBuilder((8, 8, 8))
    first = builder.add(bare(8, 3), 0)
    gate = builder.add(Activate(8, 8, Activation.SIGMOID), first)
    builder.add(GlobalPool(8, 8), gate)
    read = program(tmp_path, builder.finish())
    assert [type(p.operator) for p in read.parts] == [Conv, Activate, GlobalPool]
    found = with_fusion(read, rules((("dense",), "sigmoid")))
    assert [type(p.operator) for p in found.parts] == [Conv, GlobalPool]


def test_blocks_that_were_measured_whole_stay_whole(tmp_path):
    block = MBConv(8, 8, 8, 3, expand=3)
    builder = DagBuilder((4, 8, 8))
    value = builder.add(block, builder.add(Conv(4, 8, 8, 1), 0))
    builder.add(GlobalPool(8, 8), value)
    read = program(tmp_path, builder.finish())
    known = rules((("pointwise",), "add"))
    assert block in [part.operator for part in with_fusion(with_blocks(read), known).parts]
    assert len(with_fusion(read, known).parts) == len(read.parts) - 1


def test_every_sum_of_a_residual_network_is_fused(tmp_path):
    network = networks["resnet20"].operator()
    read = program(tmp_path, network)
    found = with_fusion(read, rules(*SUMS))
    sums = sum(isinstance(part.operator, Add) for part in read.parts)
    assert sums > 0
    left = sum(isinstance(part.operator, Add) for part in found.parts)
    assert len(found.parts) == len(read.parts) - (sums - left)
    assert sum(p.operator.macs for p in found.parts) == network.macs
    assert left == 0
