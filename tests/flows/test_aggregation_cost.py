"""The cost of aggregation, on a simulated device whose operators add up to networks exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from elat.core.artefact import write_json
from elat.core.errors import ArtefactError, ConfigError, MissingOperatorError
from elat.devices.device import find_device
from elat.flows.aggregation_cost import device_costs, measure_costs, write_costs
from elat.flows.aggregation_study import (
    FAMILIES,
    SHAPES,
    dense,
    exponential,
    layers,
    network,
    operators,
    shapes_of,
    sliced,
)
from elat.flows.measuring import Campaign, default_cache
from elat.latency.condition import Condition, Method
from elat.latency.in_situ import in_situ_table, measured_under
from elat.latency.operators.concat import Concat
from elat.latency.operators.sum import Sum
from elat.latency.store import open_store
from elat.reports.aggregation import COSTS, Shape, read_aggregation_costs
from elat.reports.inputs import read_inputs

from .conftest import CARD, QUICK

TINY = Shape(5, 3, 4)
FAMILY = {family.name: family for family in FAMILIES}


@pytest.mark.parametrize(("layers", "links"), [(32, 135), (64, 328), (128, 777), (256, 1802)])
def test_links_are_those_of_the_closed_form(layers, links):
    """Each layer reads floor(log2 l) + 1 outputs; dense ones all that are there."""
    assert sum(map(len, exponential(layers, 2))) == links
    assert links == sum(layer.bit_length() for layer in range(1, layers + 1))
    assert sum(map(len, dense(layers))) == layers * (layers + 1) // 2


def test_sources_are_powers_away():
    assert exponential(9, 2)[8] == (1, 5, 7, 8)
    assert exponential(9, 4)[8] == (5, 8)
    assert dense(3) == ((0,), (0, 1), (0, 1, 2))


def test_parameters_are_those_of_the_published_finding():
    """2.70, 0.425 and 0.227 million weights in 3x3 convolutions at 64 layers of 12 channels."""
    (shape,) = shapes_of(SHAPES[:1])
    weights = {
        name: sum(made.conv.params for made in layers(shape, FAMILY[f"{name} concat"])) / 1e6
        for name in ("dense", "sparse2", "sparse4")
    }
    assert weights == pytest.approx({"dense": 2.70, "sparse2": 0.425, "sparse4": 0.227}, abs=5e-3)
    adds = [made.join for made in layers(shape, FAMILY["dense sum"]) if made.join is not None]
    assert sum(4 * join.traffic_elements for join in adds) / 2**20 == pytest.approx(70.9, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_network_is_its_layers_and_its_ends(family):
    whole = network(TINY, family)
    parts = [part for made in layers(TINY, family) for part in made.parts]
    assert list(whole.operators[1:-1]) == parts
    joins = {type(part) for part in parts if isinstance(part, Sum | Concat)}
    assert joins == {Sum if family.adds else Concat}
    assert set(whole.operators) <= set(operators((TINY,)))


def test_slices_stand_beside_what_they_replace():
    degrees = [len(point.in_channels) for point in sliced(TINY)]
    assert degrees == [2, 4]
    assert {point.out_channels for point in sliced(TINY)} == {12}


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
        assert cost.join.half_ms > 0
    assert costs.source.is_simulated
    assert [cost.degree for cost in costs.slices] == [2, 4]


def test_a_part_costs_what_the_roofline_says(measured):
    """Ten additions of 3 x 48 elements: a node takes 1 us, its traffic less."""
    costs = device_costs(measured.store, measured.device, "screen", (TINY,))
    (cost,) = (each for each in costs.networks if each.name == "dense sum")
    assert cost.links == 15
    assert cost.join_traffic_bytes == 10 * 3 * 48 * 4
    assert cost.join.ms == pytest.approx(10 * (3 * 48 * 4 / 10e6 + 1e-3), rel=5e-3)


def test_nothing_is_measured_twice(measured):
    assert list(measure_costs(measured, (TINY,))) == []


def test_what_is_written_is_read_again(measured, tmp_path):
    found = device_costs(measured.store, measured.device, "screen", (TINY,))
    costs = write_costs(tmp_path / "out", [found], seed=0, store=measured.store.path)
    assert read_aggregation_costs(tmp_path / "out") == costs
    assert read_inputs([tmp_path]).aggregations == (costs,)
    first = (tmp_path / "out" / COSTS).read_bytes()
    write_costs(tmp_path / "out", [found], seed=0, store=measured.store.path)
    assert (tmp_path / "out" / COSTS).read_bytes() == first


def test_a_damaged_file_says_how_it_is_made_again(tmp_path):
    write_json(tmp_path / COSTS, {"devices": [{"device": "toy"}]})
    with pytest.raises(ArtefactError, match="elat exam aggregation-cost"):
        read_aggregation_costs(tmp_path)


def test_what_was_not_measured_is_an_error(measured):
    with pytest.raises(MissingOperatorError, match="elat exam aggregation-cost --device toy"):
        device_costs(measured.store, measured.device, "screen", (Shape(7, 3, 4),))


def test_in_situ_parts_are_those_of_a_table(tmp_path, monkeypatch):
    """The sums are weighted sums of hosts, as the latencies of a table are."""
    (tmp_path / "devices").mkdir()
    card = CARD.replace("method: block", "method: in_situ").replace("0.001", "0.00001")
    (tmp_path / "devices" / "toy.yaml").write_text(card)
    monkeypatch.setenv("ELAT_HOME", str(tmp_path))
    shape = Shape(2, 5, 4)
    protocol = replace(QUICK, passes=2, max_passes=2)
    with open_store(tmp_path / "store.db") as store:
        campaign = Campaign(find_device("toy"), protocol, store, default_cache(), 0)
        list(measure_costs(campaign, (shape,)))
        condition = Condition.of(campaign.device)
        assert condition.method is Method.IN_SITU
        costs = device_costs(store, campaign.device, "screen", (shape,))
        known = {m.operator: m for m in store.measurements(measured_under(condition))}
    table = in_situ_table(operators((shape,)), condition, known)
    for cost in costs.networks:
        made = layers(shape, FAMILY[cost.name])
        assert cost.conv.ms == pytest.approx(sum(table[each.conv] for each in made), rel=1e-9)
        joins = [each.join for each in made if each.join is not None]
        assert cost.join.ms == pytest.approx(sum(table[join] for join in joins), rel=1e-9)
        assert cost.sum_over_whole == pytest.approx(1.0, abs=0.02)
