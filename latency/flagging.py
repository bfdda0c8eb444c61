"""What in a measurement's launches calls for caution, and the grade that follows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .estimate import is_at_floor
from .flags import Flag, Grade
from .gpu_flagging import GPU_TESTS, is_slowed_down
from .sample import Clock
from .tool_flagging import TOOL_TESTS

if TYPE_CHECKING:
    from .measurement import Measurement

LOW_N_SAMPLES = 10
NOT_WARM_SHARE = 0.2
DIRTY_SHARE = 0.5
SLOW_SHARE = 0.25
SLOW_CLOCK = 0.75
SLOPE_PER_MINUTE = 0.02
SLOPE_P = 0.01
BIMODALITY = 0.555
MODE_GAP = 0.05
MODE_SHARE = 0.15
LAG_ONE = 0.3
SEVERE_SHARE = 0.01
STEAL_PCT = 1.0
DRIFT, DRIFT_CORRECTED = 0.05, 0.01
STEP_SHARE = 0.005

_MIN_SERIES = 20
_MIN_TREND = 5

CAUTION = frozenset(
    {
        Flag.LOW_N,
        Flag.WARMUP_CAP,
        Flag.THROTTLED,
        Flag.HOT_START,
        Flag.SLOPE,
        Flag.BIMODAL,
        Flag.STEAL,
        Flag.DRIFT,
        Flag.QUANTISED,
        Flag.ENV_CHANGED,
        Flag.ENQUEUE_BOUND,
        Flag.PRECISION_CHANGED,
    }
)
"""Flags under which no grade is better than C; `PREEMPTED` joins them by wall time."""


def flags_of(m: Measurement) -> frozenset[Flag]:
    """Every reason for caution that the launches of `m` and the machine's state give."""
    return frozenset(flag for flag, is_raised in _TESTS.items() if is_raised(m))


def grade_of(m: Measurement) -> Grade:
    """How far `m` can be relied on, from its interval and its flags.

    Preemption counts little for thread CPU time, which stops while the thread waits.
    """
    width = m.relative_half_width
    if width > 0.05 or (m.clock is Clock.WALL and m.clean_share < 0.2):
        return Grade.D
    caution = CAUTION | {Flag.PREEMPTED} if m.clock is Clock.WALL else CAUTION
    if width > 0.02 or m.flags & caution:
        return Grade.C
    return Grade.A if width <= 0.01 and m.count >= 10 and not m.flags else Grade.B


def _is_not_converged(m: Measurement) -> bool:
    return m.relative_half_width > m.protocol.target


def _is_at_noise_floor(m: Measurement) -> bool:
    return _is_not_converged(m) and is_at_floor(*m.half_widths)


def _is_low_n(m: Measurement) -> bool:
    return statistics.median(len(launch.samples) for launch in m.launches) < LOW_N_SAMPLES


def _is_cold(m: Measurement) -> bool:
    return sum(not launch.is_warm for launch in m.launches) > NOT_WARM_SHARE * m.count


def _is_preempted(m: Measurement) -> bool:
    return m.clean_share < DIRTY_SHARE


def _is_throttled(m: Measurement) -> bool:
    """Throttle counters rose, clocks were low or held down, or many slices ran slow.

    A slice ran slow where the sentinel beside it took a tenth longer than the launch's median.
    """
    states = (m.state_before, m.state_after)
    if is_slowed_down(m) or any(_is_clock_low(s) or _is_held_back(s) for s in states):
        return True
    if _is_risen(m.state_before.get("throttle_count"), m.state_after.get("throttle_count")):
        return True
    return any(launch.slow_share(m.clock) > SLOW_SHARE for launch in m.launches)


def _is_clock_low(state: Mapping[str, Any]) -> bool:
    """Whether even the fastest core, which the case just ran on, is far below its limit."""
    now, limit = _values(state.get("khz")), _values(state.get("max_khz"))
    return bool(now) and bool(limit) and max(now) < SLOW_CLOCK * max(limit)


def _is_held_back(state: Mapping[str, Any]) -> bool:
    """Whether a phone says that it holds clocks down, for heat or to save its battery."""
    status = state.get("thermal_status")
    return (isinstance(status, int) and status > 0) or state.get("is_saving") is True


def _is_risen(before: Any, after: Any) -> bool:
    """Whether a counter rose; one that began anew at zero, or is not told, did not."""
    is_told = isinstance(before, int | float) and isinstance(after, int | float)
    return is_told and after > before


def _is_hot(m: Measurement) -> bool:
    limit = m.state_before.get("temperature_limit_c")
    found = _values(m.state_before.get("temperatures_c"))
    return isinstance(limit, int | float) and bool(found) and max(found) > limit


def _is_governed(m: Measurement) -> bool:
    """Whether the system says that clocks follow the load."""
    return any(name != "performance" for name in m.state_before.get("governors", ()))


def _has_slope(m: Measurement) -> bool:
    """A steady trend over the launches: Theil-Sen slope, and Kendall's rank test against none."""
    if m.count < _MIN_TREND:
        return False
    minutes = np.array(m.times_s) / 60.0
    if np.ptp(minutes) == 0.0:
        return False
    first, second = np.triu_indices(m.count, 1)
    apart = minutes[second] != minutes[first]
    rise = (m.launch_log[second] - m.launch_log[first])[apart]
    slope = float(np.median(rise / (minutes[second] - minutes[first])[apart]))
    if abs(slope) <= SLOPE_PER_MINUTE:
        return False
    from scipy.stats import kendalltau

    return float(kendalltau(minutes, m.launch_log).pvalue) < SLOPE_P


def _is_bimodal(m: Measurement) -> bool:
    """Two groups of samples at least 5 % apart, and a bimodality coefficient that says so."""
    values = np.sort(np.concatenate([_relative(times) for times in _series(m)]))
    if len(values) < _MIN_SERIES:
        return False
    size, share, gap = len(values), *_best_split(values)
    if share < MODE_SHARE or gap < MODE_GAP:
        return False
    deviations = values - values.mean()
    variance = float(np.mean(deviations**2))
    skewness = float(np.mean(deviations**3)) / variance**1.5
    excess = float(np.mean(deviations**4)) / variance**2 - 3
    correction = 3 * (size - 1) ** 2 / ((size - 2) * (size - 3))
    return bool((skewness**2 + 1) / (excess + correction) > BIMODALITY)


def _best_split(ordered: NDArray[np.float64]) -> tuple[float, float]:
    """The cut into two groups of least variance: share of the smaller one, gap of the means."""
    size = len(ordered)
    left = np.arange(1, size)
    sums = np.cumsum(ordered)
    low = sums[:-1] / left
    high = (sums[-1] - sums[:-1]) / (size - left)
    cut = int(np.argmax(left * (size - left) * (high - low) ** 2))
    return min(left[cut], size - left[cut]) / size, float(high[cut] - low[cut])


def _is_autocorrelated(m: Measurement) -> bool:
    """Samples follow the one before, beyond what the sentinel beside them does."""
    found = [_lag_one(times) for times in _over_sentinel(m) if len(times) >= _MIN_SERIES]
    return bool(found) and abs(statistics.median(found)) > LAG_ONE


def _lag_one(times: NDArray[np.float64]) -> float:
    """Lag-1 correlation of the ranks, which an outlier cannot dominate; 0 for a constant.

    Equal times have one rank: in the order of their places they would seem to rise.
    """
    _, place, counts = np.unique(times, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    if np.ptp(ranks[:-1]) == 0.0 or np.ptp(ranks[1:]) == 0.0:
        return 0.0
    return float(np.corrcoef(ranks[:-1], ranks[1:])[0, 1])


def _has_outliers(m: Measurement) -> bool:
    """Over 1 % of the samples lie beyond three interquartile ranges of their launch (Tukey)."""
    severe = total = 0
    for times in _series(m):
        low, high = np.percentile(times, [25, 75])
        fence = 3 * (high - low)
        severe += int(np.sum((times < low - fence) | (times > high + fence)))
        total += len(times)
    return severe / total > SEVERE_SHARE


def _has_steal(m: Measurement) -> bool:
    found = (state.get("steal_pct") for state in (m.state_before, m.state_after))
    return any(isinstance(value, int | float) and value > STEAL_PCT for value in found)


def _has_drift(m: Measurement) -> bool:
    return _drift(m) > DRIFT


def _is_drift_corrected(m: Measurement) -> bool:
    return DRIFT_CORRECTED < _drift(m) <= DRIFT


def _drift(m: Measurement) -> float:
    return max(map(abs, m.drift), default=0.0)


def _is_quantised(m: Measurement) -> bool:
    """The clock's step is over 0.5 % of the time that a sample lasts."""
    step_ns = m.state_before.get("clock_resolution_ns")
    if not isinstance(step_ns, int | float):
        return False
    lasted_ns = statistics.median(s.wall_ns for launch in m.launches for s in launch.samples)
    return step_ns > STEP_SHARE * lasted_ns


def _has_changed_environment(m: Measurement) -> bool:
    return m.environments > 1


_TESTS: Mapping[Flag, Callable[[Measurement], bool]] = {
    Flag.NOT_CONVERGED: _is_not_converged,
    Flag.NOISE_FLOOR: _is_at_noise_floor,
    Flag.LOW_N: _is_low_n,
    Flag.WARMUP_CAP: _is_cold,
    Flag.PREEMPTED: _is_preempted,
    Flag.THROTTLED: _is_throttled,
    Flag.HOT_START: _is_hot,
    Flag.GOVERNOR: _is_governed,
    Flag.SLOPE: _has_slope,
    Flag.BIMODAL: _is_bimodal,
    Flag.AUTOCORRELATED: _is_autocorrelated,
    Flag.OUTLIERS: _has_outliers,
    Flag.STEAL: _has_steal,
    Flag.DRIFT: _has_drift,
    Flag.DRIFT_CORRECTED: _is_drift_corrected,
    Flag.QUANTISED: _is_quantised,
    Flag.ENV_CHANGED: _has_changed_environment,
    **GPU_TESTS,
    **TOOL_TESTS,
}

MEASURED_FLAGS = frozenset(_TESTS)
"""Flags that a measurement can raise; the others come with imports, profiles and tables."""


def _series(m: Measurement) -> list[NDArray[np.float64]]:
    """The times of each launch's samples by the clock that decides, in ms and in their order."""
    return [np.array([s.run_ms(m.clock) for s in launch.samples]) for launch in m.launches]


def _over_sentinel(m: Measurement) -> list[NDArray[np.float64]]:
    """`_series` over the time of the sentinel beside each sample, where there is one."""
    return [
        times / np.array([s.run_ms(m.clock) for s in launch.sentinel])
        if launch.sentinel
        else times
        for times, launch in zip(_series(m), m.launches, strict=True)
    ]


def _relative(times: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(times / np.median(times))


def _values(found: Any) -> list[float]:
    """The numbers in a list or in a mapping's values; none where it is neither."""
    items = list(found.values()) if isinstance(found, Mapping) else found
    if not isinstance(items, list | tuple):
        return []
    return [float(item) for item in items if isinstance(item, int | float)]
