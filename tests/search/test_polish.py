"""Swaps against enumeration."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.search.architecture import Architecture
from elat.search.bound import Bound
from elat.search.expected_latency import ExpectedLatency
from elat.search.polish import swaps
from elat.search.spaces import block_space, space_from_description

from .aggregations import aggregations, made_up, networks
from .conftest import TOY

SPACE = block_space(space_from_description(TOY), "a test")
COUNTS = [len(block.candidates) for block in SPACE.blocks]
EVERY = [Architecture("toy", c) for c in itertools.product(*map(range, COUNTS))]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 1.0), st.integers(1, 2))
def test_swaps_are_all_near_architectures_within_the_bounds_best_first(seed, share, count):
    rng = np.random.default_rng(seed)
    costs = [
        ExpectedLatency(SPACE, f"device {i}", 0.1, [rng.uniform(0, 1, n).tolist() for n in COUNTS])
        for i in range(count)
    ]
    bounds = []
    for cost in costs:
        low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
        bounds.append(Bound(cost.name, low + share * (high - low)))
    scores = rng.normal(size=(3, 5))
    start = EVERY[int(rng.integers(len(EVERY)))]
    known = EVERY[:10]

    def near(other):
        return sum(a != b for a, b in zip(other.choices, start.choices, strict=True)) in (1, 2)

    wanted = {
        other
        for other in EVERY[10:]
        if near(other) and all(b.allows(c.of(other)) for b, c in zip(bounds, costs, strict=True))
    }
    found = list(swaps(start, scores, costs, bounds, known))
    assert len(found) == len(set(found))
    assert set(found) == wanted
    totals = [scores[range(3), list(other.choices)].sum() for other in found]
    assert np.all(np.diff(totals) <= 1e-9)


LINKS = [aggregations(3, 2), aggregations(4, how="sum"), aggregations(3, previous="free")]


def differing(one, other):
    return [place for place, pair in enumerate(zip(one, other, strict=True)) if len(set(pair)) > 1]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.05, 1.0), st.sampled_from(LINKS), st.booleans())
def test_swaps_of_links_are_all_near_networks_within_the_bounds_best_first(
    seed, share, space, has_two
):
    """Costs do not add up over links: what two of them save is more or less than each does."""
    rng = np.random.default_rng(seed)
    costs = [made_up(space, seed), ExpectedLatency.from_links(space)][: 2 if has_two else 1]
    bounds = []
    for cost in costs:
        low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
        bounds.append(Bound(cost.name, low + share * (high - low)))
    scores = rng.normal(size=(len(space.options), 2))
    valid = networks(space)
    start = valid[int(rng.integers(len(valid)))]
    known = [Architecture(space.name, choices) for choices in valid[:20]]
    wanted = {
        choices
        for choices in valid[20:]
        if len(differing(choices, start)) in (1, 2)
        and all(b.allows(c.of_choices(choices)) for b, c in zip(bounds, costs, strict=True))
    }
    found = list(swaps(Architecture(space.name, start), scores, costs, bounds, known))
    assert len(found) == len(set(found))
    assert {other.choices for other in found} == wanted
    totals = [scores[range(len(start)), list(other.choices)].sum() for other in found]
    assert np.all(np.diff(totals) <= 1e-9)


def test_a_link_moves_within_a_layer_even_where_nothing_may_be_added():
    """The cost of the layer stays, so that a bound that is met exactly still is."""
    space = LINKS[0]
    cost = made_up(space)
    start = (0, 1, 0, 1, 0, 0, 0, 1, 0)
    bound = Bound("phone", cost.of_choices(start))
    scores = np.random.default_rng(0).normal(size=(len(space.options), 2))
    found = list(swaps(Architecture(space.name, start), scores, [cost], [bound]))
    rows = space.row_choices(start)
    moves = [other for other in found if space.row_choices(other.choices) == rows]
    assert all(cost.of(other) == bound.limit for other in moves)
    # Of layer 3 one of two, of the first output one of three, of the second one of two.
    assert len(moves) == 1 + 2 + 1
