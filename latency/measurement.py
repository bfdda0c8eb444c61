"""A case, its launches, and the statistics that follow from them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError, MeasurementError
from .condition import Condition
from .estimate import drift_sd, half_widths, trimmed
from .flagging import flags_of, grade_of
from .flags import Flag, Grade
from .following import Following
from .launch import Launch
from .operators import Operator
from .percentiles import percentile_needs
from .protocol import SCREEN, Protocol
from .sample import Clock

MEASURED, IMPORTED, SIMULATED = "measured", "imported", "simulated"
ORIGINS = (MEASURED, IMPORTED, SIMULATED)


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
    of its group had in common, as far as it is `following` these. The latency is the exponential
    of the mean of the logarithms of the launches, trimmed by a fifth at each end from five
    launches on (one worker can be disturbed as a whole).

    Attributes:
        state_before: The machine's state at the first launch, and `state_after` at the last.
        origin: `measured`, `imported` or `simulated`.
        slowness: For each launch the logarithm of the sentinel's time in its group over the time
            at the store's reference speed; empty where there is no sentinel.
        drift: For each launch the logarithm of what its group had in common beyond that
            (`common_mode.py`); empty where it is not known.
        following: The share of both that the case goes along with.
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
    following: Following = field(default_factory=Following)
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
        return self.condition.clock

    @property
    def count(self) -> int:
        """Number of launches."""
        return len(self.launches)

    @cached_property
    def normalised_log(self) -> NDArray[np.float64]:
        """Logarithm of each launch's value in ms, the machine's slowness divided out."""
        values = self.raw_log
        return values - np.array(self.slowness, dtype=np.float64) if self.slowness else values

    @cached_property
    def launch_log(self) -> NDArray[np.float64]:
        """Logarithm of each launch's value in ms, slowness and drift divided out."""
        values: NDArray[np.float64] = self.raw_log - self.following.share * self.machine_log
        return values

    @cached_property
    def machine_log(self) -> NDArray[np.float64]:
        """Logarithm of how slow the machine was at each launch: slowness and drift together."""
        none = (0.0,) * self.count
        slowness = np.array(self.slowness or none, np.float64)
        return slowness + np.array(self.drift or none, np.float64)

    @cached_property
    def latency_ms(self) -> float:
        """The headline: one run at the store's reference speed, in milliseconds."""
        return math.exp(trimmed(self.launch_log)[0])

    @cached_property
    def latency_raw_ms(self) -> float:
        """The same from launches as they are, slowness and drift left in, in milliseconds."""
        return math.exp(trimmed(self.raw_log)[0])

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
        McLaughlin 1963), and a term for the drift that launches share (`estimate.py`).

        Raises:
            ConfigError: `level` is not between 0 and 1.
            MeasurementError: There is one launch only.
        """
        if not 0 < level < 1:
            raise ConfigError(f"A confidence level lies between 0 and 1, found {level}.")
        half = math.hypot(*self._half_widths(level))
        if math.isinf(half):
            raise MeasurementError(
                f"{self.operator} has one launch under {self.condition}, which gives no interval; "
                "measure on with: elat measure."
            )
        return self.latency_ms * math.exp(-half), self.latency_ms * math.exp(half)

    @property
    def relative_half_width(self) -> float:
        """Half of the 95 % interval over the latency; infinite for one launch."""
        return math.hypot(*self.half_widths)

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
        return flags_of(self)

    @property
    def grade(self) -> Grade:
        """How far the measurement can be relied on, from its interval and its flags."""
        return grade_of(self)

    @property
    def times_s(self) -> tuple[float, ...]:
        """When each launch was taken, in seconds; all the same where one does not say."""
        times = tuple(launch.started_s for launch in self.launches)
        known = tuple(time for time in times if time is not None)
        return known if len(known) == len(times) else (0.0,) * len(times)

    @cached_property
    def half_widths(self) -> tuple[float, float]:
        """Half of the 95 % interval of the logarithm, by the launches' scatter and by drift."""
        return self._half_widths(0.95)

    def _half_widths(self, level: float) -> tuple[float, float]:
        common = [self.following.share * value for value in self.drift]
        return half_widths(self.launch_log, common, self.times_s, self.stretch_sd, level)

    @property
    def stretch_sd(self) -> float:
        """Deviation of what launches of one stretch of time have in common and nothing tells."""
        return drift_sd(self.machine_log.tolist() if self.slowness else ())

    @cached_property
    def raw_log(self) -> NDArray[np.float64]:
        """Logarithm of each launch's value in ms, with nothing divided out."""
        values = [launch.middle_ms(self.clock) for launch in self.launches]
        return np.log(np.array(values, dtype=np.float64))
