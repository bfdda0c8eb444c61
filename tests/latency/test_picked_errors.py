"""Limits of picks against a regression written out, and against worlds in which picks are made."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, t

from elat.core.errors import ConfigError
from elat.latency.picked_errors import PickedErrors


def world(generator, count, bias=1.0):
    """Predictions, MACs and latencies: MACs tell what the prediction missed, `bias` times."""
    size = generator.normal(0, 0.25, count)
    own = bias * generator.normal(0, 0.04, count)
    macs = np.exp(18 + size + own + generator.normal(0, 0.01, count))
    predicted = 5 * np.exp(size)
    return predicted, macs, predicted * np.exp(own + generator.normal(0, 0.01, count))


def test_the_margin_is_the_limit_of_a_new_observation_of_the_regression():
    predicted, macs, measured = world(np.random.default_rng(0), 40)
    found = PickedErrors.fit(predicted, macs, measured)
    line = linregress(np.log(predicted), np.log(macs))
    excess = np.log(macs) - line.slope * np.log(predicted) - line.intercept
    errors = np.log(measured / predicted)
    regression = linregress(excess, errors)
    residuals = errors - regression.slope * excess - regression.intercept
    deviation = np.sqrt(np.sum(residuals**2) / 38)
    new = 0.05
    at = np.exp(line.slope * np.log(5.0) + line.intercept + new)
    width = deviation * np.sqrt(1 + 1 / 40 + new**2 / np.sum(excess**2))
    # At a low level the order statistic is the smaller one.
    levels = (0.6, 0.75, 0.9)
    margins = [float(found.margin(np.array([5.0]), np.array([at]), p)[0]) for p in levels]
    for level, margin in zip(levels, margins, strict=True):
        expected = regression.intercept + regression.slope * new + t.ppf(level, 38) * width
        rank = int(np.ceil(41 * level - 1e-9))
        leverage = 1 / 40 + excess**2 / np.sum(excess**2)
        score = np.sort(residuals / np.sqrt(1 - leverage) / deviation)[rank - 1]
        other = regression.intercept + regression.slope * new + score * width
        assert margin == pytest.approx(max(expected, other), rel=1e-6)


@given(st.integers(0, 30), st.floats(-3, 3), st.integers(12, 60))
@settings(max_examples=40, deadline=None)
def test_more_multiply_adds_never_need_a_smaller_margin(seed, bias, count):
    found = PickedErrors.fit(*world(np.random.default_rng(seed), count, bias))
    macs = np.exp(np.linspace(16, 20, 30))
    margins = found.margin(np.full(30, 5.0), macs, 0.9)
    assert all(b >= a - 1e-12 for a, b in pairwise(margins.tolist()))
    assert np.all(found.margin(np.full(30, 5.0), macs, 0.5) <= margins)


def test_networks_of_the_same_multiply_adds_are_told_apart_by_nothing():
    predicted, _, measured = world(np.random.default_rng(1), 30)
    found = PickedErrors.fit(predicted, np.full(30, 1e6), measured)
    assert found.shift == 0.0
    margins = found.margin(np.array([4.0, 4.0]), np.array([1e6, 1e6]), 0.9)
    assert np.isfinite(margins).all()


def test_too_few_networks_are_refused_with_the_number_it_takes():
    with pytest.raises(ConfigError, match="takes 6"):
        PickedErrors.fit(*world(np.random.default_rng(0), 5))
    found = PickedErrors.fit(*world(np.random.default_rng(0), 18))
    with pytest.raises(ConfigError, match="18 measured networks cannot tell"):
        found.margin(np.ones(1), np.ones(1), 0.95)


def test_picks_keep_their_limit_where_those_of_all_networks_are_passed():
    """The network of most MACs within a bound: 300 draws, of which 15 may pass it, and noise."""
    passed = np.zeros((300, 2))
    for draw in range(300):
        generator = np.random.default_rng([7, draw])
        predicted, macs, measured = world(generator, 220)
        learnt, others = slice(0, 20), slice(20, None)
        found = PickedErrors.fit(predicted[learnt], macs[learnt], measured[learnt])
        of_all = np.sort(np.log(measured[learnt] / predicted[learnt]))[-1]
        limits = (
            predicted[others] * np.exp(of_all),
            predicted[others] * np.exp(found.margin(predicted[others], macs[others], 0.95)),
        )
        bound = float(np.quantile(measured[others], generator.uniform(0.2, 0.8)))
        for column, limit in enumerate(limits):
            within = np.flatnonzero(limit <= bound)
            picked = within[np.argmax(macs[others][within])]
            passed[draw, column] = measured[others][picked] > bound
    of_all, of_picks = passed.mean(axis=0)
    assert of_all > 0.12
    assert of_picks < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
