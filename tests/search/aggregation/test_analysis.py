"""Counts in built networks are what the closed forms give."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError, UnknownNameError
from elat.latency.operators.aggregate import How
from elat.latency.operators.chain import Chain
from elat.latency.operators.conv import Conv
from elat.search.aggregation import Topology
from elat.search.aggregation.analysis import analyse
from elat.search.aggregation.counting import count
from elat.search.aggregation.reading import aggregated_layers
from elat.search.aggregation.wiring import Family, Wiring, family_named, how_named
from elat.search.zoo import find_network


@st.composite
def wirings(draw):
    family = draw(st.sampled_from(Family))
    hows = [How.SUM] if family is Family.RESIDUAL else list(How)
    return Wiring(
        family, draw(st.integers(1, 40)), draw(st.integers(2, 5)), draw(st.integers(1, 9)),
        draw(st.sampled_from([None, *hows])), draw(st.integers(1, 9)),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(wirings())
def test_closed_forms_agree(wiring):
    found = analyse(wiring)
    assert found.agrees, [check for check in found.checks if not check.agrees]
    assert found.counted.topology == wiring.topology(wiring.layers)


@pytest.mark.parametrize(
    ("family", "layers", "links", "path", "parameters"),
    [
        (Family.PLAIN, 64, 64, 64, 149_936),
        (Family.RESIDUAL, 64, 2080, 1, 149_936),
        (Family.DENSE, 64, 2080, 1, 4_859_312),
        (Family.SPARSE, 64, 328, 6, 766_640),
        (Family.SPARSE, 256, 1802, 8, 4_209_904),
        (Family.DENSE, 256, 32896, 1, 76_845_488),
    ],
)
def test_counts(family, layers, links, path, parameters):
    counted = analyse(Wiring(family, layers)).counted
    assert counted.topology.links == links
    assert counted.topology.longest_shortest_path == path
    # By hand: 432 of the stem, 2,336 for each tensor of 16 channels that a layer convolves.
    convolved = links if family in (Family.DENSE, Family.SPARSE) else layers
    assert counted.parameters == parameters == 432 + 2336 * convolved


def test_additions_and_copies():
    """A residual network adds once a layer, whatever its aggregation; a dense sum every link."""
    residual = analyse(Wiring(Family.RESIDUAL, 10)).counted
    assert (residual.additions, residual.copies) == (10, 0)
    summed = analyse(Wiring(Family.DENSE, 10, how=How.SUM)).counted
    # Layers 2 to 10 and the output add 1 to 10 tensors to a first.
    assert (summed.additions, summed.copies) == (55, 0)
    joined = analyse(Wiring(Family.DENSE, 10)).counted
    assert (joined.additions, joined.copies) == (0, 65)
    assert residual.traffic_bytes < summed.traffic_bytes
    # Two tensors read and one written, of 16 x 32 x 32 floats.
    assert residual.join_traffic_bytes == 10 * 3 * 4 * 16 * 32 * 32


def test_published_networks_are_read_through_their_blocks():
    residual = aggregated_layers(find_network("resnet18").operator())
    # 17 convolutions, 3 shortcuts, the classifier; output 0 is the stem's.
    assert residual.layers == 20
    assert residual.unjoined_pairs > 0
    dense = count("d", find_network("densenet40_12").operator())
    # 273 links of layers and stage outputs; the classifier is the last reader.
    assert dense.topology.links == 273
    assert dense.topology.layers == 36 + 2 + 1


def test_one_layer_has_no_aggregation():
    with pytest.raises(ConfigError, match="needs two"):
        aggregated_layers(Chain((Conv(3, 4, 8, 3),)))
    two = aggregated_layers(Chain((Conv(3, 4, 8, 3), Conv(4, 4, 8, 3))))
    assert two == Topology.plain(1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layers": 0}, "1 to 1024 layers, found 0"),
        ({"layers": 1025}, "found 1025"),
        ({"width": 0}, "at least 1"),
        ({"resolution": 0}, "at least 1"),
        ({"base": 1}, "2 or more, found 1"),
        ({"family": Family.RESIDUAL, "how": How.CONCAT}, "elat topology dense"),
    ],
)
def test_what_cannot_be_built_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Wiring(**{"family": Family.SPARSE, **arguments})


def test_names():
    assert family_named("dense") is Family.DENSE
    assert how_named("sum") is How.SUM
    with pytest.raises(UnknownNameError, match="Did you mean 'sparse'"):
        family_named("sparce")
    with pytest.raises(UnknownNameError, match="Known: concat, sum"):
        how_named("add")
    assert Wiring(Family.SPARSE, base=3, how=How.SUM).name == "sparse base 3 (sum)"
