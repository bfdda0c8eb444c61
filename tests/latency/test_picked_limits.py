"""Picks against search by hand, leave-one-out against refits, margins against fresh worlds."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.core.errors import ConfigError
from elat.latency.picked_limits import DesignRidge, pick

ARCHITECTURES, COLUMNS = 800, 10


def world(generator):
    """Latencies that the assumptions hold for: linear, with independent relative errors."""
    design = generator.integers(0, 2, (ARCHITECTURES, COLUMNS)).astype(float)
    exact = 3 + design @ generator.uniform(0.2, 1, COLUMNS)
    worth = exact + generator.normal(0, 0.5, ARCHITECTURES)
    return design, worth, exact * np.exp(generator.normal(0, 0.06, ARCHITECTURES))


@pytest.fixture(scope="module")
def model():
    generator = np.random.default_rng(0)
    design, _, latency_ms = world(generator)
    samples = generator.choice(ARCHITECTURES, 60, replace=False)
    return DesignRidge.fit(design, samples, latency_ms[samples])


@given(
    st.lists(st.floats(0.1, 10), min_size=1, max_size=20),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=5),
)
def test_the_pick_is_the_first_within_the_limit(predicted, limits):
    expected = [
        next((n for n, ms in enumerate(predicted) if ms <= limit), len(predicted))
        for limit in limits
    ]
    assert pick(np.array(predicted), np.array(limits)).tolist() == expected


def test_left_out_errors_are_those_of_refits(model):
    rows, target = model.columns[model.samples], model.latency_ms
    for left_out in range(0, 60, 7):
        kept = np.arange(60) != left_out
        weights = 1 / target[kept] ** 2
        normal = (rows[kept].T * weights) @ rows[kept] + model.penalty * np.eye(rows.shape[1])
        refit = np.linalg.solve(normal, rows[kept].T @ (weights * target[kept]))
        error = np.log(target[left_out] / (rows[left_out] @ refit))
        assert model.log_errors[left_out] == pytest.approx(error, rel=1e-6)


def test_the_margin_of_one_is_an_order_statistic(model):
    ascending = np.sort(model.log_errors)
    assert model.margin_of_one(0.9) == ascending[54]  # ceil(61 * 0.9) = 55
    assert model.margin_of_one(0.99) == inf


def test_the_same_generator_gives_the_same_margin(model):
    worth = model.predicted_ms
    found = [
        model.margin_of_picks(worth, 6.0, 0.95, np.random.default_rng(4), worlds=10)
        for _ in range(2)
    ]
    assert found[0] == found[1] > 0


def test_a_higher_level_needs_no_smaller_margin(model):
    margins = [
        model.margin_of_picks(model.predicted_ms, 6.0, level, np.random.default_rng(4), 20)
        for level in (0.7, 0.9, 0.97)
    ]
    assert margins == sorted(margins)


def test_no_margin_is_enough_where_one_error_in_ten_is_huge():
    generator = np.random.default_rng(2)
    design, worth, latency_ms = world(generator)
    samples = np.arange(100)
    measured = latency_ms[samples] * np.where(samples % 10, 1, 30)
    fitted = DesignRidge.fit(design, samples, measured)
    bound = float(np.median(latency_ms)) * 4
    assert fitted.margin_of_picks(worth, bound, 0.99, generator, worlds=10) == inf


def test_few_samples_and_no_latencies_are_refused():
    design = np.eye(20)
    with pytest.raises(ConfigError, match="Ten samples"):
        DesignRidge.fit(design, np.arange(9), np.ones(9))
    with pytest.raises(ConfigError, match="above 0"):
        DesignRidge.fit(design, np.arange(10), np.zeros(10))


def test_picks_keep_the_bound_as_often_as_wanted():
    """Where the assumptions hold: predictions break it in a quarter or more, limits in about 5 %.

    12 % is three standard errors of 80 draws above that.
    """
    broken = np.zeros((80, 2))
    for draw in range(80):
        generator = np.random.default_rng([9, draw])
        design, worth, latency_ms = world(generator)
        samples = generator.choice(ARCHITECTURES, 80, replace=False)
        fitted = DesignRidge.fit(design, samples, latency_ms[samples])
        bound = float(np.quantile(latency_ms, generator.uniform(0.2, 0.8)))
        margin = fitted.margin_of_picks(worth, bound, 0.95, generator, worlds=30)
        order = np.argsort(-worth)
        limits = bound * np.exp(-np.array([0.0, margin]))
        picked = order[pick(fitted.predicted_ms[order], limits)]
        broken[draw] = latency_ms[picked] > bound
    point, limited = broken.mean(axis=0)
    assert point > 0.25 and limited < 0.12
