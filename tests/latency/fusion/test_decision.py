"""Pairs are decided by their times, and wrongly as seldom as the level says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from elat.core.errors import ConfigError
from elat.latency.fusion.decision import Outcome, decide


def times(saved_ms, noise=0.0, rounds=16, seed=0, first_ms=0.1, second_ms=0.02):
    """Rounds of a machine on which a pair saves `saved_ms`; `noise` is relative, of each graph."""
    random = np.random.default_rng(seed)
    base_ms = 0.05
    true = {
        "before": base_ms,
        "first": base_ms + first_ms,
        "base": base_ms,
        "second": base_ms + second_ms,
        "both": base_ms + first_ms + second_ms - saved_ms,
    }
    return {role: ms * (1 + noise * random.standard_normal(rounds)) for role, ms in true.items()}


@pytest.mark.parametrize(
    ("saved_ms", "outcome"),
    [(0.02, Outcome.FUSED), (0.0, Outcome.APART), (-0.01, Outcome.APART), (0.011, Outcome.FUSED)],
)
def test_what_is_saved_decides_against_half_of_the_cheaper(saved_ms, outcome):
    found = decide(times(saved_ms, noise=1e-4))
    assert found.outcome is outcome
    assert found.first.mean_ms == pytest.approx(0.1, rel=0.01)
    assert found.second.mean_ms == pytest.approx(0.02, rel=0.01)
    assert found.saved.mean_ms == pytest.approx(saved_ms, abs=1e-4)
    assert found.saved_share == pytest.approx(saved_ms / 0.02, abs=0.01)


def test_the_cheaper_one_may_be_the_first():
    # 0.012 ms are more than half of 0.02, and less than half of 0.1.
    assert decide(times(0.012, 1e-4, first_ms=0.02, second_ms=0.1)).outcome is Outcome.FUSED
    assert decide(times(0.012, 1e-4, first_ms=0.09, second_ms=0.1)).outcome is Outcome.APART


def test_much_noise_decides_nothing():
    assert decide(times(0.02, noise=0.5, seed=3)).outcome is Outcome.UNDECIDED


def test_what_costs_nothing_cannot_be_saved():
    found = decide(times(0.0, noise=1e-3, second_ms=0.0))
    assert found.outcome is Outcome.UNDECIDED


def test_a_slow_round_is_slow_for_all_of_its_graphs():
    quiet = times(0.02, noise=1e-3)
    slow = np.where(np.arange(16) % 3 == 0, 3.0, 1.0)
    loud = {role: values * slow for role, values in quiet.items()}
    assert decide(loud).outcome is decide(quiet).outcome is Outcome.FUSED
    spread = [found.saved.high_ms - found.saved.low_ms for found in map(decide, (loud, quiet))]
    assert spread[0] < 3 * spread[1]


def test_one_disturbed_round_does_not_decide():
    disturbed = times(0.02, noise=1e-3)
    disturbed["both"][5] *= 2
    assert decide(disturbed).outcome is Outcome.FUSED


@settings(max_examples=12, deadline=None)
@given(
    share=st.one_of(st.floats(0, 1), st.just(0.5)),
    noise=st.floats(0.001, 0.1),
    rounds=st.integers(5, 24),
    seed=st.integers(0, 2**31),
)
def test_wrong_verdicts_are_no_more_than_the_level_allows(share, noise, rounds, seed):
    tries = 150
    outcomes = [
        decide(times(0.02 * share, noise, rounds, seed + index)).outcome for index in range(tries)
    ]
    wrong = {Outcome.FUSED} if share < 0.5 else {Outcome.APART}
    if share == 0.5:
        wrong = {Outcome.FUSED, Outcome.APART}
    count = sum(outcome in wrong for outcome in outcomes)
    # One side of 95 %, both at the limit; half as much again, as the trimmed t is not exact.
    allowed = 1.5 * 0.025 * len(wrong)
    assert count <= binom.ppf(1 - 1e-6, tries, allowed)


def test_small_noise_leaves_little_undecided():
    for saved_ms, outcome in ((0.02, Outcome.FUSED), (0.0, Outcome.APART)):
        found = [decide(times(saved_ms, 0.02, seed=seed)).outcome for seed in range(200)]
        assert found.count(outcome) > 180


def test_too_few_rounds_and_shares_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="at least 3 rounds"):
        decide(times(0.0, rounds=2))
    uneven = times(0.0)
    uneven["both"] = uneven["both"][:-1]
    with pytest.raises(ConfigError, match="all of its graphs"):
        decide(uneven)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        decide(times(0.0), share=1.0)
