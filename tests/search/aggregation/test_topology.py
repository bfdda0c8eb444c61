"""Topologies: links, and shortest paths against breadth-first search by SciPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import shortest_path

from elat.core.errors import ConfigError
from elat.search.aggregation import Topology

from .strategies import topologies


def adjacency(topology):
    links = np.zeros((topology.layers + 1,) * 2)
    for layer, read in enumerate(topology.sources, start=1):
        links[list(read), layer] = 1
    return csr_matrix(links)


@given(topologies())
def test_paths_are_those_of_a_graph_search(topology):
    expected = shortest_path(adjacency(topology), unweighted=True)
    np.testing.assert_array_equal(topology.gradient_paths(), expected)
    pairs = expected[np.triu_indices(topology.layers + 1, k=1)]
    assert topology.unjoined_pairs == np.isinf(pairs).sum()
    assert topology.longest_shortest_path == pairs[np.isfinite(pairs)].max()
    assert topology.mean_shortest_path == pytest.approx(
        pairs[np.isfinite(pairs)].mean(), rel=1e-12
    )
    assert topology.is_connected == bool(np.isfinite(expected[:, -1]).all())


@given(topologies())
def test_a_mask_is_the_topology(topology):
    mask = np.zeros((topology.layers, topology.layers), dtype=bool)
    for layer, read in enumerate(topology.sources):
        mask[layer, list(read)] = True
    assert Topology.masked(mask) == topology
    assert topology.links == mask.sum()
    assert topology.aggregated == tuple(mask.sum(axis=1))


@given(topologies(), st.integers(0, 2**32))
def test_a_shuffled_control_has_the_same_degrees_and_every_previous_output(topology, seed):
    found = Topology.random_like(topology, np.random.default_rng(seed))
    assert found == Topology.random_like(topology, np.random.default_rng(seed))
    assert found.aggregated == topology.aggregated
    assert all(read[-1] == layer for layer, read in enumerate(found.sources))
    assert found.is_connected and found.unjoined_pairs == 0


def test_shuffled_sources_are_uniform():
    like = Topology(((0,), (0, 1), (0, 1), (0, 1, 2), (1, 4)))
    generator = np.random.default_rng(0)
    draws = [Topology.random_like(like, generator).sources[-1][0] for _ in range(4000)]
    counts = np.bincount(draws, minlength=4)
    # Four outputs, 1,000 draws each with a standard deviation of 27.
    assert len(counts) == 4 and abs(counts - 1000).max() < 120


@given(st.integers(1, 80), st.integers(2, 9))
def test_exponential_offsets_are_powers_of_the_base(layers, base):
    topology = Topology.exponential(layers, base)
    for layer, read in enumerate(topology.sources, start=1):
        offsets = {base**k for k in range(8) if base**k <= layer}
        assert {layer - source for source in read} == offsets
    assert topology.is_connected


@given(st.integers(1, 40))
def test_plain_and_dense_are_the_extremes(layers):
    plain, dense = Topology.plain(layers), Topology.dense(layers)
    assert plain.links == plain.longest_shortest_path == layers
    assert dense.links == layers * (layers + 1) // 2 and dense.longest_shortest_path == 1
    assert Topology.residual(layers) == dense
    # A base beyond the depth leaves the layer before alone.
    assert Topology.exponential(layers, layers + 1) == plain


def test_a_layer_that_nobody_reads_is_not_connected():
    topology = Topology(((0,), (0,), (2,)))
    assert not topology.is_connected
    assert topology.unjoined_pairs == 2


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ((), "1 or more layers"),
        (((),), "Layer 1 reads one or more"),
        (((1,),), r"Layer 1 .* 0 to 0 .* \(1,\)"),
        (((0,), (1, 0)), "ascending"),
        (((0,), (1, 1)), "ascending"),
        (((0,), (-1, 0)), "Layer 2"),
        ([(0,)], "tuple"),
        (((0,), [1]), "Layer 2"),
    ],
)
def test_what_is_no_topology_is_refused(sources, message):
    with pytest.raises(ConfigError, match=message):
        Topology(sources)


def test_sizes_are_checked():
    with pytest.raises(ConfigError, match="1 or more layers, found 0"):
        Topology.plain(0)
    with pytest.raises(ConfigError, match="2 or more, found 1"):
        Topology.exponential(4, 1)
    with pytest.raises(ConfigError, match="as many columns"):
        Topology.masked([[True], [True, True]])
    with pytest.raises(ConfigError, match="Layer 1"):
        Topology.masked([[True, True], [True, True]])
