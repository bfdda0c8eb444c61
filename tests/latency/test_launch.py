"""A launch's values, with and without a sentinel, and its JSON form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.latency.launch import Launch
from elat.latency.sample import Clock, Sample

NUMBERS = st.integers(1, 2**62)
SAMPLES = st.builds(Sample, NUMBERS, NUMBERS, NUMBERS, st.integers(0, 1000))


def launch(samples, sentinel=()):
    return Launch("w", 0, "2026-01-01", 1.0, 2.0, 30, True, 1e-6, tuple(samples), tuple(sentinel))


def ms(wall, cpu=None, switches=0):
    return Sample(1, round(wall * 1e6), round((cpu or wall) * 1e6), switches)


def test_the_wall_value_leaves_disturbed_samples_out_if_it_can():
    disturbed = ms(9.0, cpu=1.0, switches=1)
    assert launch([ms(1.0), ms(1.2), disturbed, disturbed]).wall_ms == pytest.approx(1.1)
    assert launch([disturbed]).wall_ms == 9.0
    assert launch([ms(1.0), disturbed, disturbed]).cpu_ms == 1.0


def test_the_middle_is_the_mean_of_the_middle_half():
    one = launch(map(ms, [5.0, 1.0, 2.0, 4.0, 3.0, 100.0, 0.1, 6.0]))
    assert one.middle_ms(Clock.CPU) == pytest.approx((2 + 3 + 4 + 5) / 4)
    assert launch([ms(1.0), ms(3.0)]).middle_ms(Clock.CPU) == 2.0


def test_the_middle_by_wall_time_leaves_disturbed_samples_out_if_it_can():
    one = launch([ms(1.0), ms(9.0, cpu=5.0, switches=1)])
    assert one.middle_ms(Clock.WALL) == 1.0
    assert one.middle_ms(Clock.CPU) == 3.0
    assert launch([ms(9.0, switches=1)]).middle_ms(Clock.WALL) == 9.0


def test_the_sentinel_is_read_like_a_case():
    one = launch([ms(4.0)] * 3, [ms(1.0), ms(3.0, switches=1), ms(2.0)])
    assert one.sentinel_ms(Clock.CPU) == 2.0
    assert one.sentinel_ms(Clock.WALL) == 1.5
    assert launch([ms(4.0)], [ms(3.0, switches=1)]).sentinel_ms(Clock.WALL) == 3.0
    assert launch([ms(1.0)]).sentinel_ms(Clock.CPU) is None


@given(st.lists(st.tuples(SAMPLES, SAMPLES), min_size=1, max_size=5), st.booleans())
def test_json_keeps_everything(pairs, has_sentinel):
    one = launch([a for a, _ in pairs], [b for _, b in pairs] if has_sentinel else [])
    assert Launch.from_json(json.loads(json.dumps(one.to_json()))) == one
