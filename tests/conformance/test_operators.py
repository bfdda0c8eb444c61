"""What every registered operator promises, checked against torch."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from elat.core.errors import UnsupportedOperatorError
from elat.core.seeding import torch_generator
from elat.latency.graph import reference
from elat.latency.graph.ir import Activation, Pooling
from elat.latency.operators import Operator, operators
from elat.latency.operators.activate import Activate
from elat.latency.operators.add import Add
from elat.latency.operators.aggregate import Aggregate, How
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
from elat.latency.operators.point_conv import PointConv
from elat.latency.operators.point_sum import PointSum
from elat.latency.operators.pool import Pool
from elat.latency.operators.serial import from_json, key, kind_of, to_json
from elat.latency.operators.shift import Shift
from elat.latency.operators.squeeze_excite import SqueezeExcite
from elat.latency.operators.sum import Sum
from elat.latency.operators.weights import initialise, randomise_statistics
from elat.latency.operators.zero import Zero

EXAMPLES: tuple[Operator, ...] = (
    Conv(3, 8, 9, 3, 2),
    Conv(8, 12, 6, 1, activation=Activation.NONE),
    Conv(8, 12, 6, 3, groups=4, activation=Activation.RELU),
    Conv(8, 8, 7, 5, 2, groups=8, activation=Activation.HSWISH),
    Conv(4, 6, 7, 3, activation=Activation.NONE, norm=Norm.BIAS),
    Conv(4, 6, 7, 3, 2, norm=Norm.NONE, padding=0),
    MBConv(8, 8, 8, 3),
    MBConv(8, 12, 9, 5, 2, 3),
    MBConv(8, 8, 6, 7, 1, 1, True),
    MBConv(4, 8, 6, 3, 1, 4, True, Activation.HSWISH),
    MBConv(8, 8, 6, 3, mid_channels=20),
    SqueezeExcite(6, 5, 3),
    SqueezeExcite(6, 5, 3, Activation.SIGMOID),
    DepthConv(6, 6, 7, 5),
    DepthConv(6, 6, 9, 3, dilation=2),
    PointConv(6, 8, 7),
    PointConv(6, 6, 5, Activation.HSWISH),
    Conv(4, 6, 9, 3, 2, padding=1, dilation=2),
    DepthConv(6, 8, 7, 3, 2, Activation.HSWISH),
    BatchNorm(6, 5),
    BatchNorm(6, 5, Activation.HSWISH),
    *(Activate(6, 5, a) for a in Activation if a is not Activation.NONE),
    Pool(4, 9, 3, 2),
    Pool(4, 8, 2, 2, Pooling.MAX),
    Pool(4, 8, 3, 2, counts_padding=False),
    Pool(4, 7, 3, 1, counts_padding=False),
    GlobalPool(6, 5),
    Linear(12, 7),
    Linear(12, 7, Activation.HSWISH),
    Add(4, 5),
    Aggregate(1, 4, 3, 6, 3),
    Aggregate(3, 4, 5, 6, 3),
    Aggregate(3, 4, 5, 6, 1, How.SUM),
    Add(4, 5, Activation.RELU),
    Add(4, 5, Activation.HSWISH),
    ChannelSlice(6, 5, 2, 5),
    ChannelPad(4, 7, 5),
    ChannelShuffle(6, 5, 3),
    Shift(4, 5),
    Concat((3, 5, 2), 4),
    Sum(2, 4, 5),
    Sum(3, 4, 5, Activation.RELU),
    Sum(4, 3, 5, Activation.HSWISH),
    PointSum((3, 5, 2), 4, 6),
    PointSum((4, 4), 6, 5, Activation.HSWISH),
    Identity(4, 5),
    Zero(4, 5),
    Chain((Conv(3, 8, 8, 3, 2), Zero(8, 4), MBConv(8, 8, 4, 3), GlobalPool(8, 4), Linear(8, 3))),
)
RESIDUAL = Dag(
    (
        Conv(4, 6, 8, 3, 2, activation=Activation.RELU),
        Conv(6, 6, 4, 3, activation=Activation.NONE),
        Conv(4, 6, 8, 1, 2, activation=Activation.NONE),
        Add(6, 4, Activation.RELU),
        Zero(6, 4),
        Concat((6, 6), 4),
    ),
    ((0,), (1,), (0,), (2, 3), (4,), (5, 1)),
)
EXAMPLES += (RESIDUAL, Chain((Conv(3, 4, 16, 3, 2), RESIDUAL, GlobalPool(12, 4))))
LOWERED = tuple(operator for operator in EXAMPLES if not operator.is_free)


def _module(operator: Operator) -> torch.nn.Module:
    module = operator.build().eval()
    initialise(module, torch_generator(0, "weights"))
    randomise_statistics(module, torch_generator(0, "statistics"))
    return module


def _inputs(operator: Operator, batch: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch_generator(0, "inputs")
    return [
        torch.randn((batch, *shape), generator=generator, dtype=dtype)
        for shape in operator.input_shapes
    ]


def test_every_registered_kind_has_an_example():
    assert {kind_of(operator) for operator in EXAMPLES} == set(operators)


@pytest.mark.parametrize("operator", EXAMPLES, ids=str)
class TestEvery:
    def test_module_has_the_promised_shapes(self, operator):
        with torch.no_grad():
            output = _module(operator)(*_inputs(operator, 2, torch.float32))
        assert output.shape == (2, *operator.output_shape)

    def test_macs_are_those_that_torch_counts(self, operator):
        module, inputs = _module(operator), _inputs(operator, 1, torch.float32)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module(*inputs)
        assert counter.get_total_flops() == 2 * operator.macs

    def test_params_are_those_of_the_module(self, operator):
        assert sum(p.numel() for p in operator.build().parameters()) == operator.params

    def test_json_round_trip(self, operator):
        read = from_json(to_json(operator))
        assert read == operator
        assert hash(read) == hash(operator)
        assert key(read) == key(operator)

    def test_is_frozen(self, operator):
        field = dataclasses.fields(operator)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(operator, field, getattr(operator, field))

    def test_a_copy_with_other_fields_is_another_key(self, operator):
        others = [other for other in EXAMPLES if other != operator]
        assert len(others) == len(EXAMPLES) - 1
        assert key(operator) not in {key(other) for other in others}


@pytest.mark.parametrize("operator", LOWERED, ids=str)
class TestLowered:
    def test_costs_are_those_of_the_graph(self, operator):
        graph = operator.lower(operator.build().eval())
        assert graph.macs == operator.macs
        assert graph.traffic_elements == operator.traffic_elements

    def test_graph_computes_what_the_module_does(self, operator):
        """In float64; what is left is the rounding of the folded weights to float32."""
        module, inputs = _module(operator), _inputs(operator, 2, torch.float64)
        graph = operator.lower(module, batch=2)
        with torch.no_grad():
            expected = module.double()(*(x.clone() for x in inputs)).numpy()
        found = reference.run(graph, [x.numpy() for x in inputs])[graph.output.name]
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("operator", [o for o in EXAMPLES if o.is_free], ids=str)
def test_a_free_operator_is_never_lowered(operator):
    with pytest.raises(UnsupportedOperatorError, match="0 by definition"):
        operator.lower(operator.build())
