"""A machine with known latencies, and everything that keeps a meter from finding them.

Time is virtual: it advances by what is run, so that a campaign of minutes is simulated in
milliseconds. What a run of a case takes is its true latency times

- an effect of the launch (where the case lies in memory), drawn once for each session;
- an effect of the worker process, common to all its sessions;
- the machine's speed: a slow and a fast Ornstein-Uhlenbeck process, which cases follow more or
  less closely, and a clock that is throttled now and then;
- noise of the single stretch.

The thread is preempted after every slice of the scheduler with some probability, which costs wall
time and no CPU time. All clocks advance in steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..graph.ir import Array
from ..runtimes.base import Session
from ..sample import NS_PER_MS, Sample

_NS_PER_S = 1e9


@dataclass(frozen=True)
class MachineModel:
    """How a simulated machine disturbs; all `_sd` are of logarithms.

    Attributes:
        launch_sd: Effect of a launch on one case.
        worker_sd: Effect of a worker process on all its cases.
        sample_sd: Noise of one stretch of runs.
        drift_sd: Slow drift of the machine's speed, which forgets itself within `drift_s`.
        flicker_sd: Fast drift, which forgets itself within `flicker_s`.
        unfollowed_sd: How differently cases follow the machine's speed: each to a power drawn
            around 1.
        own_drift_sd: Slow drift of a case of its own, which no other case shares.
        throttles_per_min: How often the clock is throttled, and `throttle_s` for how long on
            average; runs then take `throttle_factor` times as long.
        busy_share: Probability of losing the core at the end of a scheduler's slice.
        slice_ms: The scheduler's slice, and `away_ms` how long the core is then away.
        clock_step_ns: Step of all clocks.
    """

    launch_sd: float = 0.01
    worker_sd: float = 0.005
    sample_sd: float = 0.01
    drift_sd: float = 0.01
    drift_s: float = 300.0
    flicker_sd: float = 0.02
    flicker_s: float = 2.0
    unfollowed_sd: float = 0.15
    own_drift_sd: float = 0.002
    throttles_per_min: float = 0.0
    throttle_s: float = 0.5
    throttle_factor: float = 1.3
    busy_share: float = 0.0
    slice_ms: float = 4.0
    away_ms: float = 4.0
    clock_step_ns: int = 1


STILL = MachineModel(
    launch_sd=0.0,
    worker_sd=0.0,
    sample_sd=0.0,
    drift_sd=0.0,
    flicker_sd=0.0,
    unfollowed_sd=0.0,
    own_drift_sd=0.0,
)
"""A machine that disturbs nothing."""


class _Wander:
    """An Ornstein-Uhlenbeck process in time: stationary, of given deviation and memory."""

    def __init__(self, sd: float, memory_s: float, random: np.random.Generator) -> None:
        self._sd = sd
        self._memory_ns = memory_s * _NS_PER_S
        self._random = random
        self._at_ns = 0.0
        self._value = sd * float(random.standard_normal())

    def at(self, now_ns: float) -> float:
        """The value at `now_ns`, which never goes back."""
        if self._sd and now_ns > self._at_ns:
            kept = math.exp(-(now_ns - self._at_ns) / self._memory_ns)
            noise = self._sd * math.sqrt(1 - kept * kept)
            self._value = kept * self._value + noise * float(self._random.standard_normal())
            self._at_ns = now_ns
        return self._value


class Machine:
    """A machine at a moment of its virtual time.

    Args:
        model: How it disturbs.
        random: Decides every disturbance.
    """

    def __init__(self, model: MachineModel, random: np.random.Generator) -> None:
        self.model = model
        self.now_ns = 0.0
        self._random = random
        self._drift = _Wander(model.drift_sd, model.drift_s, random)
        self._flicker = _Wander(model.flicker_sd, model.flicker_s, random)
        self._own: dict[int, _Wander] = {}
        self._followed: dict[int, float] = {}
        self._is_throttled = False
        self._switches_at_ns = self._next_switch()
        self.throttled_ns = 0.0

    def normal(self, sd: float) -> float:
        """A draw of a normal distribution around 0."""
        return sd * float(self._random.standard_normal()) if sd else 0.0

    def wait(self, seconds: float) -> None:
        """Let time pass without running anything."""
        self.now_ns += seconds * _NS_PER_S

    def run(self, case: int, ideal_ns: float, loops: int) -> Sample:
        """Run `loops` runs of `case`, `ideal_ns` together on the undisturbed machine."""
        cpu_ns = ideal_ns * math.exp(self._slowness(case) + self.normal(self.model.sample_sd))
        slices = cpu_ns / (self.model.slice_ms * NS_PER_MS)
        switches = int(self._random.poisson(slices * self.model.busy_share))
        away_ns = sum(self._random.exponential(self.model.away_ms, switches)) * NS_PER_MS
        begun_ns = self.now_ns
        self.now_ns += cpu_ns + away_ns
        if self._is_throttled:
            self.throttled_ns += cpu_ns
        wall = self._clock(self.now_ns) - self._clock(begun_ns)
        cpu = self._clock(begun_ns + cpu_ns) - self._clock(begun_ns)
        return Sample(loops, wall, cpu, switches)

    def _slowness(self, case: int) -> float:
        """Logarithm of how much longer than on the undisturbed machine `case` takes now."""
        model = self.model
        if case not in self._own:
            self._own[case] = _Wander(model.own_drift_sd, model.drift_s, self._random)
            self._followed[case] = 1 + self.normal(model.unfollowed_sd)
        speed = self._drift.at(self.now_ns) + self._flicker.at(self.now_ns)
        throttle = math.log(model.throttle_factor) if self._throttled_now() else 0.0
        return self._followed[case] * (speed + throttle) + self._own[case].at(self.now_ns)

    def _throttled_now(self) -> bool:
        while self.now_ns >= self._switches_at_ns:
            self._is_throttled = not self._is_throttled
            self._switches_at_ns += self._next_switch()
        return self._is_throttled

    def _next_switch(self) -> float:
        """Nanoseconds until the clock is throttled, or free again."""
        if not self.model.throttles_per_min:
            return math.inf
        free_s = 60.0 / self.model.throttles_per_min
        mean_s = self.model.throttle_s if self._is_throttled else free_s
        return float(self._random.exponential(mean_s)) * _NS_PER_S

    def _clock(self, at_ns: float) -> int:
        step = self.model.clock_step_ns
        return int(at_ns // step) * step


class SimulatedSession(Session):
    """A case of known latency on a machine.

    Args:
        machine: Whose time passes when it runs.
        case: Which kind of case; sessions of one kind follow the machine's speed alike.
        true_ms: What a run takes on the undisturbed machine.
        worker: Logarithm of the effect of the worker process.
    """

    def __init__(self, machine: Machine, case: int, true_ms: float, worker: float) -> None:
        self._machine = machine
        self._case = case
        launch = machine.normal(machine.model.launch_sd)
        self._run_ns = true_ms * NS_PER_MS * math.exp(worker + launch)

    def time_loops(self, loops: int) -> Sample:
        return self._machine.run(self._case, self._run_ns * loops, loops)

    def output(self) -> Array:
        """Nothing is computed: an empty output."""
        return np.zeros((1, 0), np.float32)
