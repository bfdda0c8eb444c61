"""Samples, their clocks, and the one place where a clock is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.latency.sample import Clock, Sample, timed


def test_times_of_one_run_are_the_stretch_over_its_loops():
    sample = Sample(loops=4, wall_ns=8_000_000, cpu_ns=6_000_000, involuntary_switches=1)
    assert (sample.wall_ms, sample.cpu_ms) == (2.0, 1.5)
    assert (sample.run_ms(Clock.WALL), sample.run_ms(Clock.CPU)) == (2.0, 1.5)
    assert (sample.total_ms(Clock.WALL), sample.total_ms(Clock.CPU)) == (8.0, 6.0)


def test_the_thread_clock_decides_for_one_thread_only():
    assert [Clock.of(threads) for threads in (1, 2, 8)] == [Clock.CPU, Clock.WALL, Clock.WALL]


counts = st.integers(0, 10**12)


@given(a=st.tuples(st.integers(1, 10**6), counts, counts, counts),
       b=st.tuples(st.integers(1, 10**6), counts, counts, counts))  # fmt: skip
def test_a_sum_of_samples_adds_every_field(a, b):
    assert Sample(*a) + Sample(*b) == Sample(*(x + y for x, y in zip(a, b, strict=True)))


@pytest.mark.parametrize("loops", [1, 7])
def test_timed_runs_exactly_as_often_as_asked(loops):
    calls = []
    sample = timed(lambda: calls.append(1), loops)
    assert len(calls) == sample.loops == loops
    assert sample.wall_ns > 0 and sample.cpu_ns >= 0 and sample.involuntary_switches >= 0
