"""Closed forms against topologies searched, and against published counts."""

from math import factorial, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.search.aggregation import Topology
from elat.search.aggregation import closed_forms as forms

LAYERS = st.integers(1, 130)
BASES = st.integers(2, 7)


@given(LAYERS, BASES)
def test_links_and_paths_are_those_of_the_topology(layers, base):
    topology = Topology.exponential(layers, base)
    paths = topology.gradient_paths()
    assert forms.exponential_links(layers, base) == topology.links
    assert forms.longest_exponential_path(layers, base) == topology.longest_shortest_path
    assert forms.mean_exponential_path(layers, base) == pytest.approx(
        topology.mean_shortest_path, rel=1e-12
    )
    assert all(
        forms.exponential_path(layer, base) == paths[0, layer] for layer in range(1, layers + 1)
    )
    assert topology.longest_shortest_path <= forms.exponential_path_bound(layers, base)


@given(LAYERS, BASES)
def test_the_logarithm_of_the_factorial_is_below_the_links(layers, base):
    assert log(factorial(layers), base) <= forms.exponential_links(layers, base)


@given(LAYERS)
def test_links_of_the_others(layers):
    assert forms.plain_links(layers) == Topology.plain(layers).links
    assert forms.dense_links(layers) == Topology.dense(layers).links
    assert forms.residual_skips(layers) == layers


@pytest.mark.parametrize(
    ("layers", "base", "links", "path"),
    [
        (12, 2, 37, 3), (32, 2, 135, 5), (100, 2, 580, 6), (12, 3, 26, 4), (32, 3, 92, 6),
        (100, 3, 384, 8), (12, 4, 21, 5), (32, 4, 78, 7), (100, 4, 319, 9),
        (64, 2, 328, 6), (128, 2, 777, 7), (256, 2, 1802, 8), (64, 4, 175, 9), (128, 4, 431, 10),
        (256, 4, 944, 12), (64, 3, 220, 7), (128, 3, 524, 8), (256, 3, 1178, 10),
    ],
)  # fmt: skip
def test_counts_of_the_exponential_rule(layers, base, links, path):
    assert forms.exponential_links(layers, base) == links
    assert forms.longest_exponential_path(layers, base) == path


@pytest.mark.parametrize(
    ("layers", "links", "mean"), [(32, 528, 2.18), (64, 2080, 2.61), (128, 8256, 3.06),
                                  (256, 32896, 3.54)],
)  # fmt: skip
def test_dense_links_and_mean_paths(layers, links, mean):
    assert forms.dense_links(layers) == links
    assert forms.mean_exponential_path(layers, 2) == pytest.approx(mean, abs=0.005)
