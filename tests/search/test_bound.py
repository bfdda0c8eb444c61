from __future__ import annotations

import pytest

from elat.core.errors import ConfigError, InfeasibleError
from elat.search.bound import Bound, limits_of
from elat.search.expected_latency import ExpectedLatency


def device(space):
    return ExpectedLatency.from_costs(
        space, "phone", lambda operators: [o.macs / 1e5 for o in operators]
    )


def test_a_reachable_bound_gives_the_range_of_the_space(toy):
    cost = device(toy)
    least, most = cost.of(cost.fastest()), cost.of(cost.slowest())
    (limit,) = limits_of([cost], [Bound("phone", least)])
    assert (limit.fastest, limit.slowest, limit.unit) == (least, most, "ms")


def test_an_unreachable_bound_is_refused_with_the_fastest_architecture(toy):
    cost = device(toy)
    least = cost.of(cost.fastest())
    with pytest.raises(InfeasibleError) as refused:
        limits_of([cost], [Bound("phone", 0.0001)])
    message = str(refused.value)
    assert f"{least:.4g} ms" in message
    assert toy.text(cost.fastest()) in message
    asked = float(message.rsplit("at least ", 1)[1].split()[0])
    assert least <= asked <= 1.002 * least
    assert limits_of([cost], [Bound("phone", asked)])


def test_a_bound_at_a_level_keeps_predictions_so_far_below_what_the_device_shall_keep(toy):
    bound = Bound("phone", 90.0, 99.0, 0.95)
    assert bound.allows(89.9)
    assert not bound.allows(90.1)
    (limit,) = limits_of([device(toy)], [bound])
    assert (limit.limit, limit.held, limit.level, limit.promise) == (bound.limit, 99, 0.95, 99)


def test_a_level_that_even_the_fastest_does_not_reach_is_refused_with_both_numbers(toy):
    cost = device(toy)
    least = cost.of(cost.fastest())
    bound = Bound("phone", 1.05 * least / 1.1, 1.05 * least, 0.95)
    with pytest.raises(InfeasibleError) as refused:
        limits_of([cost], [bound])
    message = str(refused.value)
    assert "at level 0.95" in message
    assert f"{1.05 * least:.4g} ms" in message
    assert f"{least:.4g} ms" in message
    asked = float(message.rsplit("at least ", 1)[1].split()[0])
    assert limits_of([cost], [Bound("phone", asked / 1.1, asked, 0.95)])


def test_bounds_on_macs_and_devices_go_together(toy):
    costs = [device(toy), ExpectedLatency.from_macs(toy)]
    limits = limits_of(costs, [Bound("phone", 100.0), Bound("macs", 1e9)])
    assert [limit.unit for limit in limits] == ["ms", "MACs"]


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_bound_is_a_positive_number(limit):
    with pytest.raises(ConfigError):
        Bound("phone", limit)


def test_bounds_and_costs_correspond(toy):
    cost = device(toy)
    with pytest.raises(ConfigError):
        limits_of([], [])
    with pytest.raises(ConfigError):
        limits_of([cost], [Bound("tablet", 1.0)])
    with pytest.raises(ConfigError):
        limits_of([cost, cost], [Bound("phone", 99.0), Bound("phone", 98.0)])
