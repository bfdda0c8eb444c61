from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from elat.search.architecture import Architecture
from elat.search.bound import Bound
from elat.search.expected_latency import ExpectedLatency
from elat.search.samplers import Domain
from elat.search.samplers.counting import Counting
from elat.search.samplers.evolution import mutated
from elat.search.samplers.feasible import Feasible
from elat.search.spaces import block_space, find_space

NEVER = 0


def made(space, quantile, seed=0, count=1):
    """A domain of made-up costs, and its architectures by enumeration."""
    generator = np.random.default_rng(seed)
    sizes = [len(block.candidates) for block in space.blocks]
    costs = tuple(
        ExpectedLatency(
            space, f"device-{index}", 0.3, [generator.random(size).tolist() for size in sizes]
        )
        for index in range(count)
    )
    everything = list(itertools.product(*map(range, sizes)))
    bounds = tuple(
        Bound(c.name, float(np.quantile([c.of_choices(x) for x in everything], quantile)))
        for c in costs
    )
    domain = Domain(space, costs, bounds)
    within = [x for x in everything if domain.allows(Architecture(space.name, x))]
    return domain, within


def members_of(domain):
    """What is listed, which must be all."""
    members = Feasible(domain).members
    assert members is not None
    return [tuple(row) for row in members.tolist()]


@settings(max_examples=20, deadline=None)
@given(quantile=st.sampled_from([0.0, 0.03, 0.3, 0.7, 1.0]), seed=st.integers(0, 20))
def test_what_is_listed_is_what_enumeration_finds(toy, quantile, seed):
    domain, within = made(toy, quantile, seed)
    assert members_of(domain) == within


def test_several_bounds_are_listed_together(toy):
    domain, within = made(toy, 0.5, count=3)
    assert members_of(domain) == within
    assert 0 < len(within) < 50


def test_a_bound_that_is_met_exactly_is_kept(toy):
    domain, within = made(toy, 0.4)
    exact = domain.costs[0].of_choices(within[7])
    tight = Domain(toy, domain.costs, (Bound("device-0", exact),))
    assert within[7] in members_of(tight)
    below = Domain(toy, domain.costs, (Bound("device-0", np.nextafter(exact, 0)),))
    assert within[7] not in members_of(below)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("listed", [NEVER, 1000])
def test_draws_are_uniform(toy, listed, count):
    domain, within = made(toy, 0.3, seed=2, count=count)
    feasible = Feasible(domain, listed)
    assert (feasible.members is None) == (listed == NEVER)
    generator = np.random.default_rng(0)
    drawn = Counter(feasible.draw(generator) for _ in range(100 * len(within)))
    assert set(drawn) == set(within)
    # With a fixed seed: not a matter of chance.
    assert chisquare([drawn[choices] for choices in within]).pvalue > 1e-3


def test_the_count_contains_all_within_the_bound_and_few_more(toy):
    domain, within = made(toy, 0.3)
    cost = domain.costs[0]
    counting = Counting(
        cost.cost.numpy(), cost.mask.numpy(), float(cost.fixed), domain.bounds[0].limit
    )
    assert len(within) <= round(np.exp(counting.log_count)) <= len(within) + 2


def test_a_tight_bound_in_a_space_that_nobody_can_list():
    space = find_space("proxyless-mobile")
    cost = ExpectedLatency.from_macs(space)
    low, high = cost.of(cost.fastest()), cost.of(cost.slowest())
    domain = Domain(space, (cost,), (Bound("macs", low + 0.1 * (high - low)),))
    feasible = Feasible(domain)
    assert feasible.members is None
    generator = np.random.default_rng(0)
    drawn = [feasible.draw(generator) for _ in range(200)]
    assert all(domain.allows(Architecture(space.name, choices)) for choices in drawn)
    assert len(set(drawn)) == 200


def test_a_single_architecture_of_a_huge_space_is_listed():
    space = find_space("proxyless-mobile")
    cost = ExpectedLatency.from_macs(space)
    domain = Domain(space, (cost,), (Bound("macs", cost.of(cost.fastest())),))
    feasible = Feasible(domain)
    assert feasible.members is not None
    found = [tuple(row) for row in feasible.members.tolist()]
    assert cost.fastest().choices in found
    assert feasible.draw_new(np.random.default_rng(0), set(found)) is None


def test_bounds_that_hardly_hold_together_are_drawn_from_by_a_walk():
    space = block_space(find_space("proxyless-mobile"), "a test")
    generator = np.random.default_rng(0)
    sizes = [len(block.candidates) for block in space.blocks]
    costs = tuple(
        ExpectedLatency(space, name, 1.0, [generator.random(size).tolist() for size in sizes])
        for name in ("phone", "board")
    )
    # The cheapest on both together; hardly any other is as good for one and not worse for the
    # other, while each bound alone leaves very many.
    both = (costs[0].cost + costs[1].cost).masked_fill(~costs[0].mask, np.inf)
    best = tuple(both.argmin(dim=-1).tolist())
    bounds = tuple(Bound(c.name, 1.02 * c.of_choices(best)) for c in costs)
    domain = Domain(space, costs, bounds)
    feasible = Feasible(domain, NEVER)
    drawn = {feasible.draw(generator) for _ in range(5)}
    assert all(domain.allows(Architecture(space.name, choices)) for choices in drawn)
    assert len(drawn) > 1


@settings(max_examples=20, deadline=None)
@given(
    quantile=st.sampled_from([0.05, 0.3, 0.9]), seed=st.integers(0, 20), count=st.integers(1, 2)
)
def test_single_changes_are_those_that_enumeration_finds(toy, quantile, seed, count):
    domain, within = made(toy, quantile, seed, count)
    for choices in within[:: max(1, len(within) // 3)]:
        near = [c for c in within if sum(a != b for a, b in zip(c, choices, strict=True)) == 1]
        assert sorted(Feasible(domain).neighbours(choices)) == near


@settings(max_examples=20, deadline=None)
@given(
    quantile=st.sampled_from([0.02, 0.2, 0.9]), seed=st.integers(0, 20), count=st.integers(1, 2)
)
def test_mutations_stay_within_the_bounds(toy, quantile, seed, count):
    domain, within = made(toy, quantile, seed, count)
    if not within:
        return
    feasible = Feasible(domain)
    generator = np.random.default_rng(seed)
    for _ in range(20):
        parent = within[generator.integers(len(within))]
        child = mutated(feasible, parent, generator)
        assert child is None or (child in within and child != parent)
