"""Variances that lend each other certainty."""

from __future__ import annotations

import numpy as np
import pytest

from elat.latency.moderation import moderated


def drawn(random, cases, freedom, prior=np.inf):
    """Estimates of variances that are 2, or are scattered around it with `prior` degrees."""
    true = np.full(cases, 2.0)
    if np.isfinite(prior):
        true = 2.0 * prior / random.chisquare(prior, cases)
    return true, true * random.chisquare(freedom, cases) / freedom


def test_equal_variances_are_known_far_better_together():
    true, found = drawn(np.random.default_rng(0), 400, 4)
    better, freedoms = moderated(found, np.full(400, 4.0))
    assert np.mean((better - true) ** 2) < 0.2 * np.mean((found - true) ** 2)
    assert np.median(freedoms) > 15


def test_different_variances_are_drawn_together_less():
    random = np.random.default_rng(1)
    true, found = drawn(random, 400, 4, prior=6.0)
    better, freedoms = moderated(found, np.full(400, 4.0))
    assert np.mean(np.log(better / true) ** 2) < np.mean(np.log(found / true) ** 2)
    assert 7 < np.median(freedoms) < 12, "those of the prior are found, and added to the own"


def test_a_variance_far_above_the_others_stays():
    _, found = drawn(np.random.default_rng(2), 40, 6)
    found[7] = 400.0
    better, freedoms = moderated(found, np.full(40, 6.0))
    assert (better[7], freedoms[7]) == (400.0, 6.0)
    assert np.median(freedoms) > 6


@pytest.mark.parametrize("odd", [0.0, np.inf])
def test_what_is_no_variance_is_left_out(odd):
    _, found = drawn(np.random.default_rng(3), 20, 6)
    found[3] = odd
    better, freedoms = moderated(found, np.full(20, 6.0))
    assert (better[3], freedoms[3]) == (odd, 6.0)
    rest = np.arange(20) != 3
    assert better[rest].std() < found[rest].std()


def test_few_cases_lend_nothing():
    variances, freedoms = np.array([1.0, 2.0, 9.0]), np.full(3, 4.0)
    assert moderated(variances, freedoms) == (pytest.approx(variances), pytest.approx(freedoms))
