"""Statistics of launches against closed forms, SciPy and simulated truth; every flag both ways."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from elat.core.errors import ConfigError, MeasurementError
from elat.latency.condition import Condition, Method, Precision
from elat.latency.effects import Basis, unpaired
from elat.latency.estimate import (
    DRIFT_S,
    DRIFT_SD,
    DRIFT_SD_RAW,
    UNFOLLOWED_SHARE,
    drift_sd,
    half_widths,
    is_at_floor,
    mean_variance,
    shared_share,
)
from elat.latency.flagging import MEASURED_FLAGS
from elat.latency.flags import Flag, Grade
from elat.latency.launch import Launch
from elat.latency.measurement import Measurement
from elat.latency.operators.conv import Conv
from elat.latency.percentiles import percentile_needs
from elat.latency.protocol import REFERENCE, SCREEN
from elat.latency.sample import Clock, GpuReading, Interval, Sample

OPERATOR = Conv(3, 8, resolution=8, kernel=3)
ONE_THREAD = Condition("desk", "simulated", "1", Precision.FP32, 1, 1, Method.BLOCK, ())
TWO_THREADS = replace(ONE_THREAD, threads=2)


def sample(wall_ms, cpu_ms=None, switches=0, loops=1):
    cpu_ms = wall_ms if cpu_ms is None else cpu_ms
    return Sample(loops, round(wall_ms * loops * 1e6), round(cpu_ms * loops * 1e6), switches)


def launch(*samples, sentinel=(), is_warm=True, worker="w", at_s=None):
    started = "t" if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat()
    return Launch(worker, 0, started, 1.0, 1.0, 30, is_warm, 0.0, samples, tuple(sentinel))


def measured(launches, condition=ONE_THREAD, **more):
    return Measurement(OPERATOR, condition, tuple(launches), {}, {}, "measured", **more)


def of_values(values, count=12, **more):
    return measured([launch(*[sample(v)] * count) for v in values], **more)


STEADY = [1.0, 1.001, 0.999, 1.0005, 0.9995]


def test_the_headline_is_the_geometric_mean_of_a_few_launches():
    assert of_values([1.0, 4.0]).latency_ms == pytest.approx(2.0)


def test_from_five_launches_on_a_fifth_is_trimmed_at_each_end():
    found = of_values([1.0, 2.0, 4.0, 8.0, 1000.0])
    assert found.latency_ms == pytest.approx(4.0)
    assert found.latency_ms == pytest.approx(
        math.exp(stats.trim_mean(np.log([1, 2, 4, 8, 1000]), 0.2))
    )


def test_one_thread_is_judged_by_its_cpu_time_several_by_clean_wall_time():
    one = launch(sample(1.0, 0.9), sample(1.0, 0.9), sample(9.0, 0.9, switches=1))
    assert measured([one]).clock is Clock.CPU
    assert measured([one]).latency_ms == pytest.approx(0.9)
    assert measured([one], TWO_THREADS).latency_ms == pytest.approx(1.0)


def test_slowness_is_taken_from_the_headline_and_raw_keeps_it():
    speeds = (1.0, 1.3, 0.8)
    found = of_values([4.0 * s for s in speeds], slowness=tuple(map(math.log, speeds)))
    assert found.latency_ms == pytest.approx(4.0)
    assert found.std_ms == pytest.approx(0.0, abs=1e-5)
    assert found.latency_raw_ms == pytest.approx(4.0 * (1.3 * 0.8) ** (1 / 3))


def test_drift_is_taken_from_the_headline_only():
    found = of_values([1.0, math.e], drift=(0.0, 1.0))
    assert found.latency_ms == pytest.approx(1.0)
    assert found.latency_raw_ms == pytest.approx(math.exp(0.5))


@given(values=st.lists(st.floats(0.1, 10.0), min_size=2, max_size=4), level=st.floats(0.5, 0.99))
@settings(deadline=None)
def test_the_interval_of_a_few_launches_is_students_and_the_drifts(values, level):
    found = of_values(values)
    logs = found.launch_log
    by_scatter = stats.t.ppf(0.5 + level / 2, len(logs) - 1) * stats.sem(logs)
    by_drift = stats.norm.ppf(0.5 + level / 2) * DRIFT_SD_RAW
    low, high = found.interval(level)
    assert math.log(high / low) / 2 == pytest.approx(math.hypot(by_scatter, by_drift), rel=1e-9)
    assert found.latency_ms == pytest.approx(math.sqrt(low * high))


@pytest.mark.parametrize("has_sentinel", [False, True])
def test_the_interval_of_many_launches_is_that_of_the_trimmed_mean(has_sentinel):
    values = np.exp(np.random.default_rng(0).normal(0, 0.02, 10))
    found = of_values(values, slowness=(0.0,) * 10 if has_sentinel else ())
    error = stats.mstats.trimmed_stde(found.launch_log, limits=(0.2, 0.2))
    by_scatter, by_drift = found.half_widths
    error *= math.sqrt(1 + 4.5 / 10**2)
    freedom = 0.9 * (10 - 2 * 2 - 1)
    assert by_scatter == pytest.approx(stats.t.ppf(0.975, freedom) * error, rel=1e-6)
    expected = stats.norm.ppf(0.975) * (DRIFT_SD if has_sentinel else DRIFT_SD_RAW)
    assert by_drift == pytest.approx(expected)


@pytest.mark.parametrize("count", [3, 5, 8, 12])
def test_the_variance_of_a_mean_is_that_of_few_normal_values(count):
    rng = np.random.default_rng(count)
    means, variances, freedoms = zip(
        *(mean_variance(rng.normal(0, 1, count)) for _ in range(4000)), strict=True
    )
    assert np.mean(variances) == pytest.approx(np.var(means), rel=0.07)
    assert set(freedoms) == {count - 1 if count < 5 else 0.9 * (count - 2 * (count // 5) - 1)}


def test_one_value_has_a_mean_of_no_known_variance():
    assert mean_variance(np.array([2.0])) == (2.0, math.inf, 0.0)


@pytest.mark.parametrize("count", [3, 8])
def test_an_interval_and_a_comparison_take_the_same_variance(count):
    """Of fewer than six cases, which lend each other no certainty."""
    found = of_values(np.exp(np.random.default_rng(0).normal(0, 0.02, count)))
    scatter_a, _, scatter_b, *_ = unpaired([(found, found)], Basis.TIME, 0.0).parts
    (variance,), (freedom,) = scatter_a
    assert (variance, freedom) == pytest.approx(mean_variance(found.launch_log)[1:])
    by_scatter, _ = found.half_widths
    assert by_scatter == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(variance))
    assert scatter_b == scatter_a


def test_the_drift_left_grows_with_how_far_the_machine_was_from_its_reference_speed():
    assert drift_sd([0.0, 0.0]) == DRIFT_SD
    assert drift_sd([0.1, -0.1]) == pytest.approx(math.hypot(DRIFT_SD, UNFOLLOWED_SHARE * 0.1))
    assert drift_sd([]) == DRIFT_SD_RAW


def test_only_launches_apart_in_time_lessen_the_drift():
    assert shared_share([5.0] * 9) == pytest.approx(1.0)
    assert shared_share([0.0, 1e9]) == pytest.approx(0.5)
    assert shared_share([0.0, DRIFT_S]) == pytest.approx((1 + math.exp(-1)) / 2)
    together = measured([launch(sample(1.0), at_s=i) for i in range(4)], slowness=(0.0,) * 4)
    apart = measured([launch(sample(1.0), at_s=1e6 * i) for i in range(4)], slowness=(0.0,) * 4)
    assert apart.relative_half_width == pytest.approx(together.relative_half_width / 2, rel=0.01)


def test_the_share_of_the_drift_is_the_variance_of_the_mean_of_correlated_launches():
    times = np.array([0.0, 40.0, 100.0, 700.0])
    covariance = np.exp(-np.abs(times[:, None] - times[None, :]) / DRIFT_S)
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(4), covariance, 20_000)
    assert shared_share(times.tolist()) == pytest.approx(drawn.mean(axis=1).var(), rel=0.03)


def test_what_a_group_had_in_common_is_as_uncertain_as_the_case_itself():
    rng = np.random.default_rng(0)
    logs, common = rng.normal(0, 0.01, 4), rng.normal(0, 0.02, 4)
    by_scatter, _ = half_widths(logs, tuple(common), [0.0] * 4, 0.01, 0.95)
    # The interval of a difference of two means of unequal variances (Welch 1947).
    welch = stats.ttest_ind(logs, common, equal_var=False).confidence_interval(0.95)
    assert by_scatter == pytest.approx((welch.high - welch.low) / 2)


def test_the_floor_is_reached_when_scatter_adds_under_a_tenth():
    assert is_at_floor(0.4, 1.0)
    assert not is_at_floor(0.6, 1.0)
    assert not is_at_floor(math.inf, 0.0)


@pytest.mark.parametrize("count", [3, 5, 12])
def test_the_interval_covers_the_truth_of_normal_launches_with_a_shared_drift(count):
    # Exact up to four launches but for the sum of two kinds of quantiles, and nearly so for
    # trimmed means; 1000 draws have a standard error of 0.7 points.
    rng = np.random.default_rng(count)
    covered = scatter_alone = 0
    for _ in range(1000):
        logs = rng.normal(0, 0.01, count) + rng.normal(0, 0.01)
        error = abs(np.sort(logs)[count // 5 * (count >= 5) :][: count - 2 * (count // 5)].mean())
        by_scatter, by_drift = half_widths(logs, (), [0.0] * count, 0.01, 0.95)
        covered += error <= math.hypot(by_scatter, by_drift)
        scatter_alone += error <= by_scatter
    assert 0.92 * 1000 <= covered <= 0.99 * 1000
    assert scatter_alone < 0.92 * 1000


def test_one_disturbed_launch_of_ten_moves_neither_value_nor_interval_much():
    rng = np.random.default_rng(1)
    values = np.exp(rng.normal(0, 0.01, 10))
    clean, disturbed = of_values(values), of_values([*values[:9], 1.5])
    assert disturbed.latency_ms == pytest.approx(clean.latency_ms, rel=0.01)
    assert disturbed.relative_half_width < 2 * clean.relative_half_width


def test_one_launch_has_a_deviation_but_no_interval():
    found = measured([launch(sample(1.0), sample(3.0))])
    assert found.std_ms == pytest.approx(math.sqrt(2.0))
    assert math.isinf(found.relative_half_width)
    with pytest.raises(MeasurementError, match="elat measure"):
        found.interval()


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_a_probability(level):
    with pytest.raises(ConfigError):
        of_values(STEADY).interval(level)


def test_a_measurement_has_launches_and_a_known_origin():
    with pytest.raises(MeasurementError):
        measured([])
    with pytest.raises(ConfigError):
        Measurement(OPERATOR, ONE_THREAD, (launch(sample(1.0)),), {}, {}, "guessed")
    with pytest.raises(ConfigError):
        of_values([1.0, 2.0], drift=(0.0,))
    with pytest.raises(ConfigError):
        of_values([1.0, 2.0], slowness=(0.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("percent", "needed"), [(50, 11), (90, 64), (95, 130), (97, 219), (99, 662), (99.9, 6636)]
)
def test_percentiles_need_as_many_samples_as_the_load_generator_asks(percent, needed):
    assert percentile_needs(percent) == needed


def test_a_percentile_is_of_single_runs_and_there_are_enough_of_them():
    rng = np.random.default_rng(0)
    times = rng.lognormal(0, 0.1, 64).round(6)
    found = measured([launch(*map(sample, times[:32])), launch(*map(sample, times[32:]))])
    assert found.percentile_ms(90) == pytest.approx(np.percentile(times, 90))
    assert found.percentile_ms(95) is None
    assert of_values([1.0], count=63).percentile_ms(90) is None
    assert measured([launch(*[sample(1.0, loops=2)] * 100)]).percentile_ms(50) is None


@pytest.mark.parametrize("percent", [0, 100, -3])
def test_a_percentile_lies_between_0_and_100(percent):
    with pytest.raises(ConfigError):
        percentile_needs(percent)


def with_state(**state):
    return replace(of_values(STEADY), state_before=state, state_after=state)


def on_gpu(*, reasons=0, clocks=(1980, 1980), handed_over=0.1, precision=Precision.FP32, told=()):
    """Launches on a GPU of two samples each, and one that was set apart and says nothing."""
    slow = Sample(10, 10_000_000, 9_999_999, 0, GpuReading(300, 0, 0x8, True))
    samples = [
        Sample(
            10, 10_000_000, round(handed_over * 10_000_000), 0, GpuReading(mhz, 0, reasons, False)
        )
        for mhz in clocks
    ]
    under = replace(ONE_THREAD, interval=Interval.DEVICE_COMPUTE, precision=precision)
    found = measured([launch(*samples * 8, slow) for _ in STEADY], under)
    return replace(found, state_before={"engine": {"precisions": list(told)}})


def counted(before, after):
    """Launches before and after which throttling was counted."""
    states = {
        "state_before": {"throttle_count": before},
        "state_after": {"throttle_count": after},
    }
    return replace(of_values(STEADY), **states)


def all_but(place):
    """48 equal times but for the one at `place`."""
    times = np.ones(48)
    times[place] = 1.001
    return times


def rising(per_minute, launches=8):
    """Launches half a minute apart that grow slower at a steady rate."""
    values = [math.exp(per_minute * i / 2) for i in range(launches)]
    return measured([launch(*[sample(v)] * 12, at_s=30 * i) for i, v in enumerate(values)])


def with_sentinel(slow, of):
    """Launches of which `slow` of `of` slices ran while the sentinel took a quarter longer."""
    beside = [sample(0.125)] * slow + [sample(0.1)] * (of - slow)
    return measured([launch(*[sample(1.0)] * of, sentinel=beside)] * 5, slowness=(0.0,) * 5)


def of_series(times):
    return measured([launch(*map(sample, times))] * 5)


def wandering(step):
    """A random walk that forgets itself by `step` from sample to sample."""
    rng = np.random.default_rng(3)
    values = [0.0]
    for _ in range(79):
        values.append((1 - step) * values[-1] + rng.normal(0, 0.003))
    return np.exp(values)


def mixed(bad, good, bad_count, good_count):
    return measured([launch(*[bad] * bad_count, *[good] * good_count)] * 5)


NOISY = [0.9, 1.0, 1.1, 0.95, 1.05]
OUTLIERS = [sample(1.0 + i / 1e4) for i in range(40)]
FLAGS = [
    (Flag.NOT_CONVERGED, of_values(NOISY), of_values(STEADY)),
    (Flag.NOT_CONVERGED, of_values(NOISY[:1]), of_values([1.0, 1.0])),
    (Flag.LOW_N, of_values(STEADY, count=9), of_values(STEADY, count=10)),
    (
        Flag.WARMUP_CAP,
        measured([launch(sample(1.0), is_warm=i > 1) for i in range(5)]),
        measured([launch(sample(1.0), is_warm=i > 0) for i in range(5)]),
    ),
    (
        Flag.PREEMPTED,
        mixed(sample(1.0, switches=1), sample(1.0), 7, 5),
        mixed(sample(1.0, switches=1), sample(1.0), 6, 6),
    ),
    (
        Flag.OUTLIERS,
        measured([launch(*OUTLIERS, sample(9.0))] * 3),
        measured([launch(*OUTLIERS, sample(1.004))] * 3),
    ),
    (Flag.STEAL, with_state(steal_pct=1.5), with_state(steal_pct=0.5)),
    (Flag.STEAL, with_state(steal_pct=2), with_state()),
    (
        Flag.DRIFT,
        of_values(STEADY, drift=(0.0, 0.06, 0.0, 0.0, 0.0)),
        of_values(STEADY, drift=(0.0, 0.04, 0.0, 0.0, 0.0)),
    ),
    (
        Flag.DRIFT_CORRECTED,
        of_values(STEADY, drift=(0.0, -0.02, 0.0, 0.0, 0.0)),
        of_values(STEADY, drift=(0.0, -0.009, 0.0, 0.0, 0.0)),
    ),
    (Flag.ENV_CHANGED, of_values(STEADY, environments=2), of_values(STEADY)),
    (
        Flag.NOISE_FLOOR,
        of_values(STEADY, slowness=(0.1,) * 5),
        of_values(NOISY, slowness=(0.1,) * 5),
    ),
    (Flag.THROTTLED, with_state(khz=[800, 2200], max_khz=[3000]), with_state(khz=[800, 2900])),
    (
        Flag.THROTTLED,
        counted(2, 3),
        counted(3, 3),
    ),
    # The machine was started anew between the launches, or did not tell.
    (Flag.THROTTLED, counted(0, 1), counted(9, 0)),
    (
        Flag.THROTTLED,
        counted(0, 1),
        replace(of_values(STEADY), state_before={}, state_after={"throttle_count": 3}),
    ),
    (Flag.THROTTLED, with_sentinel(4, 12), with_sentinel(3, 12)),
    (Flag.THROTTLED, with_state(thermal_status=1), with_state(thermal_status=0)),
    (Flag.THROTTLED, with_state(is_saving=True), with_state(is_saving=False)),
    # The last launch tells it as well as the first.
    (
        Flag.PARTIAL_DELEGATION,
        replace(of_values(STEADY), state_after={"delegation": [{"share": "partial"}]}),
        with_state(delegation=[{"share": "complete"}]),
    ),
    (
        Flag.MEAN_ONLY,
        replace(of_values(STEADY), state_after={"statistic": "mean"}),
        with_state(statistic="median"),
    ),
    (
        Flag.HOT_START,
        with_state(temperatures_c={"x86_pkg_temp": 71.0}, temperature_limit_c=70.0),
        with_state(temperatures_c={"x86_pkg_temp": 69.0}, temperature_limit_c=70.0),
    ),
    (
        Flag.GOVERNOR,
        with_state(governors=["powersave"]),
        with_state(governors=["performance"]),
    ),
    (Flag.SLOPE, rising(0.03), rising(0.01)),
    (Flag.SLOPE, rising(-0.03), rising(0.03, launches=4)),
    (
        Flag.BIMODAL,
        of_series([1.0 + i / 1e4 for i in range(24)] + [1.2 + i / 1e4 for i in range(24)]),
        of_series([1.0 + i / 1e4 for i in range(24)] + [1.03 + i / 1e4 for i in range(24)]),
    ),
    (
        Flag.BIMODAL,
        of_series([1.0 + i / 1e4 for i in range(40)] + [1.2 + i / 1e4 for i in range(8)]),
        of_series(np.exp(np.random.default_rng(0).normal(0, 0.05, 48))),
    ),
    (Flag.AUTOCORRELATED, of_series(wandering(0.05)), of_series(wandering(1.0))),
    # By a coarse clock most samples are equal, which tells of no order.
    *(
        (Flag.AUTOCORRELATED, of_series(wandering(0.05)), of_series(all_but(place)))
        for place in (0, 20, 47)
    ),
    (Flag.THROTTLED, on_gpu(reasons=0x4), on_gpu(reasons=0x1)),
    (Flag.CLOCK_UNLOCKED, on_gpu(clocks=(1980, 1935)), on_gpu(clocks=(1980, 1950))),
    (Flag.ENQUEUE_BOUND, on_gpu(handed_over=0.81), on_gpu(handed_over=0.79)),
    (
        Flag.PRECISION_CHANGED,
        on_gpu(precision=Precision.FP16, told=["FP32"]),
        on_gpu(precision=Precision.FP16, told=["FP32", "Half"]),
    ),
    (Flag.PRECISION_CHANGED, on_gpu(told=["Int8"]), on_gpu(told=[])),
    *(
        (
            Flag.PARTIAL_DELEGATION,
            with_state(delegation=[{"share": share}]),
            with_state(delegation=[{"share": "complete"}]),
        )
        for share in ("partial", "none", "untold")
    ),
    (Flag.MEAN_ONLY, with_state(statistic="mean"), with_state(statistic="median")),
    (
        Flag.QUANTISED,
        with_state(clock_resolution_ns=6e3),
        with_state(clock_resolution_ns=4e3),
    ),
]


@pytest.mark.parametrize(("flag", "raises", "does_not"), FLAGS)
def test_every_flag_is_raised_when_it_should_and_only_then(flag, raises, does_not):
    assert flag in raises.flags
    assert flag not in does_not.flags


def test_no_flag_is_without_a_case():
    assert {flag for flag, _, _ in FLAGS} == MEASURED_FLAGS


def test_not_converged_goes_by_the_target_of_the_protocol():
    values = [1.0, 1.01, 0.995, 1.005, 0.99]
    assert Flag.NOT_CONVERGED not in of_values(values, protocol=SCREEN).flags
    assert Flag.NOT_CONVERGED in of_values(values, protocol=REFERENCE).flags


def test_grades():
    known = {"slowness": (0.0,) * 10, "protocol": REFERENCE}
    assert of_values(STEADY * 2, **known).grade is Grade.A
    assert of_values(STEADY, slowness=(0.0,) * 5).grade is Grade.B
    assert of_values(STEADY, count=5).grade is Grade.C
    assert of_values(NOISY).grade is Grade.D
    known = {"slowness": (0.0,) * 5}
    busy = [launch(*[sample(v, switches=1)] * 9, *[sample(v)] * 3) for v in STEADY]
    assert measured(busy, **known).grade is Grade.B
    assert measured(busy, TWO_THREADS, **known).grade is Grade.C
    always = [launch(*[sample(v, switches=1)] * 12) for v in STEADY]
    assert measured(always, TWO_THREADS).grade is Grade.D
