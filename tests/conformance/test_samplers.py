"""What every sampler must hold, on spaces small enough to enumerate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import ConfigError, InfeasibleError
from elat.search.architecture import Architecture
from elat.search.bound import Bound
from elat.search.expected_latency import ExpectedLatency
from elat.search.samplers import Domain, Sampling, samplers
from elat.search.spaces import block_space, find_space, space_from_description

SPACE = block_space(
    space_from_description(
        {
            "family": "mbconv-chain",
            "name": "toy",
            "resolution": 8,
            "in_channels": 1,
            "classes": 3,
            "stem": {"width": 4, "stride": 2},
            "first": 4,
            "stages": [
                {"width": 4, "blocks": 2, "stride": 1},
                {"width": 8, "blocks": 2, "stride": 2},
            ],
            "kernels": [3, 5],
            "expansions": [1, 2],
            "head": 8,
        }
    ),
    "a test",
)
ALL = tuple(itertools.product(*(range(len(block.candidates)) for block in SPACE.blocks)))
QUERIES = 16
# They draw nothing at random.
FIXED = {"exact"}


def cost_of(device, seed):
    generator = np.random.default_rng(seed)
    rows = [generator.random(len(block.candidates)) + 0.1 for block in SPACE.blocks]
    return ExpectedLatency(SPACE, device, 0.5, [row.tolist() for row in rows])


def values_of(seed):
    """A sum over choices, sums over pairs of neighbouring choices, and noise."""
    generator = np.random.default_rng(seed)
    single = generator.random((4, 5))
    pair = 0.3 * generator.random((3, 5, 5))
    return {
        c: float(
            sum(single[i, j] for i, j in enumerate(c))
            + sum(pair[i, c[i], c[i + 1]] for i in range(3))
            + 0.05 * generator.standard_normal()
        )
        for c in ALL
    }


VALUES = values_of(3)


@pytest.fixture(params=[name for name in samplers if not samplers[name].unavailable_reason()])
def name(request):
    return request.param


def domain(quantile=0.4, both=False, seed=0, is_noisy=False):
    costs = (cost_of("phone", seed), cost_of("board", seed + 1))[: 2 if both else 1]
    limits = [float(np.quantile([c.of_choices(x) for x in ALL], quantile)) for c in costs]
    if both:
        # Two bounds together leave few, but some.
        limits[1] = max(limits[1], costs[1].of(costs[0].fastest()))
    bounds = tuple(Bound(c.name, limit) for c, limit in zip(costs, limits, strict=True))
    return Domain(SPACE, costs, bounds, is_noisy)


def asked(sampling: Sampling) -> Architecture:
    """What `sampling` asks for next; it must not be at its end."""
    architecture = sampling.ask()
    assert architecture is not None
    return architecture


def run(name, given_domain, *, seed=0, queries=QUERIES, together=1, values=None):
    """All that is asked, with the ranking at the end."""
    values = values or VALUES
    sampling = samplers[name].from_settings({}, "test").start(given_domain, seed, queries)
    found: list[Architecture] = []
    while len(found) < queries:
        several = [sampling.ask() for _ in range(min(together, queries - len(found)))]
        some = [architecture for architecture in several if architecture is not None]
        if not some:
            break
        for architecture in some:
            sampling.tell(architecture, values[architecture.choices])
        found += some
    return found, sampling.ranked()


@settings(max_examples=4, deadline=None)
@given(
    quantile=st.sampled_from([0.0, 0.01, 0.1, 0.5, 1.0]),
    both=st.booleans(),
    seed=st.integers(0, 5),
    together=st.sampled_from([1, 3, 7]),
)
@pytest.mark.parametrize("name", list(samplers))
def test_what_is_asked_is_within_every_bound_and_new(name, quantile, both, seed, together):
    if samplers[name].unavailable_reason():
        pytest.skip("not installed")
    within = domain(quantile, both, seed)
    found, ranked = run(name, within, seed=seed, together=together)
    assert all(within.allows(architecture) for architecture in found)
    assert all(architecture.space == SPACE.name for architecture in found)
    assert len(set(found)) == len(found)
    assert len(found) == min(QUERIES, sum(within.allows(Architecture(SPACE.name, c)) for c in ALL))
    assert sorted(a.choices for a in ranked) == sorted(a.choices for a in found)


def test_the_same_seed_asks_the_same_and_another_does_not(name):
    first, second = (run(name, domain(), seed=1) for _ in range(2))
    assert first == second
    others = [run(name, domain(), seed=seed)[0] for seed in (2, 3)]
    assert (name in FIXED) == all(other == first[0] for other in others)


@pytest.mark.parametrize("together", [1, 4])
def test_asking_and_telling_again_restores_a_run(name, together):
    whole, _ = run(name, domain(), seed=1, together=together)
    again = samplers[name].from_settings({}, "test").start(domain(), 1, QUERIES)
    for start in range(0, 8, together):
        for architecture in whole[start : start + together]:
            assert again.ask() == architecture
        for architecture in whole[start : start + together]:
            again.tell(architecture, VALUES[architecture.choices])
        again.ranked()
    rest = []
    for start in range(8, QUERIES, together):
        part = [asked(again) for _ in whole[start : start + together]]
        for architecture in part:
            again.tell(architecture, VALUES[architecture.choices])
        rest += part
    assert rest == whole[8:]


def test_everything_is_asked_where_there_is_little(name):
    within = domain(quantile=0.02)
    found, _ = run(name, within, queries=1000)
    feasible = {c for c in ALL if within.allows(Architecture(SPACE.name, c))}
    assert {architecture.choices for architecture in found} == feasible


def test_a_noisy_domain_may_be_asked_again_but_only_for_what_was_told(name):
    within = domain(is_noisy=True)
    found, ranked = run(name, within, queries=28)
    assert len(ranked) == len(set(found)) <= 28 == len(found)
    assert all(within.allows(architecture) for architecture in found)


def test_an_unreachable_bound_is_refused_at_the_start(name):
    within = domain()
    hopeless = Domain(SPACE, within.costs, (Bound("phone", 1e-3),))
    with pytest.raises(InfeasibleError, match="phone"):
        samplers[name].from_settings({}, "test").start(hopeless, 0, QUERIES)


def upwards(count):
    return [float(place) for place in range(1, count + 1)]


def downwards(count):
    return upwards(count)[::-1]


def test_bounds_that_no_architecture_meets_together_are_refused(name):
    costs = tuple(
        ExpectedLatency(SPACE, device, 1.0, [order(len(b.candidates)) for b in SPACE.blocks])
        for device, order in (("phone", upwards), ("board", downwards))
    )
    bounds = tuple(Bound(c.name, 1.0 + len(SPACE.blocks)) for c in costs)
    with pytest.raises(InfeasibleError, match="at once"):
        samplers[name].from_settings({}, "test").start(Domain(SPACE, costs, bounds), 0, QUERIES)


def test_a_space_that_cannot_be_listed(name):
    space = find_space("proxyless-mobile")
    costs = (ExpectedLatency.from_macs(space),)
    low, high = (costs[0].of(a) for a in (costs[0].fastest(), costs[0].slowest()))
    within = Domain(space, costs, (Bound("macs", low + 0.15 * (high - low)),))
    sampling = samplers[name].from_settings({}, "test").start(within, 0, 8)
    seen = set()
    for _ in range(8):
        architecture = asked(sampling)
        assert within.allows(architecture)
        assert architecture not in seen
        seen.add(architecture)
        sampling.tell(architecture, float(sum(architecture.choices)))
    assert set(sampling.ranked()) == seen


def test_settings_are_complete_in_the_description(name):
    described = samplers[name].from_settings({}, "test").describe()
    assert samplers[name].from_settings(described, "test").describe() == described


def test_unknown_settings_are_refused(name):
    with pytest.raises(ConfigError, match="popultion"):
        samplers[name].from_settings({"popultion": 3}, "test")
