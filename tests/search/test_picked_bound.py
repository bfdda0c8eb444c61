"""Bounds of picks against every architecture of a space that is small enough to list."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from elat.core.errors import ConfigError, InfeasibleError, MissingLatencyError
from elat.latency.calibration import Calibration
from elat.search.architecture import Architecture
from elat.search.bound import limits_of
from elat.search.expected_latency import ExpectedLatency
from elat.search.picked_bound import most_macs, picked_bound
from elat.search.spaces import families


@pytest.fixture(scope="module")
def small():
    settings = {
        "resolution": 8, "in_channels": 1, "classes": 10, "stem": {"width": 4, "stride": 1},
        "first": 4, "stages": [{"width": 8, "blocks": 3, "stride": 2}],
        "kernels": [3, 5, 7], "expansions": [1, 3], "head": 8,
    }  # fmt: skip
    return families["mbconv-chain"].from_settings("small", settings, "test")


def cost_of(space, networks=24, seed=0):
    """Costs that go with MACs and with chance, and errors that MACs tell something of."""
    random = np.random.default_rng(seed)
    work = {o: 1e-5 * o.macs + 0.05 for o in space.all_operators()}
    ms = {o: w * float(np.exp(random.normal(0, 0.2))) for o, w in work.items()}
    size = random.normal(0, 0.3, networks)
    own = random.normal(0, 0.03, networks)
    errors = np.exp(-own - random.normal(0, 0.01, networks)) - 1
    calibration = Calibration(
        "slope", 1.0, 0.0, 0.0, networks, 0.1, 0.1, tuple(errors.tolist()), {"slope": 0.03},
        macs=tuple(np.exp(12 + size + own).tolist()),
        measured_ms=tuple((np.exp(size) / (1 + errors)).tolist()),
    )  # fmt: skip
    return ExpectedLatency.from_costs(
        space, "phone", lambda operators: [ms[o] for o in operators], calibration=calibration
    )


def architectures(space):
    return [Architecture(space.name, c) for c in product(*(range(n) for n in space.options))]


def test_no_network_computes_more_within_a_latency(small):
    cost = cost_of(small)
    latency_ms, most = most_macs(cost)
    assert latency_ms[0] == pytest.approx(cost.of(cost.fastest()))
    assert np.all(np.diff(latency_ms) > 0)
    everything = architectures(small)
    found = np.array([[cost.of(a), small.network(a).macs] for a in everything])
    assert np.all(found[:, 1] <= np.interp(found[:, 0], latency_ms, most) * (1 + 1e-9))
    # Every corner is a network.
    for corner in zip(latency_ms, most, strict=True):
        assert np.isclose(found, corner, rtol=1e-9).all(axis=1).any()


@pytest.mark.parametrize("quantile", [0.1, 0.4, 0.8])
def test_whatever_is_within_is_sure_enough_and_no_more_is_given_away(small, quantile):
    cost = cost_of(small)
    everything = architectures(small)
    predicted = np.array([cost.of(a) for a in everything])
    uppers = np.array([cost.upper_of_pick(a, 0.9) for a in everything])
    held = float(np.quantile(uppers, quantile))
    bound = picked_bound(cost, held, 0.9)
    assert (bound.held, bound.level) == (held, 0.9)
    assert bound.limit < held
    within = predicted <= bound.limit
    assert within.any()
    assert np.all(uppers[within] <= held * (1 + 1e-9))
    # The next point of the frontier is not sure: the limit there is where the bound is reached.
    corners, most = most_macs(cost)
    above = bound.limit * 1.002
    upper = cost.known_errors.upper_of_picks(
        np.array([above]), np.interp([above], corners, most), 0.9
    )
    assert upper[0] > held


def test_what_even_the_fastest_does_not_keep_is_refused(small):
    cost = cost_of(small)
    least = cost.of(cost.fastest())
    bound = picked_bound(cost, 1.001 * least, 0.9)
    with pytest.raises(InfeasibleError, match=r"at level 0\.9") as refused:
        limits_of([cost], [bound])
    asked = float(str(refused.value).rsplit("at least ", 1)[1].split()[0])
    assert limits_of([cost], [picked_bound(cost, 1.002 * asked, 0.9)])


def test_what_tells_no_level_is_refused(small):
    plain = ExpectedLatency.from_costs(small, "phone", lambda some: [1.0 for _ in some])
    with pytest.raises(MissingLatencyError, match="elat calibrate --device phone --space small"):
        picked_bound(plain, 9.0, 0.9)
    with pytest.raises(ConfigError, match=r"cannot tell a limit of level 0\.95"):
        picked_bound(cost_of(small, networks=12), 9.0, 0.95)
