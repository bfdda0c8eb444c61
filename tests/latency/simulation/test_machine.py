"""Each disturbance of a simulated machine against its closed form."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from elat.latency.simulation import STILL, Machine, MachineModel, SimulatedSession


def machine(seed=0, **changes):
    return Machine(replace(STILL, **changes), np.random.default_rng(seed))


def logs(found):
    return np.log([sample.cpu_ms for sample in found])


def test_a_still_machine_tells_the_truth_and_time_passes():
    still = machine()
    session = SimulatedSession(still, 0, 0.5, 0.0)
    sample = session.time_loops(4)
    assert (sample.loops, sample.wall_ns, sample.cpu_ns) == (4, 2_000_000, 2_000_000)
    assert sample.involuntary_switches == 0
    assert still.now_ns == 2_000_000
    still.wait(1.5)
    assert still.now_ns == 2_000_000 + 1_500_000_000


def test_the_same_seed_gives_the_same_times():
    def times(seed):
        found = Machine(MachineModel(busy_share=0.5), np.random.default_rng(seed))
        return [SimulatedSession(found, 0, 1.0, 0.0).time_loops(3) for _ in range(20)]

    assert times(3) == times(3) != times(4)


def test_samples_and_launches_scatter_as_the_model_says():
    noisy = machine(sample_sd=0.05)
    session = SimulatedSession(noisy, 0, 1.0, 0.0)
    assert logs(session.time_loops(1) for _ in range(4000)).std() == pytest.approx(0.05, rel=0.05)
    scattered = machine(launch_sd=0.03)
    found = [SimulatedSession(scattered, 0, 1.0, 0.0).time_loops(1) for _ in range(4000)]
    assert logs(found).std() == pytest.approx(0.03, rel=0.05)


def test_the_drift_is_stationary_and_forgets_itself_exponentially():
    pairs = []
    for seed in range(3000):
        drifting = machine(seed, drift_sd=0.1, drift_s=10.0)
        session = SimulatedSession(drifting, 0, 1e-6, 0.0)
        first = session.time_loops(10**6)
        drifting.wait(5.0)
        pairs.append(logs([first, session.time_loops(10**6)]))
    first, second = np.array(pairs).T
    assert first.std() == pytest.approx(0.1, rel=0.06)
    assert second.std() == pytest.approx(0.1, rel=0.06)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(math.exp(-0.5), abs=0.03)


def test_cases_share_the_drift_each_to_a_power_of_its_own():
    drifting = machine(drift_sd=0.2, drift_s=1e9, unfollowed_sd=0.3)
    powers = []
    for case in range(2000):
        powers.append(logs([SimulatedSession(drifting, case, 1.0, 0.0).time_loops(1)])[0])
    assert np.std(powers) / abs(np.mean(powers)) == pytest.approx(0.3, rel=0.08)


def test_an_own_drift_is_shared_with_no_other_case():
    drifting = machine(own_drift_sd=0.1)
    found = [SimulatedSession(drifting, case, 1.0, 0.0).time_loops(1) for case in range(3000)]
    assert logs(found).std() == pytest.approx(0.1, rel=0.05)


def test_the_clock_is_throttled_for_its_share_of_the_time():
    hot = machine(throttles_per_min=60.0, throttle_s=1.0, throttle_factor=2.0)
    session = SimulatedSession(hot, 0, 10.0, 0.0)
    found = np.array([session.time_loops(1).cpu_ms for _ in range(20_000)])
    is_slow = found > 15.0
    # A second free and a second throttled on average, by the wall clock.
    assert found[is_slow].sum() / found.sum() == pytest.approx(0.5, abs=0.1)
    assert set(found.round(6)) == {10.0, 20.0}


def test_preemption_costs_wall_time_only_and_is_counted():
    busy = machine(busy_share=0.5, slice_ms=4.0, away_ms=3.0)
    session = SimulatedSession(busy, 0, 4.0, 0.0)
    found = [session.time_loops(1) for _ in range(4000)]
    assert {sample.cpu_ns for sample in found} <= {3_999_999, 4_000_000, 4_000_001}
    assert np.mean([s.involuntary_switches for s in found]) == pytest.approx(0.5, rel=0.08)
    away = np.mean([s.wall_ms - s.cpu_ms for s in found])
    assert away == pytest.approx(0.5 * 3.0, rel=0.1)


def test_clocks_advance_in_steps():
    coarse = machine(clock_step_ns=1000, sample_sd=0.1)
    session = SimulatedSession(coarse, 0, 0.01234, 0.0)
    found = [session.time_loops(1) for _ in range(500)]
    assert {sample.wall_ns % 1000 for sample in found} == {0}
    assert np.mean([s.wall_ns for s in found]) == pytest.approx(12_340, rel=0.03)
