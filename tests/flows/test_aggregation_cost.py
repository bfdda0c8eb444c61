"""The cost of aggregation, on a simulated device whose operators add up to networks exactly."""

from __future__ import annotations

import pytest
import torch

from elat.core.artefact import write_json
from elat.core.errors import ArtefactError, ConfigError, MissingOperatorError
from elat.devices.device import find_device
from elat.flows.aggregation_cost import device_costs, measure_costs, write_costs
from elat.flows.aggregation_study import (
    FAMILIES,
    SHAPES,
    How,
    ends,
    layer,
    layers,
    network,
    shapes_of,
    sliced,
)
from elat.flows.measuring import Campaign, default_cache
from elat.latency.operators.chain import Chain
from elat.latency.operators.concat import Concat
from elat.latency.operators.dag import Dag
from elat.latency.operators.sum import Sum
from elat.latency.store import open_store
from elat.reports.aggregation import COSTS, Shape, read_aggregation_costs
from elat.reports.inputs import read_inputs

from .conftest import CARD, QUICK

TINY = Shape(5, 3, 4)
FAMILY = {family.name: family for family in FAMILIES}


def test_parameters_are_those_of_the_published_finding():
    """2.70, 0.425 and 0.227 million weights in 3x3 convolutions at 64 layers of 12 channels."""
    (shape,) = shapes_of(SHAPES[:1])
    weights = {
        name: sum(made.conv.params for made in layers(shape, FAMILY[f"{name} concat"])) / 1e6
        for name in ("dense", "sparse2", "sparse4")
    }
    assert weights == pytest.approx({"dense": 2.70, "sparse2": 0.425, "sparse4": 0.227}, abs=5e-3)
    adds = [join for made in layers(shape, FAMILY["dense sum"]) for join in made.joins]
    assert sum(4 * join.traffic_elements for join in adds) / 2**20 == pytest.approx(70.9, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_network_is_its_layers_and_its_ends(family):
    whole = network(TINY, family)
    parts = [part for made in layers(TINY, family) for part in made.parts]
    assert list(whole.operators[1:-1]) == parts
    assert (whole.operators[0], whole.operators[-1]) == ends(TINY).operators
    joins = {type(part) for part in parts if isinstance(part, Sum | Concat)}
    assert joins == {Concat if family.how is How.CONCAT else Sum}


def test_a_running_sum_is_the_dense_sum():
    """The same function with one addition a layer, by the outputs of both in float64."""
    dense_sum, running = (
        network(TINY, FAMILY[name]) for name in ("dense sum", "dense running sum")
    )
    additions = [
        sum(part.count - 1 for part in whole.operators if isinstance(part, Sum))
        for whole in (dense_sum, running)
    ]
    assert additions == [10, 4]
    modules = [whole.build().double().eval() for whole in (dense_sum, running)]
    modules[1].load_state_dict(modules[0].state_dict())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(modules[1](x), modules[0](x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["dense sum", "dense concat"])
def test_layers_of_a_whole_network_have_no_partial_sum_in_common(name):
    """Else an engine could compute it once, and the whole would not be what it says."""
    whole = network(TINY, FAMILY[name])
    graph = whole.lower(whole.build().eval())
    pairs = [tuple(v.name for v in node.inputs) for node in graph.nodes if len(node.inputs) > 1]
    assert len(set(pairs)) == len(pairs)


def test_slices_stand_beside_what_they_replace():
    points = [each.point for each in sliced(TINY)]
    assert [len(point.in_channels) for point in points] == [2, 4]
    assert {point.out_channels for point in points} == {12}


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("degree", [1, 2, 5])
def test_hosts_leave_the_parts_and_nothing_else(how, degree):
    """By a cost that is no function of the shape alone: neck and pools cancel."""

    def cost(operator):
        if isinstance(operator, Chain | Dag):
            return sum(map(cost, operator.operators))
        return 1e-9 * operator.macs + 3e-8 * operator.traffic_elements + 1e-3

    made = layer(TINY, degree, how)
    found = [
        sum(weight * cost(case) for case, weight in part)
        for part in (made.join_terms, made.norm_terms, made.conv_terms)
    ]
    expected = [sum(map(cost, made.joins)), cost(made.norm), cost(made.conv)]
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "text", ["64x12", "64x12x16x2", "ax12x16", "1x12x16", "64x0x16", "", "-2x3x4"]
)
def test_what_is_no_shape_is_refused(text):
    with pytest.raises(ConfigError, match="LAYERSxWIDTHxRESOLUTION"):
        shapes_of([text])


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A store with everything that the tiny shape needs."""
    folder = tmp_path_factory.mktemp("costs")
    (folder / "devices").mkdir()
    (folder / "devices" / "toy.yaml").write_text(CARD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELAT_HOME", str(folder))
        with open_store(folder / "store.db") as store:
            campaign = Campaign(find_device("toy"), QUICK, store, default_cache(), 0)
            for step in measure_costs(campaign, (TINY,)):
                assert step.failure is None
            yield campaign


def test_parts_of_a_device_without_overhead_add_up_to_networks(measured):
    costs = device_costs(measured.store, measured.device, "screen", (TINY,))
    assert [cost.name for cost in costs.networks] == [family.name for family in FAMILIES]
    for cost in costs.networks:
        # The noise of the device is a thousandth a launch.
        assert cost.sum_over_whole == pytest.approx(1.0, abs=5e-3)
        assert sum(map(cost.share, (cost.join, cost.norm, cost.conv))) == pytest.approx(1.0)
        assert cost.layers.half_ms < cost.join.half_ms + cost.norm.half_ms + cost.conv.half_ms
        assert cost.join.half_ms > 0
    assert costs.source.is_simulated
    assert [cost.degree for cost in costs.slices] == [2, 4]


def test_a_part_costs_what_the_roofline_says(measured):
    """Ten additions of 3 x 48 elements: a node takes its traffic and 1 us."""
    costs = device_costs(measured.store, measured.device, "screen", (TINY,))
    (cost,) = (each for each in costs.networks if each.name == "dense sum")
    assert cost.links == 15
    assert cost.join_traffic_bytes == 10 * 3 * 48 * 4
    # 1e-3 of launches' noise, in differences of networks of ten nodes.
    assert cost.join.ms == pytest.approx(10 * (3 * 48 * 4 / 10e6 + 1e-3), rel=0.02)


def test_a_half_width_reaches_as_far_as_the_interval_does(measured):
    """Which is further up than down."""
    cost = device_costs(measured.store, measured.device, "screen", (TINY,)).networks[0]
    whole = network(TINY, FAMILY[cost.name])
    found = measured.store.measurement(whole, measured.condition.of_models)
    assert cost.whole is not None
    assert cost.whole.ms == pytest.approx(found.latency_ms, rel=1e-12)
    assert cost.whole.half_ms == pytest.approx(found.interval()[1] - found.latency_ms, rel=1e-9)


def test_nothing_is_measured_twice(measured):
    assert list(measure_costs(measured, (TINY,))) == []


def test_what_is_written_is_read_again(measured, tmp_path):
    found = device_costs(measured.store, measured.device, "screen", (TINY,))
    costs = write_costs(tmp_path / "out", [found], seed=0, store=measured.store.name)
    assert read_aggregation_costs(tmp_path / "out") == costs
    assert read_inputs([tmp_path]).aggregations == (costs,)
    first = (tmp_path / "out" / COSTS).read_bytes()
    write_costs(tmp_path / "out", [found], seed=0, store=measured.store.name)
    assert (tmp_path / "out" / COSTS).read_bytes() == first


def test_a_damaged_file_says_how_it_is_made_again(tmp_path):
    write_json(tmp_path / COSTS, {"devices": [{"device": "toy"}]})
    with pytest.raises(ArtefactError, match="elat exam aggregation-cost"):
        read_aggregation_costs(tmp_path)


def test_what_was_not_measured_is_an_error(measured):
    with pytest.raises(MissingOperatorError, match="elat exam aggregation-cost --device toy"):
        device_costs(measured.store, measured.device, "screen", (Shape(7, 3, 4),))
