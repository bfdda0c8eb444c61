"""In-degrees, best links and wirings against enumeration over the states of all links."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from elat.search.spaces.links import (
    Node,
    best_links,
    count_wirings,
    in_degrees,
    node_scores,
    readers,
    unread,
)

from .aggregations import aggregations, every, networks


@st.composite
def structures(draw, most=10):
    """Nodes of one or two stages with any kept and free sources, but `most` links."""
    nodes, first = [], 0
    for stage in range(draw(st.integers(1, 2))):
        layers = draw(st.integers(1, 3))
        for number in range(1, layers + 2):
            kinds = draw(st.lists(st.integers(0, 2), min_size=number, max_size=number))
            kept = tuple(source for source, kind in enumerate(kinds) if kind == 1)
            free = tuple(source for source, kind in enumerate(kinds) if kind == 2)
            free = free[: max(0, most - first)]
            nodes.append(Node(stage, number, layers, kept, free, first))
            first += len(free)
    if first == 0:
        return [Node(0, 1, 1, (), (0,), 0), Node(0, 2, 1, (1,), (), 1)]
    return nodes


def links_of(nodes):
    return nodes[-1].behind


def probabilities(count, seed, sharp):
    """Random ones; where `sharp`, many are exactly 0 or 1."""
    p = np.random.default_rng(seed).random(count)
    return torch.from_numpy(np.clip(2 * p - 0.5, 0, 1) if sharp else p)


def degrees_by_enumeration(nodes, p):
    """The distribution of every node's number of open links, state by state."""
    found = np.zeros((len(nodes), max(len(node.free) for node in nodes) + 1))
    for state in itertools.product((0, 1), repeat=len(p)):
        share = math.prod(
            value if is_open else 1 - value
            for value, is_open in zip(p.tolist(), state, strict=True)
        )
        for row, node in zip(found, nodes, strict=True):
            row[sum(state[node.first : node.behind])] += share
    return found


@settings(deadline=None, max_examples=60)
@given(structures(), st.integers(0, 10**6), st.booleans())
def test_in_degrees_are_those_of_the_enumeration(nodes, seed, sharp):
    p = probabilities(links_of(nodes), seed, sharp)
    found = in_degrees(nodes, p)
    np.testing.assert_allclose(found, degrees_by_enumeration(nodes, p), rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.sum(dim=-1), 1.0, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=20)
@given(structures(), st.integers(0, 10**6))
def test_in_degrees_can_be_differentiated_and_batched(nodes, seed):
    p = probabilities(2 * links_of(nodes), seed, sharp=False).reshape(2, -1)
    batch = in_degrees(nodes, p)
    for index in range(2):
        assert torch.equal(batch[index], in_degrees(nodes, p[index]))
    assert torch.autograd.gradcheck(lambda q: in_degrees(nodes, q), p.requires_grad_())


def test_sixty_four_equal_links_are_a_binomial():
    """Against SciPy's, far from what can be enumerated."""
    from scipy.stats import binom

    node = Node(0, 64, 63, (), tuple(range(64)), 0)
    found = in_degrees([node], torch.full((64,), 0.3, dtype=torch.float64))
    np.testing.assert_allclose(found[0], binom.pmf(range(65), 64, 0.3), rtol=1e-11, atol=1e-300)


@settings(deadline=None, max_examples=60)
@given(structures(most=8), st.integers(0, 10**6), st.booleans())
def test_node_scores_are_the_best_of_every_subset(nodes, seed, whole):
    rng = np.random.default_rng(seed)
    size = (links_of(nodes), 2)
    scores = rng.integers(-2, 3, size).astype(float) if whole else rng.normal(size=size)
    found = node_scores(nodes, scores)
    for row, node in zip(found, nodes, strict=True):
        mine = scores[node.first : node.behind]
        for degree in range(len(node.free) + 1):
            states = (
                sum(mine[link, int(link in opened)] for link in range(len(node.free)))
                for opened in itertools.combinations(range(len(node.free)), degree)
            )
            assert row[degree] == pytest.approx(max(states), rel=1e-12, abs=1e-12)
        assert np.all(row[len(node.free) :] == row[len(node.free)])


def total(scores, choices):
    return sum(scores[link, choice] for link, choice in enumerate(choices))


KEPT = [aggregations(3, 2), aggregations(4), aggregations(4, candidates="exponential", extra=1)]
FREE = [aggregations(1, 2, previous="free"), aggregations(3, previous="free")]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KEPT), st.integers(0, 10**6), st.booleans(), st.data())
def test_the_best_links_of_given_degrees_score_most(space, seed, whole, data):
    """Where the layer before is always read, nothing has to be repaired."""
    rng = np.random.default_rng(seed)
    size = (len(space.options), 2)
    scores = rng.integers(-2, 3, size).astype(float) if whole else rng.normal(size=size)
    degrees = tuple(data.draw(st.integers(0, len(node.free))) for node in space.nodes)
    found = best_links(space.nodes, degrees, scores)
    assert space.row_choices(found) == degrees
    best = max(
        total(scores, choices) for choices in every(space) if space.row_choices(choices) == degrees
    )
    assert total(scores, found) == pytest.approx(best, rel=1e-12, abs=1e-12)
    assert space.fault(found) is None


def greedy(node, degree, scores):
    """The first of the best subsets, the shortest links ahead of longer ones."""
    links = range(node.first, node.behind)
    order = sorted(links, key=lambda link: (scores[link, 0] - scores[link, 1], -link))
    return set(order[:degree])


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(FREE), st.integers(0, 10**6), st.booleans(), st.data())
def test_a_repair_moves_a_link_of_a_node_to_the_output_before_it(space, seed, whole, data):
    """Degrees stay, all is read, and what need not move does not."""
    rng = np.random.default_rng(seed)
    size = (len(space.options), 2)
    scores = rng.integers(-2, 3, size).astype(float) if whole else rng.normal(size=size)
    degrees = tuple(
        data.draw(st.integers(0 if node.kept else 1, len(node.free))) for node in space.nodes
    )
    found = best_links(space.nodes, degrees, scores)
    assert found in networks(space)
    assert space.row_choices(found) == degrees
    unrepaired = [0] * len(found)
    for node, degree in zip(space.nodes, degrees, strict=True):
        wanted = greedy(node, degree, scores)
        for link in wanted:
            unrepaired[link] = 1
        links = set(range(node.first, node.behind))
        opened = {link for link in links if found[link]}
        moved = opened ^ wanted
        assert not moved or (len(moved) == 2 and node.behind - 1 in opened - wanted)
    if tuple(unrepaired) in networks(space):
        assert found == tuple(unrepaired)


@settings(deadline=None, max_examples=30)
@given(st.sampled_from([*KEPT, *FREE]), st.data())
def test_of_equal_links_the_shortest_are_taken(space, data):
    degrees = tuple(
        data.draw(st.integers(0 if node.kept else 1, len(node.free))) for node in space.nodes
    )
    equal = np.tile([0.5, -0.25], (len(space.options), 1))
    for scores in (None, equal):
        found = best_links(space.nodes, degrees, scores)
        for node, degree in zip(space.nodes, degrees, strict=True):
            longer = len(node.free) - degree
            assert found[node.first : node.behind] == (0,) * longer + (1,) * degree


def test_an_output_that_nobody_reads_is_found():
    space = aggregations(2, 1, previous="free")
    nodes = space.nodes
    for choices in every(space):
        found = unread(nodes, choices)
        read = {
            (node.stage, source)
            for node in nodes
            for source in (
                *node.kept,
                *(
                    s
                    for s, c in zip(node.free, choices[node.first : node.behind], strict=True)
                    if c
                ),
            )
        }
        missing = [(0, n) for n in range(3) if (0, n) not in read]
        missing += [(1, n) for n in range(2) if (1, n) not in read]
        assert found == (missing[0] if missing else None)


@settings(deadline=None, max_examples=100)
@given(structures(), st.integers(0, 10**6))
def test_a_link_to_every_output_that_is_not_always_read_covers_all(nodes, seed):
    choices = np.random.default_rng(seed).integers(0, 2, links_of(nodes)).tolist()
    is_covered = all(any(choices[link] for link in links) for links in readers(nodes))
    assert is_covered == (unread(nodes, choices) is None)


def test_networks_are_what_covers_all_and_reads_something():
    for space in (*KEPT, *FREE):
        counted, sets = space.counted(), space.coverage()
        assert bool(sets) == (space in FREE)
        for choices in every(space):
            degrees = tuple(sum(choices[link] for link in links) for links in counted)
            assert degrees == space.row_choices(choices)
            is_network = all(any(choices[link] for link in links) for links in sets) and all(
                row[degree] is not None for row, degree in zip(space.rows, degrees, strict=True)
            )
            assert is_network == (space.fault(choices) is None)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_wirings_are_counted_as_they_are_enumerated(layers):
    """Every number reads a set of outputs before it that is not empty, and all are read."""
    subsets = [
        [
            set(c)
            for size in range(1, number + 1)
            for c in itertools.combinations(range(number), size)
        ]
        for number in range(1, layers + 2)
    ]
    found = sum(
        set().union(*wiring) == set(range(layers + 1)) for wiring in itertools.product(*subsets)
    )
    assert count_wirings(layers) == found
    space = aggregations(layers, previous="free")
    assert space.size == found == len(networks(space))


def test_the_size_is_the_number_of_networks():
    assert aggregations(2, 3).size == len(networks(aggregations(2, 3))) == 2**9
    free = aggregations(2, 1, previous="free")
    assert free.size == len(networks(free)) == count_wirings(2) * count_wirings(1)


@pytest.mark.parametrize("previous", ["kept", "free"])
def test_drawn_networks_are_valid_and_all_equally_likely(previous):
    """Chi-square over all networks; with this seed the statistic is no accident of the draw."""
    space = aggregations(2, 1, previous=previous)
    drawn = [tuple(row) for row in space.draw(4000, torch.Generator().manual_seed(1)).tolist()]
    valid = networks(space)
    counts = [drawn.count(choices) for choices in valid]
    assert sum(counts) == 4000
    assert chisquare(counts).pvalue > 1e-3
    for _ in range(5):
        one = space.sample(torch.Generator().manual_seed(7))
        assert one == space.sample(torch.Generator().manual_seed(7))
        assert one.choices in valid
