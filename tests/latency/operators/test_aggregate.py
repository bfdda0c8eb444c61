"""Layers that read several earlier outputs, against the operators that they consist of."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from elat.core.errors import ConfigError
from elat.latency.graph.ir import Activation
from elat.latency.methods.in_situ import InSitu
from elat.latency.operators.aggregate import Aggregate, How
from elat.latency.operators.batch_norm import BatchNorm
from elat.latency.operators.concat import Concat
from elat.latency.operators.conv import Conv, Norm
from elat.latency.operators.dag import Dag
from elat.latency.operators.global_pool import GlobalPool
from elat.latency.operators.serial import from_json, to_json
from elat.latency.operators.sum import Sum
from elat.latency.operators.weights import initialise, randomise_statistics

# Without its signature: some tests pass what a type checker refuses.
aggregate: Any = Aggregate


def by_hand(operator: Aggregate) -> Dag:
    """The same computation as a network of plain operators; one input is read many times."""
    width, side = operator.channels, operator.resolution
    parts: list[Any] = []
    joined = width
    if operator.sources > 1 and operator.how is How.SUM:
        parts.append(Sum(operator.sources, width, side))
    elif operator.sources > 1:
        parts.append(Concat((width,) * operator.sources, side))
        joined *= operator.sources
    parts.append(BatchNorm(joined, side, Activation.RELU))
    parts.append(
        Conv(
            joined,
            operator.out_channels,
            side,
            operator.kernel,
            activation=Activation.NONE,
            norm=Norm.NONE,
        )
    )
    first = Conv(width, width, side, 1)  # a network has one input
    reads = [(0,), (1,) * operator.sources, *((k,) for k in range(2, len(parts) + 1))]
    return Dag((first, *parts), tuple(reads))


@pytest.mark.parametrize("how", list(How))
@pytest.mark.parametrize("sources", [1, 2, 5])
@pytest.mark.parametrize("kernel", [1, 3])
def test_it_is_a_join_a_norm_and_a_convolution(how: How, sources: int, kernel: int) -> None:
    operator = Aggregate(sources, 4, 6, 7, kernel, how)
    module = operator.build()
    initialise(module, torch.Generator().manual_seed(0))
    randomise_statistics(module, torch.Generator().manual_seed(1))
    module.double()
    generator = torch.Generator().manual_seed(2)
    xs = [
        torch.randn(3, *shape, generator=generator, dtype=torch.float64)
        for shape in operator.input_shapes
    ]
    norm: Any
    conv: Any
    norm, conv = module.get_submodule("norm.bn"), module.get_submodule("conv.conv")
    joined = torch.stack(xs).sum(dim=0) if how is How.SUM else torch.cat(xs, dim=1)
    for is_training in (False, True):
        module.train(is_training)
        mean, variance = norm.running_mean.clone(), norm.running_var.clone()
        if is_training:
            mean, variance = joined.mean(dim=(0, 2, 3)), joined.var(dim=(0, 2, 3), correction=0)
        scale = norm.weight / (variance + 1e-3).sqrt()
        x = (joined - mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
        wanted = torch.nn.functional.conv2d(x.relu(), conv.weight, padding=kernel // 2)
        torch.testing.assert_close(module(*xs), wanted, rtol=1e-12, atol=1e-12)
    assert conv.bias is None


@pytest.mark.parametrize("how", list(How))
@pytest.mark.parametrize("sources", [1, 2, 12])
def test_it_costs_what_its_parts_cost(how: How, sources: int) -> None:
    operator = Aggregate(sources, 4, 6, 7, 3, how)
    _, *parts = by_hand(operator).operators
    assert operator.parts == tuple(parts)
    assert operator.macs == sum(part.macs for part in parts)
    assert operator.params == sum(part.params for part in parts)
    assert operator.traffic_elements == sum(part.traffic_elements for part in parts)


def test_its_costs_by_hand() -> None:
    """12 outputs of 16 channels and 8 x 8 pixels: 192 channels concatenated, 16 added up."""
    concat, added = (Aggregate(12, 16, 16, 8, 3, how) for how in How)
    assert (concat.macs, added.macs) == (64 * 9 * 192 * 16, 64 * 9 * 16 * 16)
    assert concat.params == 2 * 192 + 9 * 192 * 16
    assert added.params == 2 * 16 + 9 * 16 * 16


def test_more_sources_cost_more_and_the_second_of_a_concatenation_most_of_all() -> None:
    """A single input is not copied, two are: the cost is not linear in how many there are."""
    for how in How:
        one, two, three, four = (
            Aggregate(n, 4, 6, 7, 3, how).traffic_elements for n in (1, 2, 3, 4)
        )
        assert one < two < three < four
        assert four - three == three - two
        assert (two - one > three - two) is (how is How.CONCAT)


def test_both_ways_of_one_source_are_the_same_work() -> None:
    concat, added = (Aggregate(1, 4, 6, 7, 3, how) for how in How)
    assert concat.parts == added.parts
    assert concat.input_shapes == added.input_shapes == ((4, 7, 7),)


@pytest.mark.parametrize("how", list(How))
def test_its_graph_is_that_of_its_parts(how: How) -> None:
    """A runtime sees the same nodes whether it is one operator or the parts one by one."""
    operator = Aggregate(3, 4, 6, 7, 3, how)
    whole = Dag((Conv(4, 4, 7, 1), operator), ((0,), (1, 1, 1)))
    graphs = [network.lower(network.build().eval()) for network in (whole, by_hand(operator))]
    kinds = [[type(node).__name__ for node in graph.nodes] for graph in graphs]
    assert kinds[0] == kinds[1]
    assert graphs[0].macs == graphs[1].macs
    assert graphs[0].traffic_elements == graphs[1].traffic_elements


@pytest.mark.parametrize("how", list(How))
@pytest.mark.parametrize("sources", [1, 3])
def test_it_is_measured_between_two_neighbours(how: How, sources: int) -> None:
    operator = Aggregate(sources, 6, 8, 7, 3, how)
    terms: Any = InSitu().recipe(operator).terms
    (host, weight), (before, minus), (behind, half) = terms
    assert (weight, minus, half) == (1.0, -0.5, -0.5)
    assert host.operators[1:] == (operator, GlobalPool(8, 7))
    assert before.operators == (Conv(4, 6, 7, 1), GlobalPool(6, 7))
    assert behind.operators == (Conv(4, 8, 7, 1), GlobalPool(8, 7))
    if isinstance(host, Dag):
        assert host.inputs == ((0,), (1,) * sources, (2,))


def test_it_is_written_as_what_it_reads() -> None:
    assert str(Aggregate(3, 12, 64, 14, 1)) == "Aggregate 3x12→64 14² k1 concat"
    assert str(Aggregate(1, 12, 12, 14, 3, How.SUM)) == "Aggregate 1x12→12 14² k3 sum"


def test_its_json_names_how_it_joins() -> None:
    operator = Aggregate(3, 4, 5, 6, 3, How.SUM)
    assert to_json(operator)["how"] == "sum"
    assert from_json(to_json(operator)) == operator
    assert aggregate(3, 4, 5, 6, 3, "sum") == operator


@pytest.mark.parametrize(
    "fields",
    [(0, 4, 5, 6, 3), (3, 0, 5, 6, 3), (3, 4, 5, 0, 3), (3, 4, 5, 6, 2), (3, 4, 5, 6, 3, "mean")],
)
def test_what_cannot_be_built_is_refused(fields: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError):
        aggregate(*fields)
