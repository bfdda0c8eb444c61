"""A case, its launches, and the statistics that follow from them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, MeasurementError
from .condition import Condition
from .flags import Flag, Grade
from .launch import Launch
from .operators import Operator
from .protocol import SCREEN, Protocol
from .sample import Clock

MEASURED, IMPORTED, SIMULATED = "measured", "imported", "simulated"
ORIGINS = (MEASURED, IMPORTED, SIMULATED)

# Launches of one stretch of time agree better with each other than with those of another, so that
# intervals must be wider than their scatter says. With these factors 95 % intervals covered
# 93-100 % of repeated measurements (blocks of 3 to 12 launches of 30 operators) on a busy virtual
# machine of two cores, with the sentinel and without.
A_A_FACTOR = 1.3
A_A_FACTOR_RAW = 1.8
TRIMMED_SHARE = 0.2
TRIM_FROM = 5
LOW_N_SAMPLES = 10


@dataclass(frozen=True)
class Failure:
    """Why a case gave no launch: a class of failure, and a sentence."""

    error_class: str
    message: str

    def __str__(self) -> str:
        return f"{self.error_class}: {self.message}"


@dataclass(frozen=True)
class Measurement:
    """What is known of one operator under one condition; statistics are properties.

    A launch's value is the mean of the middle half of its samples: thread CPU time where one
    thread does the work, wall time of undisturbed samples where several do. It is divided by the
    machine's `slowness` at the time, which the sentinel tells, and by the `drift` that all cases
    of its group had in common. The latency is the exponential of the mean of the logarithms of
    the launches, trimmed by a fifth at each end from five launches on (one worker can be disturbed
    as a whole).

    Attributes:
        state_before: The machine's state at the first launch, and `state_after` at the last.
        origin: `measured`, `imported` or `simulated`.
        slowness: For each launch the logarithm of the sentinel's time in its group over the time
            at the store's reference speed; empty where there is no sentinel.
        drift: For each launch the logarithm of what its group had in common beyond that
            (`common_mode.py`); empty where it is not known.
        protocol: Under which the last launch was taken; its target decides `NOT_CONVERGED`.
        environments: Number of distinct environments (kernel, packages, CPU) among the launches.
    """

    operator: Operator
    condition: Condition
    launches: tuple[Launch, ...]
    state_before: Mapping[str, Any] = field(hash=False)
    state_after: Mapping[str, Any] = field(hash=False)
    origin: str
    slowness: tuple[float, ...] = ()
    drift: tuple[float, ...] = ()
    protocol: Protocol = SCREEN
    environments: int = 1

    def __post_init__(self) -> None:
        if not self.launches:
            raise MeasurementError(f"{self.operator} has no launch under {self.condition}.")
        if self.origin not in ORIGINS:
            raise ConfigError(f"Origin {self.origin!r} is unknown. Known: {', '.join(ORIGINS)}.")
        for factors in (self.slowness, self.drift):
            if factors and len(factors) != len(self.launches):
                raise ConfigError(f"{len(factors)} factors for {len(self.launches)} launches.")

    @property
    def clock(self) -> Clock:
        """The clock that decides under this condition."""
        return Clock.of(self.condition.threads)

    @property
    def count(self) -> int:
        """Number of launches."""
        return len(self.launches)

    @cached_property
    def normalised_log(self) -> NDArray[np.float64]:
        """Logarithm of each launch's value in ms, the machine's slowness divided out."""
        values = self._raw_log()
        return values - np.array(self.slowness, dtype=np.float64) if self.slowness else values

    @cached_property
    def launch_log(self) -> NDArray[np.float64]:
        """Logarithm of each launch's value in ms, slowness and drift divided out."""
        if not self.drift:
            return self.normalised_log
        return self.normalised_log - np.array(self.drift, dtype=np.float64)

    @cached_property
    def latency_ms(self) -> float:
        """The headline: one run at the store's reference speed, in milliseconds."""
        return math.exp(_trimmed(self.launch_log)[0])

    @cached_property
    def latency_raw_ms(self) -> float:
        """The same from launches as they are, slowness and drift left in, in milliseconds."""
        return math.exp(_trimmed(self._raw_log())[0])

    @property
    def std_ms(self) -> float:
        """Standard deviation of a launch, in milliseconds; of its samples where there is one."""
        if self.count > 1:
            return float(np.std(self.launch_log, ddof=1)) * self.latency_ms
        times = [sample.run_ms(self.clock) for sample in self.launches[0].samples]
        return statistics.stdev(times) if len(times) > 1 else 0.0

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Confidence interval of the latency, in milliseconds.

        Student's t on the trimmed mean of the logarithms with its winsorised deviation (Tukey and
        McLaughlin 1963), wider by `A_A_FACTOR`, or `A_A_FACTOR_RAW` without a sentinel.

        Raises:
            ConfigError: `level` is not between 0 and 1.
            MeasurementError: There is one launch only.
        """
        if not 0 < level < 1:
            raise ConfigError(f"A confidence level lies between 0 and 1, found {level}.")
        half = self._half_width_log(level)
        if math.isinf(half):
            raise MeasurementError(
                f"{self.operator} has one launch under {self.condition}, which gives no interval; "
                "measure on with: elat measure."
            )
        return self.latency_ms * math.exp(-half), self.latency_ms * math.exp(half)

    @property
    def relative_half_width(self) -> float:
        """Half of the 95 % interval over the latency; infinite for one launch."""
        return self._half_width_log(0.95)

    def percentile_ms(self, percent: float) -> float | None:
        """Percentile of the wall time of single runs in ms, disturbed runs included, or None.

        None where there are too few samples for it (`percentile_needs`), or where a sample holds
        several runs, whose mean hides the tail.
        """
        samples = [sample for launch in self.launches for sample in launch.samples]
        if len(samples) < percentile_needs(percent) or any(s.loops > 1 for s in samples):
            return None
        return float(np.percentile([s.wall_ms for s in samples], percent))

    @cached_property
    def clean_share(self) -> float:
        """Share of samples during which the scheduler never took the CPU away."""
        total = sum(len(launch.samples) for launch in self.launches)
        return sum(len(launch.clean) for launch in self.launches) / total

    @cached_property
    def flags(self) -> frozenset[Flag]:
        """Every reason for caution that the launches give."""
        launches = self.launches
        drift = max(map(abs, self.drift), default=0.0)
        samples = statistics.median(len(launch.samples) for launch in launches)
        steal = max(_steal_pct(self.state_before), _steal_pct(self.state_after))
        raised = {
            Flag.NOT_CONVERGED: self.relative_half_width > self.protocol.target,
            Flag.LOW_N: samples < LOW_N_SAMPLES,
            Flag.WARMUP_CAP: sum(not launch.is_warm for launch in launches) > 0.2 * self.count,
            Flag.PREEMPTED: self.clean_share < 0.5,
            Flag.OUTLIERS: self._severe_share() > 0.01,
            Flag.STEAL: steal > 1.0,
            Flag.DRIFT: drift > 0.05,
            Flag.DRIFT_CORRECTED: 0.01 < drift <= 0.05,
            Flag.ENV_CHANGED: self.environments > 1,
        }
        return frozenset(flag for flag, is_raised in raised.items() if is_raised)

    @property
    def grade(self) -> Grade:
        """How far the measurement can be relied on, from its interval and its flags.

        Preemption counts little for thread CPU time, which stops while the thread waits.
        """
        width = self.relative_half_width
        if width > 0.05 or (self.clock is Clock.WALL and self.clean_share < 0.2):
            return Grade.D
        caution = {Flag.LOW_N, Flag.WARMUP_CAP, Flag.STEAL, Flag.DRIFT, Flag.ENV_CHANGED}
        if self.clock is Clock.WALL:
            caution.add(Flag.PREEMPTED)
        if width > 0.02 or self.flags & caution:
            return Grade.C
        return Grade.A if width <= 0.01 and self.count >= 10 and not self.flags else Grade.B

    def _raw_log(self) -> NDArray[np.float64]:
        values = [launch.middle_ms(self.clock) for launch in self.launches]
        return np.log(np.array(values, dtype=np.float64))

    def _half_width_log(self, level: float) -> float:
        _, error, freedom = _trimmed(self.launch_log)
        if freedom < 1:
            return math.inf
        factor = A_A_FACTOR if self.slowness else A_A_FACTOR_RAW
        return factor * _student_quantile(0.5 + level / 2, freedom) * error

    def _severe_share(self) -> float:
        """Share of samples beyond three interquartile ranges of their launch (Tukey)."""
        severe = total = 0
        for launch in self.launches:
            times = np.array([sample.run_ms(self.clock) for sample in launch.samples])
            low, high = np.percentile(times, [25, 75])
            fence = 3 * (high - low)
            severe += int(np.sum((times < low - fence) | (times > high + fence)))
            total += len(times)
        return severe / total


def percentile_needs(percent: float) -> int:
    """Least number of samples for a percentile, by the rule of MLPerf's load generator.

    The least n at which at most one excess among n has a chance under 1 % if the true share above
    were 1 - p: p^n + n (1 - p) p^(n - 1) <= 0.01. That is 11 for the median, 64 for p90, 662 for
    p99.

    Raises:
        ConfigError: `percent` is not between 0 and 100.
    """
    if not 0 < percent < 100:
        raise ConfigError(f"A percentile lies between 0 and 100, found {percent}.")
    p = max(percent, 100 - percent) / 100
    low, high = 1, 2
    while not _is_enough(p, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_enough(p, middle) else (middle, high)
    return high


def _is_enough(p: float, n: int) -> bool:
    return p**n + n * (1 - p) * p ** (n - 1) <= 0.01


def trimmed_mean(values: Sequence[float]) -> float:
    """Mean without the lowest and highest fifth; without trimming below five values."""
    return _trimmed(np.asarray(values, dtype=np.float64))[0]


def _trimmed(values: NDArray[np.float64]) -> tuple[float, float, int]:
    """Trimmed mean, its standard error by the winsorised deviation, degrees of freedom."""
    n = len(values)
    cut = int(TRIMMED_SHARE * n) if n >= TRIM_FROM else 0
    ordered = np.sort(values)
    kept = ordered[cut : n - cut]
    if n == 1:
        return float(kept[0]), math.inf, 0
    winsorised = np.clip(ordered, kept[0], kept[-1])
    error = float(np.std(winsorised, ddof=1)) / ((1 - 2 * cut / n) * math.sqrt(n))
    return float(kept.mean()), error, n - 2 * cut - 1


@lru_cache
def _student_quantile(probability: float, freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def _steal_pct(state: Mapping[str, Any]) -> float:
    """CPU time that the hypervisor withheld during the launch, as the state tells it, in %."""
    value = state.get("steal_pct")
    return float(value) if isinstance(value, int | float) else 0.0
