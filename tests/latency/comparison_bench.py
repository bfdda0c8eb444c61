"""Two sides of a comparison on a machine that is drawn: what is true of them is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from elat.devices.device import Device, DeviceKind
from elat.latency.common_mode import corrected, slowness_by_worker
from elat.latency.comparison import Side
from elat.latency.condition import Condition
from elat.latency.estimate import DRIFT_SD
from elat.latency.launch import Launch
from elat.latency.measurement import Measurement
from elat.latency.operators.conv import Conv
from elat.latency.sample import Clock, Sample

CONDITION = Condition.of(Device("drawn", DeviceKind.SIMULATED, "", {"name": "simulated"}))
OTHER = replace(CONDITION, runtime_version="simulated 2")
OPERATORS = tuple(Conv(3, 4 + i, resolution=8, kernel=3) for i in range(24))
DAY_S = 86400.0


@dataclass(frozen=True)
class Machine:
    """Standard deviations, as logarithms, of what keeps a launch from the truth.

    Attributes:
        launch: Luck of one case in one worker; the sentinel has half as much.
        speed: The machine's speed, which all cases of a worker and the sentinel share.
        drift: What one case alone drifts by, with a memory of 300 s.
    """

    launch: float = 0.01
    speed: float = 0.02
    drift: float = DRIFT_SD
    step_s: float = 10.0

    def side(
        self,
        random: np.random.Generator,
        launches: int,
        start_s: float,
        *,
        slower: dict[int, float] | None = None,
        cases: int = 12,
        condition: Condition = CONDITION,
        step_s: float | None = None,
    ) -> Side:
        """A campaign of `launches` rounds; `slower` gives the relative change of single cases."""
        step_s = step_s or self.step_s
        speed = self._walk(random, launches, 1, self.speed, step_s)[:, 0]
        speed = speed + self.speed * random.standard_normal()
        log_ms = np.log(0.1) + 0.1 * np.arange(cases) + speed[:, None]
        log_ms = log_ms + self._walk(random, launches, cases, self.drift, step_s)
        log_ms = log_ms + self.launch * random.standard_normal((launches, cases))
        for case, change in (slower or {}).items():
            log_ms[:, case] += np.log1p(change)
        sentinel = np.log(0.1) + speed + self.launch / 2 * random.standard_normal(launches)
        times = start_s + step_s * np.arange(launches)
        return side(log_ms, sentinel, times, condition)

    def _walk(
        self, random: np.random.Generator, steps: int, walks: int, sd: float, step_s: float
    ) -> np.ndarray:
        """Autoregressive series, started where they may be anywhere."""
        kept = np.exp(-step_s / 300.0)
        values = [sd * random.standard_normal(walks)]
        for _ in range(steps - 1):
            fresh = sd * np.sqrt(1 - kept**2) * random.standard_normal(walks)
            values.append(kept * values[-1] + fresh)
        return np.array(values)


def side(
    log_ms: np.ndarray,
    sentinel: np.ndarray | None,
    times_s: np.ndarray,
    condition: Condition = CONDITION,
    prefix: str = "",
) -> Side:
    """The side of a store that holds these launches, a row a worker and a column a case."""
    prefix = prefix or f"{times_s[0]}-"
    measurements = []
    workers: list[Launch] = []
    for case in range(log_ms.shape[1]):
        launches = tuple(
            Launch(
                f"{prefix}{w}",
                case,
                datetime.fromtimestamp(times_s[w], UTC).isoformat(),
                0.0,
                0.0,
                1,
                True,
                0.0,
                (_sample(log_ms[w, case]),),
                () if sentinel is None else (_sample(sentinel[w]),),
            )
            for w in range(len(times_s))
        )
        workers = list(launches)
        operator = OPERATORS[case]
        measurements.append(Measurement(operator, condition, launches, {}, {}, "simulated"))
    slowness = slowness_by_worker(workers, Clock.CPU)
    if slowness:
        measurements = [
            replace(m, slowness=tuple(slowness[launch.worker] for launch in m.launches))
            for m in measurements
        ]
    return Side.of(corrected(measurements))


def _sample(log_ms: float) -> Sample:
    time_ns = round(float(np.exp(log_ms)) * 1e9)
    return Sample(1000, time_ns, time_ns, 0)
