"""Drift put on launches on purpose is found again, whatever the layout of rounds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from elat.latency.common_mode import MIN_OTHERS, corrected
from elat.latency.condition import Condition, Method, Precision
from elat.latency.launch import Launch
from elat.latency.measurement import Measurement
from elat.latency.operators.conv import Conv
from elat.latency.sample import Sample

CONDITION = Condition("desk", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())


def launch(worker, value_ms):
    ns = round(value_ms * 1e9)
    return Launch(worker, 0, "t", 1.0, 1.0, 30, True, 0.0, (Sample(1000, ns, ns, 0),))


def layout(truth, worker_of_case, drift, noise=0.0, seed=0):
    """Measurements of cases with the latencies `truth` by the workers each case was given to."""
    rng = np.random.default_rng(seed)
    return [
        Measurement(
            Conv(3, 1 + case, resolution=8, kernel=3),
            CONDITION,
            tuple(
                launch(w, value * math.exp(drift[w] + noise * rng.standard_normal()))
                for w in workers
            ),
            {},
            {},
            "measured",
        )
        for case, (value, workers) in enumerate(zip(truth, worker_of_case, strict=True))
    ]


TRUTH = [0.5 * 1.3**k for k in range(12)]


def test_drift_common_to_a_worker_is_removed():
    drift = {"a": 0.0, "b": 0.08, "c": -0.03, "d": 0.0, "e": 0.0}
    found = corrected(layout(TRUTH, [list(drift)] * 12, drift))
    for measurement, truth in zip(found, TRUTH, strict=True):
        assert measurement.drift == pytest.approx(tuple(drift.values()), abs=1e-6)
        assert measurement.latency_ms == pytest.approx(truth, rel=1e-6)
        assert measurement.launch_log.std() < 1e-5


def test_raw_values_are_kept():
    drift = {"a": 0.0, "b": 0.0, "c": 0.3}
    before = layout(TRUTH, [list(drift)] * 12, drift)
    after = corrected(before)
    assert [m.latency_raw_ms for m in after] == [m.latency_raw_ms for m in before]
    assert after[0].latency_raw_ms == pytest.approx(TRUTH[0] * math.exp(0.1), rel=1e-6)


def test_a_case_keeps_what_is_its_own():
    # One case alone is slower in worker b: the others do not follow it.
    drift = dict.fromkeys("abcde", 0.0)
    measurements = layout(TRUTH, [list(drift)] * 12, drift)
    odd = measurements[0]
    slow = (*odd.launches[:1], launch("b", 2 * TRUTH[0]), *odd.launches[2:])
    found = corrected([replace(odd, launches=slow), *measurements[1:]])
    assert all(m.drift == () for m in found)


def test_rounds_may_hold_different_cases():
    # Half of the cases drop out after three rounds; the later rounds are slower.
    drift = {"a": 0.0, "b": 0.02, "c": -0.02, "d": 0.1, "e": 0.1}
    cases = [list("abc")] * 6 + [list("abcde")] * 6
    found = corrected(layout(TRUTH, cases, drift))
    centre = stats.trim_mean(list(drift.values()), 0.2)
    for measurement, truth in zip(found, TRUTH, strict=True):
        assert measurement.latency_ms == pytest.approx(truth * math.exp(centre), rel=1e-6)


def test_separate_runs_without_a_common_case_keep_their_own_level():
    drift = {"a": 0.0, "b": 0.01, "c": -0.01, "x": 0.2, "y": 0.21, "z": 0.19}
    cases = [list("abc")] * 6 + [list("xyz")] * 6
    found = corrected(layout(TRUTH, cases, drift))
    levels = [math.log(m.latency_ms / t) for m, t in zip(found, TRUTH, strict=True)]
    assert levels == pytest.approx([0.0] * 6 + [0.2] * 6, abs=1e-6)


def test_too_few_others_tell_nothing():
    drift = {"a": 0.0, "b": 0.2, "c": 0.0}
    enough = layout(TRUTH[: MIN_OTHERS + 1], [list(drift)] * (MIN_OTHERS + 1), drift)
    found = corrected(enough)[0].drift
    assert found == pytest.approx((-0.2 / 3, 0.4 / 3, -0.2 / 3), abs=1e-6)
    assert all(m.drift == () for m in corrected(enough[:MIN_OTHERS]))
    assert corrected([]) == []


def test_single_launches_tell_no_drift():
    found = corrected(layout(TRUTH, [["a"]] * 12, {"a": 0.3}))
    assert all(m.drift == () for m in found)


def test_correction_brings_noisy_launches_closer_together():
    workers = list("abcde")
    rng = np.random.default_rng(7)
    raw_spread, spread = [], []
    for seed in range(20):
        drift = dict(zip(workers, rng.normal(0, 0.03, 5), strict=True))
        found = corrected(layout(TRUTH, [workers] * 12, drift, noise=0.005, seed=seed))
        raw_spread += [np.std(m.normalised_log, ddof=1) for m in found]
        spread += [np.std(m.launch_log, ddof=1) for m in found]
    assert np.mean(spread) < 0.35 * np.mean(raw_spread)
