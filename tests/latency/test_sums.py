"""Weighted sums of measurements against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from elat.core.errors import MeasurementError
from elat.latency.sums import sum_interval_ms, sum_ms

from .comparison_bench import OPERATORS, side


def measured(*log_ms):
    """One case of a launch each, in one stretch of time."""
    times = 1000.0 * np.arange(len(log_ms))
    return side(np.array(log_ms)[:, None], None, times).measurements[OPERATORS[0]]


def test_one_model_has_its_own_interval_which_reaches_further_up():
    wide = measured(0.0, 0.2)
    low_ms, high_ms = sum_interval_ms([(wide, 1.0)])
    assert (low_ms, high_ms) == pytest.approx(wide.interval(), rel=1e-12)
    assert high_ms - wide.latency_ms > 2 * (wide.latency_ms - low_ms)


def test_what_is_subtracted_reaches_to_the_other_side():
    first, second = measured(0.0, 0.1, 0.2), measured(0.5, 0.55, 0.7)
    (low_a, high_a), (low_b, high_b) = first.interval(0.9), second.interval(0.9)
    middle = first.latency_ms - 2 * second.latency_ms
    terms = [(first, 1.0), (second, -2.0)]
    assert sum_ms(terms) == pytest.approx(middle, rel=1e-12)
    down = math.hypot(first.latency_ms - low_a, 2 * (high_b - second.latency_ms))
    up = math.hypot(high_a - first.latency_ms, 2 * (second.latency_ms - low_b))
    assert sum_interval_ms(terms, 0.9) == pytest.approx((middle - down, middle + up), rel=1e-12)


def test_nothing_is_certain_and_one_launch_is_not():
    assert (sum_ms([]), sum_interval_ms([])) == (0.0, (0.0, 0.0))
    with pytest.raises(MeasurementError, match="one launch"):
        sum_interval_ms([(measured(0.0), 1.0)])
