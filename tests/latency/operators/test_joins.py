"""Sums of several inputs, and concatenations that are convolved without being written."""

from typing import Any

import pytest
import torch

from elat.core.errors import ConfigError
from elat.latency.graph.ir import Activation, Add, Conv
from elat.latency.operators.add import Add as AddOperator
from elat.latency.operators.point_sum import PointSum
from elat.latency.operators.sum import Sum

# Without its signature: these tests pass what a type checker refuses.
point_sum: Any = PointSum


def _inputs(shapes: tuple[tuple[int, ...], ...], seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(2, *s, generator=generator, dtype=torch.float64) for s in shapes]


@pytest.mark.parametrize("channels", [(3, 5), (4, 4, 4), (12,) * 64, (1, 7, 2, 9)])
@pytest.mark.parametrize("activation", [Activation.NONE, Activation.RELU])
def test_slices_of_a_weight_equal_the_convolution_of_the_concatenation(channels, activation):
    """The identity `W [x_1; ...; x_n] = sum_s W_s x_s`, in float64."""
    operator = PointSum(channels, 6, 5, activation)
    sliced = operator.build().double().eval()
    join, point = (part.build().double().eval() for part in operator.plain)
    with torch.no_grad():
        weight = torch.randn(
            6, sum(channels), 1, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        )
        sliced.get_submodule("conv").get_parameter("weight").copy_(weight)
        point.get_submodule("conv").get_parameter("weight").copy_(weight)
        xs = _inputs(operator.input_shapes)
        torch.testing.assert_close(sliced(*xs), point(join(*xs)), rtol=1e-12, atol=1e-12)


def test_slices_do_the_work_of_the_convolution_and_write_no_concatenation():
    operator = PointSum((3, 5, 4), 6, 7)
    join, point = operator.plain
    assert (operator.macs, operator.params) == (point.macs, point.params)
    # By hand: inputs 12·49, weights 12·6, a bias of 6 and an output of 6·49 a slice, and two
    # additions of 3·6·49.
    assert operator.traffic_elements == 12 * 49 + 72 + 3 * (6 + 294) + 2 * 3 * 294
    assert join.traffic_elements + point.traffic_elements == 2 * 588 + 588 + 72 + 6 + 294


def test_slices_are_cut_where_the_inputs_meet():
    operator = PointSum((3, 5, 4), 6, 7)
    module = operator.build().eval()
    nodes = operator.lower(module).nodes
    assert [type(node) for node in nodes] == [Conv] * 3 + [Add] * 2
    slices = [node.weight for node in nodes if isinstance(node, Conv)]
    whole = module.get_submodule("conv").get_parameter("weight").detach()
    assert torch.equal(torch.cat([torch.from_numpy(part) for part in slices], dim=1), whole)


@pytest.mark.parametrize("count", [2, 3, 17])
def test_a_sum_is_a_chain_of_additions(count):
    operator = Sum(count, 4, 5, Activation.RELU)
    module = operator.build().eval()
    xs = _inputs(operator.input_shapes)
    expected = torch.stack(xs).sum(dim=0).relu()
    torch.testing.assert_close(module(*xs), expected, rtol=1e-12, atol=1e-12)
    nodes = operator.lower(module).nodes
    activations = [node.activation for node in nodes if isinstance(node, Add)]
    assert activations == [Activation.NONE] * (count - 2) + [Activation.RELU]
    assert operator.traffic_elements == (count - 1) * AddOperator(4, 5).traffic_elements


def test_inputs_stay_what_they_are():
    operator = Sum(2, 3, 4, Activation.RELU)
    xs = _inputs(operator.input_shapes)
    before = [x.clone() for x in xs]
    operator.build()(*xs)
    assert all(torch.equal(x, y) for x, y in zip(xs, before, strict=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sum(1, 4, 5), "count must be at least 2, found 1"),
        (lambda: Sum(2, 4, 5, Activation.SIGMOID), "activation must be one of"),
        (lambda: PointSum((4,), 4, 5), "two or more integers of at least 1"),
        (lambda: PointSum((4, 0), 4, 5), "two or more integers of at least 1"),
        (lambda: point_sum([4, 4], 4, 5), "two or more integers of at least 1"),
        (lambda: PointSum((4, 4), 0, 5), "out_channels must be an integer"),
    ],
)
def test_what_is_no_join_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
