"""Spaces of links: their costs against enumeration, their networks by hand, their settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from elat.core.errors import ConfigError, InfeasibleError
from elat.latency.operators.aggregate import Aggregate
from elat.search.architecture import Architecture
from elat.search.bound import Bound, limits_of
from elat.search.comparison import macs_matched
from elat.search.expected_latency import ExpectedLatency, counted_cost
from elat.search.gates import one_hot
from elat.search.spaces import find_space

from .aggregations import aggregations, every, made_up, networks

SPACES = {
    "kept": aggregations(3, 2),
    "free": aggregations(2, 1, previous="free"),
    "sum": aggregations(3, how="sum"),
    "exponential": aggregations(5, candidates="exponential"),
    "more": aggregations(4, candidates="exponential", base=3, extra=1),
}


@pytest.fixture(params=SPACES)
def space(request):
    return SPACES[request.param]


def some_probabilities(space, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn((len(space.options), 2), generator=generator, dtype=torch.float64)
    return logits.softmax(dim=-1)


def by_enumeration(space, probs, cost):
    """E[cost] over all states of the links, each by the exact cost of what it executes."""
    return math.fsum(
        math.prod(float(probs[link, choice]) for link, choice in enumerate(choices))
        * cost.of_choices(choices)
        for choices in every(space)
    )


@pytest.mark.parametrize("seed", range(3))
def test_expected_latency_is_that_of_the_enumeration(space, seed):
    probs, cost = some_probabilities(space, seed), made_up(space, seed)
    truth = by_enumeration(space, probs, cost)
    assert float(cost(probs)) == pytest.approx(truth, rel=1e-10)


@pytest.mark.parametrize("name", ["macs", "params", "links"])
def test_expected_counts_are_those_of_the_enumeration(space, name):
    probs, cost = some_probabilities(space, 5), counted_cost(space, name)
    assert float(cost(probs)) == pytest.approx(by_enumeration(space, probs, cost), rel=1e-10)


def test_batches_of_probabilities_give_batches_of_expectations(space):
    cost = made_up(space)
    batch = torch.stack([some_probabilities(space, seed) for seed in range(6)])
    found = cost(batch.reshape(2, 3, *batch.shape[1:]))
    alone = torch.stack([cost(probs) for probs in batch])
    torch.testing.assert_close(found.flatten(), alone, rtol=1e-14, atol=0)


def test_expected_latency_can_be_differentiated(space):
    cost = made_up(space)
    logits = some_probabilities(space).log().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: cost(a.softmax(dim=-1)), logits)
    assert torch.autograd.gradcheck(cost, some_probabilities(space).requires_grad_())


def test_slopes_are_what_opening_a_link_adds_to_the_expectation(space):
    """E[LAT] is linear in the probability of one link, so that a difference is exact."""
    probs, cost = some_probabilities(space), made_up(space)
    found = cost.slopes(probs.clone().requires_grad_())
    assert not found.requires_grad
    for link in range(len(space.options)):
        ends = []
        for choice in (0, 1):
            moved = probs.clone()
            moved[link] = one_hot(torch.tensor([choice]), 2)[0]
            ends.append(by_enumeration(space, moved, cost))
        slope = float(found[link, 1] - found[link, 0])
        assert slope == pytest.approx(ends[1] - ends[0], rel=1e-9, abs=1e-12)


def test_slopes_of_choice_blocks_are_their_costs(toy):
    cost = ExpectedLatency.from_macs(toy)
    assert cost.slopes(torch.rand(cost.cost.shape)) is cost.cost


def test_the_cost_of_a_network_is_the_sum_over_its_operators(space):
    """Of `all_operators` each is asked for once, and what executes costs what was answered."""
    prices: dict[object, float] = {}

    def costs(operators):
        assert not prices
        drawn = torch.rand(len(operators), generator=torch.Generator().manual_seed(3)).tolist()
        prices.update(zip(operators, drawn, strict=True))
        return drawn

    cost = ExpectedLatency.from_costs(space, "phone", costs, network=0.5)
    for choices in networks(space)[::17]:
        architecture = Architecture(space.name, choices)
        executed = math.fsum([0.5, *(prices[o] for o in space.operators(architecture))])
        assert cost.of(architecture) == pytest.approx(executed, rel=1e-12)


def test_counts_are_those_of_the_network(space):
    macs, params, links = (counted_cost(space, name) for name in ("macs", "params", "links"))
    assert (links.unit, params.unit) == ("links", "parameters")
    for choices in networks(space)[::11]:
        architecture = Architecture(space.name, choices)
        network = space.network(architecture)
        assert macs.of(architecture) == network.macs
        assert params.of(architecture) == network.params
        built = sum(value.numel() for value in network.build().parameters())
        assert params.of(architecture) == built
        read = [len(sources) for stage in space.sources(architecture) for sources in stage]
        assert links.of(architecture) == sum(read)


def test_fastest_and_slowest_are_those_of_the_enumeration(space):
    for seed in range(4):
        cost = made_up(space, seed)
        found = [cost.of_choices(choices) for choices in networks(space)]
        assert cost.of(cost.fastest()) == min(found)
        assert cost.of(cost.slowest()) == max(found)


def test_a_quantile_is_that_of_the_networks(space):
    cost = made_up(space)
    found = [cost.of_choices(choices) for choices in networks(space)]
    assert cost.quantile(0.0, 4000, torch.Generator()) == pytest.approx(min(found), rel=1e-12)
    # 4,000 draws: the rank's deviation is 0.008.
    low, high = np.quantile(found, [0.47, 0.53])
    median = cost.quantile(0.5, 4000, torch.Generator().manual_seed(0))
    assert low - 1e-12 <= median <= high + 1e-12


def test_an_unreachable_bound_names_the_fastest_network(space):
    cost = ExpectedLatency.from_links(space)
    with pytest.raises(InfeasibleError, match="the fastest takes") as error:
        limits_of([cost], [Bound("links", 1.0)])
    assert space.text(cost.fastest()) in str(error.value)
    assert f"at least {cost.of(cost.fastest()):.0f} links" in str(error.value)


def test_what_aggregates_nothing_has_no_links_to_bound(toy):
    with pytest.raises(ConfigError, match="no links to bound; take a space of aggregations"):
        ExpectedLatency.from_links(toy)


def test_sparsenet_reads_the_outputs_one_two_four_and_eight_before():
    space = aggregations(11, candidates="exponential")
    for node in space.nodes:
        wanted = [node.number - offset for offset in (1, 2, 4, 8) if offset <= node.number]
        assert node.candidates == tuple(sorted(wanted))
        assert node.kept == (node.number - 1,)
    by_three = aggregations(11, candidates="exponential", base=3)
    assert by_three.nodes[10].candidates == (2, 8, 10)


def test_extra_links_are_those_of_the_smallest_other_offsets():
    space = aggregations(11, candidates="exponential", extra=2)
    offsets = [sorted(node.number - s for s in node.candidates) for node in space.nodes]
    assert offsets[:5] == [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5]]
    assert offsets[8] == [1, 2, 3, 4, 5, 8]
    assert offsets[11] == [1, 2, 3, 4, 5, 8]


@pytest.mark.parametrize(
    ("layers", "base", "sparse", "dense"),
    [(32, 2, 135, 528), (64, 2, 328, 2080), (32, 4, 78, 528), (64, 4, 175, 2080)],
)
def test_links_of_all_candidates_are_the_closed_forms(layers, base, sparse, dense):
    """`sum over l of floor(log_c l) + 1` against `N (N + 1) / 2` (Zhu et al. 2018)."""
    stages = (layers - 1,)  # the stage's output is an aggregation as well
    every_power = aggregations(*stages, candidates="exponential", base=base)
    cost = ExpectedLatency.from_links(every_power)
    assert cost.of(cost.slowest()) == sparse
    cost = ExpectedLatency.from_links(aggregations(*stages))
    assert cost.of(cost.slowest()) == dense


def test_a_network_is_what_its_sources_say():
    space = aggregations(3, 1)
    wanted = (((0,), (0, 1), (2,), (1, 3)), ((0,), (0, 1)))
    architecture = space.of_sources(wanted)
    assert space.sources(architecture) == wanted
    assert space.text(architecture) == "1 2 1 2 | 1 2"
    network = space.network(architecture)
    joins = [
        (node.sources, node.kernel, node.out_channels, read)
        for node, read in zip(network.operators, network.inputs, strict=True)
        if isinstance(node, Aggregate)
    ]
    # Value 1 is the stem's output; behind output 5 of the first stage is the pool's, 6.
    assert joins == [
        (1, 3, 3, (1,)), (2, 3, 3, (1, 2)), (1, 3, 3, (3,)), (2, 1, 4, (2, 4)),
        (1, 3, 4, (6,)), (2, 1, 6, (6, 7)),
    ]  # fmt: skip


def test_the_dense_network_has_the_parameters_of_the_closed_form():
    """Layer `l` normalises `l g` channels and convolves them by 3x3 to `g` (Huang et al. 2017)."""
    layers, growth, head = 5, 3, 6
    space = aggregations(layers)
    dense = Architecture(space.name, (1,) * len(space.options))
    wanted = 9 * growth
    for number in range(1, layers + 1):
        wanted += 2 * number * growth + 9 * number * growth * growth
    wanted += (2 + head) * (layers + 1) * growth + 2 * head + 3 * head + 3
    assert space.network(dense).params == wanted


def test_sources_and_architectures_are_two_words_for_the_same(space):
    valid = networks(space)
    for choices in valid[:: max(1, len(valid) // 40)]:
        architecture = Architecture(space.name, choices)
        assert space.of_sources(space.sources(architecture)) == architecture


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([[[0], [0], [2], [3]]], "layer 2 of stage 1 of links cannot read"),  # without the kept
        ([[[0], [1], [2], [0, 4]]], "the output of stage 1 of links cannot read"),
        ([[[0], [1, 2], [2], [3]]], "layer 2 of stage 1 of links cannot read"),
    ],
)
def test_links_that_are_no_candidates_are_refused(sources, message):
    with pytest.raises(ConfigError, match=message):
        aggregations(3).of_sources(sources)


def test_what_makes_no_network_is_refused_with_the_reason():
    space = aggregations(3, previous="free")
    assert space.fault(space.of_sources([[[0], [1], [2], [3]]]).choices) is None
    cases = {
        (0, 0, *(0, 0, 1), *(0, 0, 0, 1)): "layer 2 of stage 1 reads nothing",
        (0, 1, *(0, 0, 1), *(0, 0, 0, 0)): "the output of stage 1 reads nothing",
        (1, 0, *(1, 0, 1), *(0, 0, 0, 1)): "nothing reads output 1 of stage 1",
        (0, 1, *(0, 1, 0), *(0, 1, 1, 0)): "nothing reads output 3 of stage 1",
    }
    for choices, reason in cases.items():
        assert space.fault(choices) == reason
        with pytest.raises(ConfigError, match=f"is no network of links: {reason}"):
            space.check(Architecture("links", choices))


def test_all_states_but_the_networks_have_a_fault(space):
    valid = set(networks(space))
    assert all((space.fault(choices) is None) == (choices in valid) for choices in every(space))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"extra": 1}, "extra: all links are candidates already"),
        (
            {"candidates": "exponential", "previous": "free"},
            "previous: free needs candidates: all",
        ),
        ({"stages": [{"layers": 1, "growth": 4}], "candidates": "exponential", "base": 3},
         "there is no link to choose; give more layers"),
        ({"stages": [{"layers": 2, "growth": 4}] * 5}, "give no network"),
        ({"how": "mean"}, "how"),
        ({"base": 1}, "base"),
        ({"stages": []}, "stages"),
        ({"growth": 12}, "growth"),
    ],
)  # fmt: skip
def test_wrong_settings_are_refused(changed, message):
    with pytest.raises(ConfigError, match=message):
        aggregations(2, **changed)


def test_a_network_of_as_many_macs_is_found_by_moving_links():
    space = find_space("aggregation-tiny")
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        like = space.sample(generator)
        macs = space.network(like).macs
        found = macs_matched(space, macs, generator, exclude=[like])
        assert found != like
        assert space.network(found).macs == pytest.approx(macs, rel=0.02)


def test_bundled_spaces_are_what_they_are_called():
    tiny, forty = find_space("aggregation-tiny"), find_space("aggregation-40")
    assert tiny.size == 2 ** (2 * 21)
    convolutions = [
        operator
        for operator in forty.operators(forty.sample(torch.Generator()))
        if "Conv" in type(operator).__name__ or isinstance(operator, Aggregate)
    ]
    assert len(convolutions) == 40
    assert all(
        len(row) == number for row, number in zip(forty.rows, [*range(1, 14)] * 3, strict=True)
    )
    free = find_space("aggregation-free")
    assert free.size < 2 ** len(free.options)
    for name, how in [("aggregation-40", "concat"), ("aggregation-sum", "sum")]:
        operators = find_space(name).all_operators()
        assert {o.how for o in operators if isinstance(o, Aggregate)} == {how}
