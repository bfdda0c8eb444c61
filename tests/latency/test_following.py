"""How a case follows the machine's speed, against the posterior computed on a grid."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.latency.comparison import Side, compare_measurements
from elat.latency.estimate import UNFOLLOWED_SHARE
from elat.latency.following import Following, following
from elat.latency.protocol import STANDARD
from elat.latency.simulation import STILL, Machine, simulate


def test_the_share_is_the_posterior_mean_of_a_line_with_a_normal_prior():
    random = np.random.default_rng(0)
    slowness = random.normal(0.03, 0.05, 9)
    values = -1.0 + 0.7 * slowness + random.normal(0, 0.02, 9)
    found = following(values, slowness)
    moves, rest = slowness - slowness.mean(), values - values.mean()
    slope = np.polyfit(slowness, values, 1)[0]
    variance = float(np.sum((rest - slope * moves) ** 2)) / 7
    grid = np.linspace(-2, 4, 60_001)
    errors = ((rest[:, None] - grid * moves[:, None]) ** 2).sum(axis=0)
    log = -errors / (2 * variance) - (grid - 1) ** 2 / (2 * UNFOLLOWED_SHARE**2)
    weights = np.exp(log - log.max())
    mean = float(np.average(grid, weights=weights))
    assert found.share == pytest.approx(mean, abs=1e-6)
    assert found.sd == pytest.approx(
        math.sqrt(float(np.average((grid - mean) ** 2, weights=weights))), rel=1e-4
    )


def test_nothing_is_learnt_where_the_speed_does_not_move_or_launches_are_few():
    values = np.random.default_rng(1).normal(0, 0.02, 8)
    assert following(values, np.full(8, 0.3)) == Following(1.0, UNFOLLOWED_SHARE)
    assert following(values[:2], np.array([0.0, 0.1])) == Following(1.0, UNFOLLOWED_SHARE)


@given(st.floats(0.2, 1.8), st.floats(-0.2, 0.2), st.integers(3, 20))
def test_the_share_lies_between_the_prior_and_the_line(truth, offset, count):
    slowness = np.linspace(-0.05, 0.1, count) + offset
    found = following(truth * slowness + 2.0, slowness)
    assert min(1, truth) - 1e-9 <= found.share <= max(1, truth) + 1e-9
    assert 0 < found.sd <= UNFOLLOWED_SHARE


def test_two_days_together_say_what_one_regression_of_both_would():
    one, none = Following(0.6, 0.08), Following()
    assert one.pooled(none).share == pytest.approx(0.6)
    assert one.pooled(none).sd == pytest.approx(0.08)
    both = one.pooled(Following(0.8, 0.08))
    assert 0.6 < both.share < 0.8
    assert both.sd < 0.08


# Cases that go with the machine to powers far from 1, as what waits for memory does.
UNLIKE = replace(STILL, launch_sd=0.005, drift_sd=0.08, drift_s=20.0, unfollowed_sd=0.3)
TRUTH = [0.03 * 1.6**k for k in range(8)]
QUICK = replace(STANDARD, passes=8, max_passes=8, min_launches=14, looks=(14,))


def test_what_a_case_does_with_the_machine_is_learnt_and_taken_off():
    errors, forced = [], []
    for seed in range(6):
        found = simulate(TRUTH, UNLIKE, QUICK, np.random.default_rng(seed))
        for m in found.measurements:
            errors.append(np.std(m.launch_log))
            forced.append(np.std(replace(m, following=Following()).launch_log))
    assert np.median(errors) < 0.75 * np.median(forced)


def test_two_stores_at_different_speeds_differ_by_what_a_case_follows():
    differences: list[float] = []
    forced: list[float] = []
    for seed in range(6):
        random = np.random.default_rng(seed)
        machine = Machine(UNLIKE, random)
        sides = []
        for _ in range(2):
            found = simulate(TRUTH, UNLIKE, QUICK, random, machine=machine)
            machine.wait(3600.0)
            sides.append(found.measurements)
        for kept, plain in ((differences, False), (forced, True)):
            a, b = (
                Side.of([replace(m, following=Following()) if plain else m for m in side])
                for side in sides
            )
            cases = compare_measurements(a, b).cases
            kept += [abs(case.effect_log + case.shared_log) for case in cases]
    assert np.mean(differences) < 0.9 * np.mean(forced)
