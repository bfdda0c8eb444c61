"""Warm-up, calibration and interleaving on sessions that only pretend to take time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import MeasurementError
from elat.latency.protocol import SCREEN
from elat.latency.runtimes.base import Session
from elat.latency.sample import Clock, Sample
from elat.latency.timing import Slot, calibrate, interleave, make_slot, warm_up

QUICK = replace(SCREEN, warmup_min_ms=0.0, warmup_cap_ms=500.0)


class Scripted(Session):
    """Takes `ms(call)` for each call, by both clocks unless `cpu_share` says otherwise."""

    def __init__(self, ms, cpu_share=1.0, log=None, name=None):
        self.ms = ms
        self.cpu_share = cpu_share
        self.calls = 0
        self.log = log
        self.name = name

    def time_loops(self, loops):
        ns = round(sum(1e6 * self.ms(self.calls + i) for i in range(loops)))
        self.calls += loops
        if self.log is not None:
            self.log.append((self.name, loops))
        return Sample(loops, ns, round(ns * self.cpu_share), 0)

    def output(self):
        raise AssertionError("timing needs no output")


def steady(ms, **more):
    return Scripted(lambda call: ms, **more)


def test_loops_double_until_a_sample_is_long_enough():
    assert calibrate(steady(1.0), 10.0, Clock.CPU) == (16, 31)
    assert calibrate(steady(10.0), 10.0, Clock.CPU) == (1, 1)


def test_calibration_goes_by_the_clock_that_decides():
    # Waiting makes the wall time ten times the thread's own.
    assert calibrate(steady(1.0, cpu_share=0.1), 10.0, Clock.WALL)[0] == 16
    assert calibrate(steady(1.0, cpu_share=0.1), 10.0, Clock.CPU)[0] == 128


def test_a_clock_that_stands_still_is_an_error():
    with pytest.raises(MeasurementError, match="no work in the thread"):
        calibrate(Still(), 1.0, Clock.CPU)


class Still(Session):
    def time_loops(self, loops):
        return Sample(loops, loops, 0, 0)

    def output(self):
        raise AssertionError


def test_warm_up_waits_until_two_windows_agree():
    # Each run is 1 % faster than the one before for 100 runs, then steady at 1 ms.
    session = Scripted(lambda call: 1.01 ** max(0, 100 - call))
    warm = warm_up(session, QUICK, Clock.CPU)
    assert warm.is_warm
    assert warm.calls == session.calls >= 100
    assert warm.run_ms == pytest.approx(1.0, rel=0.02)


def test_a_session_that_never_settles_is_given_up_at_the_cap():
    warm = warm_up(Scripted(lambda call: 1.0 + 0.1 * call), QUICK, Clock.CPU)
    assert not warm.is_warm
    assert warm.calls < 500


def test_warm_up_lasts_its_minimum():
    slow = replace(QUICK, warmup_min_ms=100.0)
    assert warm_up(steady(1.0), QUICK, Clock.CPU).calls == 1 + 2 * QUICK.window
    assert warm_up(steady(1.0), slow, Clock.CPU).calls == 1 + 100


@given(run_ms=st.floats(1e-4, 1e3), passes=st.integers(1, 64))
@settings(deadline=None)
def test_slices_are_long_enough_and_settling_is_short_beside_them(run_ms, passes):
    protocol = replace(QUICK, passes=passes)
    session = steady(run_ms)
    slot = make_slot(session, warm_up(session, protocol, Clock.WALL), 2.0, protocol)
    assert slot.loops * run_ms >= 2.0 * (1 - 1e-2)
    assert slot.loops == 1 or slot.loops * run_ms < 8.0 * (1 + 1e-2)
    assert slot.settle in (1, 2)
    assert slot.settle == 1 or slot.settle * run_ms <= 0.5 * (1 + 1e-2)
    assert slot.settle == 2 or run_ms > 0.25 * (1 - 1e-2)
    # But for a run so long that four of them make no slice.
    assert 4 * slot.settle <= slot.loops or run_ms > 2.0 * (1 - 1e-2)


@given(run_ms=st.floats(1e-2, 1e2), passes=st.integers(1, 64))
@settings(deadline=None)
def test_long_slices_come_in_fewer_passes_so_that_as_much_is_timed(run_ms, passes):
    protocol = replace(QUICK, passes=passes)
    session = steady(run_ms)
    slot = make_slot(session, warm_up(session, protocol, Clock.WALL), 2.0, protocol)
    slices = sum(slot.slices_in(number) for number in range(passes))
    assert min(passes, 10) <= slices <= passes
    assert slices * slot.loops * run_ms >= passes * 2.0 * (1 - 2e-2)
    is_needed = (slices - 1) * slot.loops * run_ms < passes * 2.0 * (1 + 2e-2)
    assert is_needed or slices == min(passes, 10)


def test_the_passes_of_a_slot_lie_evenly_among_all():
    slot = Slot(steady(1.0), 1, 1, repeats=3, share=0.4)
    assert [slot.slices_in(number) for number in range(10)] == [3, 0, 3, 0, 0] * 2
    slots = [slot, Slot(steady(1.0), 1, 1)]
    run_passes(slots, Slot(steady(0.1), 1, 1), passes=10)
    assert [len(slot.samples) for slot in slots] == [12, 10]
    assert [len(slot.sentinel) for slot in slots] == [12, 10]


def run_passes(slots, sentinel, passes=3, seed=0, seen=None, every=1, at_least_ms=0.0, most=1000):
    protocol = replace(
        QUICK, passes=passes, max_passes=most, group_min_ms=at_least_ms, sentinel_every=every
    )
    generator = np.random.default_rng(seed)
    record = (lambda index: None) if seen is None else seen.append
    interleave(slots, sentinel, protocol, generator, (RuntimeError,), record)


def test_each_pass_times_every_slot_as_often_as_asked():
    slots = [Slot(steady(1.0), 2, 1), Slot(steady(1.0), 2, 1, repeats=3)]
    seen: list[int] = []
    run_passes(slots, None, passes=4, seen=seen)
    assert [len(slot.samples) for slot in slots] == [4, 12]
    assert all(sorted(seen[i : i + 4]) == [0, 1, 1, 1] for i in range(0, 16, 4))
    assert all(not slot.sentinel for slot in slots)


def test_a_small_group_gets_more_passes_until_it_has_lasted_long_enough():
    # A pass takes 2 x 2 ms, and 1 ms of the sentinel that counts.
    for at_least_ms, passes in ((0.0, 3), (100.0, 20), (1e6, 50)):
        slots = [Slot(steady(1.0), 2, 1) for _ in range(2)]
        run_passes(slots, Slot(steady(0.5), 2, 1), every=2, at_least_ms=at_least_ms, most=50)
        assert {len(slot.samples) for slot in slots} == {passes}


def test_a_group_in_which_every_slot_failed_ends_at_once():
    def fails(call):
        raise RuntimeError

    slot, sentinel = Slot(Scripted(fails), 1, 1), steady(0.5)
    run_passes([slot], Slot(sentinel, 2, 1), at_least_ms=1e6, most=10)
    assert sentinel.calls == 6
    run_passes([], Slot(steady(0.5), 2, 1), at_least_ms=1e6, most=10)


def test_passes_are_shuffled_by_the_generator_alone():
    orders = []
    for seed in (0, 0, 1):
        seen: list[int] = []
        run_passes([Slot(steady(1.0), 1, 1) for _ in range(8)], None, seed=seed, seen=seen)
        orders.append(seen)
    assert orders[0] == orders[1] != orders[2]
    assert orders[0][:8] != orders[0][8:16]


def test_untimed_runs_come_before_each_slice_and_sentinel_slices_around_it():
    log: list[tuple[str, int]] = []
    slots = [Slot(steady(1.0, log=log, name="case"), 5, 2)]
    sentinel = Slot(steady(0.1, log=log, name="sentinel"), 9, 3)
    run_passes(slots, sentinel, passes=1)
    assert log == [
        ("sentinel", 3), ("sentinel", 9),
        ("case", 2), ("case", 5),
        ("sentinel", 3), ("sentinel", 9),
    ]  # fmt: skip
    assert slots[0].samples[0].loops == 5
    assert slots[0].sentinel[0].loops == 18


@pytest.mark.parametrize(("every", "between"), [(1, 6), (2, 4), (4, 3), (5, 2), (99, 2)])
def test_the_sentinel_comes_after_every_few_slices(every, between):
    log: list[tuple[str, int]] = []
    slots = [Slot(steady(1.0), 1, 1) for _ in range(5)]
    run_passes(slots, Slot(steady(0.1, log=log), 9, 1), passes=1, every=every)
    assert len([loops for _, loops in log if loops == 9]) == between
    assert all(len(slot.sentinel) == 1 for slot in slots)


def test_all_cases_of_a_group_see_the_same_mixture_of_speeds():
    # The core's speed swings by a factor of 1.8 on a clock that every run moves on.
    now = {"runs": 0}

    def at_speed(ms):
        def time(_):
            now["runs"] += 1
            return ms * (1.0 + 0.3 * np.sin(now["runs"] / 200))

        return time

    truth = np.array([0.5, 1.0, 4.0])
    slots = [Slot(Scripted(at_speed(ms)), 4, 1) for ms in truth]
    sentinel = Slot(Scripted(at_speed(0.25)), 4, 1)
    run_passes(slots, sentinel, passes=300, every=2)
    found = np.array([np.median([s.cpu_ms for s in slot.samples]) for slot in slots])
    speed = np.median([s.cpu_ms for s in slots[0].sentinel]) / 0.25
    assert found / truth / speed == pytest.approx(np.ones(3), rel=0.05)
    assert max(s.cpu_ms for s in slots[0].samples) > 1.5 * min(s.cpu_ms for s in slots[0].samples)


def test_a_slot_that_fails_drops_out_and_the_others_go_on():
    def fails(call):
        if call >= 5:
            raise RuntimeError("device lost")
        return 1.0

    slots = [Slot(Scripted(fails), 1, 1), Slot(steady(1.0), 1, 1)]
    run_passes(slots, Slot(steady(0.1), 1, 1), passes=6)
    assert str(slots[0].error) == "device lost"
    assert slots[1].error is None
    assert len(slots[1].samples) == len(slots[1].sentinel) == 6
