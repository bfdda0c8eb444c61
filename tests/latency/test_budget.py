"""Limits are held by whole intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elat.latency.budget import Held, Limit, check_limits

from .comparison_bench import OPERATORS, side

TIMES = 1000.0 * np.arange(8)


@pytest.fixture(scope="module")
def measured():
    """Eight launches of five cases around 0.1 to 0.15 ms."""
    random = np.random.default_rng(0)
    log_ms = np.log(0.1) + 0.1 * np.arange(5) + 0.01 * random.standard_normal((8, 5))
    return dict(side(log_ms, np.zeros(8), TIMES).measurements)


def reach(measurement):
    """How far the interval reaches down and up."""
    low, high = measurement.interval()
    return measurement.latency_ms - low, high - measurement.latency_ms


@pytest.mark.parametrize(
    ("place", "margin", "expected"),
    [
        ("above", 0.0, Held.OK),
        ("within", 0.0, Held.UNSURE),
        ("below", 0.0, Held.OVER),
        ("below", 0.5, Held.OK),
    ],
)
def test_the_interval_decides(measured, place, margin, expected):
    low, high = measured[OPERATORS[0]].interval()
    limit_ms = {"above": 1.001 * high, "within": (low + high) / 2, "below": 0.999 * low}[place]
    limit = Limit("stem", ((OPERATORS[0], 1.0),), limit_ms, margin)
    (line,) = check_limits([limit], measured)
    assert line.held is expected
    assert (line.low_ms, line.high_ms) == pytest.approx((low, high), rel=1e-12)


def test_a_sum_has_the_error_of_independent_models(measured):
    terms = ((OPERATORS[0], 1.0), (OPERATORS[1], 1.0), (OPERATORS[2], -0.5))
    (line,) = check_limits([Limit("sum", terms, 1.0)], measured)
    expected = sum(weight * measured[model].latency_ms for model, weight in terms)
    down, up = zip(*(reach(measured[model]) for model, _ in terms), strict=True)
    assert line.latency_ms == pytest.approx(expected)
    assert line.high_ms == pytest.approx(expected + math.hypot(up[0], up[1], 0.5 * down[2]))
    assert line.low_ms == pytest.approx(expected - math.hypot(down[0], down[1], 0.5 * up[2]))


def test_a_wide_interval_is_that_of_the_measurement():
    wide = dict(side(np.log([[1.0], [1.2]]), None, TIMES[:2]).measurements)
    low, high = wide[OPERATORS[0]].interval()
    assert (low, high) == pytest.approx((0.344, 3.489), rel=0.01)
    (line,) = check_limits([Limit("stem", ((OPERATORS[0], 1.0),), 3.0)], wide)
    assert line.held is Held.UNSURE
    assert (line.low_ms, line.high_ms) == pytest.approx((low, high))


def test_a_higher_level_asks_for_more(measured):
    _, high = measured[OPERATORS[0]].interval(0.9)
    limit = Limit("stem", ((OPERATORS[0], 1.0),), 1.001 * high)
    assert check_limits([limit], measured, 0.9)[0].held is Held.OK
    assert check_limits([limit], measured, 0.999)[0].held is Held.UNSURE


def test_what_was_not_measured_is_not_known(measured):
    limit = Limit("gone", ((OPERATORS[9], 1.0),), 1.0)
    (line,) = check_limits([limit], measured)
    assert (line.held, line.latency_ms) == (Held.UNKNOWN, None)
    assert str(OPERATORS[9]) in line.reason


def test_one_launch_holds_nothing():
    one = dict(side(np.zeros((1, 1)), np.zeros(1), TIMES[:1]).measurements)
    (line,) = check_limits([Limit("stem", ((OPERATORS[0], 1.0),), 100.0)], one)
    assert (line.held, line.high_ms) == (Held.UNKNOWN, None)
    assert "one launch" in line.reason
