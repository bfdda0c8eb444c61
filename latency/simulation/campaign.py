"""A measuring campaign on a simulated machine: the meter's own warm-up, passes and statistics.

Everything but the worker process is what `measure` uses: calibration, warm-up, shuffled passes
with sentinels, looks, the correction by sentinel and common mode, intervals and flags.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil, exp, log

import numpy as np

from ..common_mode import slowness_by_worker
from ..condition import Condition, Method, Precision
from ..estimate import is_at_floor
from ..launch import Launch
from ..measurement import SIMULATED, Measurement
from ..operators.identity import Identity
from ..protocol import Protocol
from ..sample import Clock
from ..timing import Slot, interleave, make_slot, warm_up
from .assembly import assembled
from .machine import Machine, MachineModel, SimulatedSession

SENTINEL_MS = 0.1
_SENTINEL = -1
_START_S = 0.45


@dataclass(frozen=True)
class SimulatedCampaign:
    """What a campaign found, beside the truth.

    Attributes:
        measurements: In the order of `true_ms`.
        true_ms: What each case takes on the undisturbed machine.
        reference_ms: The sentinel at the campaign's reference speed, to which its latencies are
            relative; it takes `SENTINEL_MS` on the undisturbed machine.
        throttled_share: How much of what was timed ran while the clock was throttled.
    """

    measurements: tuple[Measurement, ...]
    true_ms: tuple[float, ...]
    reference_ms: float
    throttled_share: float

    def error(self, case: int) -> float:
        """Logarithm of the found latency of `case` over its true one, both over the sentinel."""
        found = self.measurements[case].latency_ms / self.reference_ms
        return log(found / (self.true_ms[case] / SENTINEL_MS))


def simulated_condition(threads: int = 1) -> Condition:
    """The condition under which simulated campaigns are measured."""
    return Condition("simulated", "simulated", "1", Precision.FP32, 1, threads, Method.BLOCK, ())


def simulate(
    true_ms: Sequence[float],
    model: MachineModel,
    protocol: Protocol,
    random: np.random.Generator,
    *,
    threads: int = 1,
    machine: Machine | None = None,
    kinds: Sequence[int] | None = None,
) -> SimulatedCampaign:
    """Measure cases of known latency by `protocol`.

    Args:
        true_ms: What each case takes on the undisturbed machine.
        model: How the machine disturbs.
        protocol: When a case is finished.
        random: Decides everything: disturbances, orders.
        threads: With 1 CPU time decides, with more clean wall time.
        machine: To go on with; by default a new one.
        kinds: Of each case; those of one kind follow the machine's drift alike, as the same
            operator in two files does. By default each case is of its own kind.
    """
    campaign = _Campaign(
        true_ms,
        machine or Machine(model, random),
        protocol,
        random,
        threads,
        kinds or range(len(true_ms)),
    )
    while campaign.unfinished:
        campaign.round()
    return campaign.result()


@dataclass
class _Campaign:
    true_ms: Sequence[float]
    machine: Machine
    protocol: Protocol
    random: np.random.Generator
    threads: int
    kinds: Sequence[int]
    unfinished: list[int] = field(init=False)
    launches: list[tuple[int, Launch]] = field(init=False, default_factory=list)
    timed_ns: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.unfinished = list(range(len(self.true_ms)))

    def round(self) -> None:
        """One fresh worker times every unfinished case; then those that need no more drop out."""
        taken = self._count(self.unfinished[0])
        self.machine.wait(self.protocol.pause_s(taken, 0.0) + _START_S)
        begun = self.machine.now_ns
        groups = ceil(len(self.unfinished) / self.protocol.group_size)
        order = self.random.permutation(self.unfinished)
        worker = self.machine.normal(self.machine.model.worker_sd)
        clock = Clock.of(self.threads)
        reference = SimulatedSession(self.machine, _SENTINEL, SENTINEL_MS, worker)
        warm = warm_up(reference, self.protocol, clock)
        sentinel = make_slot(reference, warm, self.protocol.sentinel_ms, self.protocol)
        for number, group in enumerate(np.array_split(order, groups)):
            self._group(group.tolist(), f"{begun:.0f}/{number}", worker, sentinel)
        if self.protocol.is_look(taken + 1):
            found = self._measured()
            self.unfinished = [c for c in self.unfinished if not self._is_finished(found[c])]

    def _group(self, group: list[int], name: str, worker: float, sentinel: Slot) -> None:
        clock = Clock.of(self.threads)
        begun = datetime.fromtimestamp(self.machine.now_ns / 1e9, UTC).isoformat()
        slots, warmed = [], []
        for case in group:
            session = SimulatedSession(self.machine, self.kinds[case], self.true_ms[case], worker)
            warmed.append(warm_up(session, self.protocol, clock))
            slots.append(make_slot(session, warmed[-1], self.protocol.slice_ms, self.protocol))
        interleave(slots, sentinel, self.protocol, self.random, (), lambda index: None)
        for order, (case, slot, warm) in enumerate(zip(group, slots, warmed, strict=True)):
            self.timed_ns += sum(sample.cpu_ns for sample in slot.samples)
            launch = Launch(
                worker=name,
                order=order,
                started_utc=begun,
                init_ms=0.0,
                first_call_ms=warm.run_ms,
                warmup_calls=warm.calls,
                is_warm=warm.is_warm,
                output_error=0.0,
                samples=tuple(slot.samples),
                sentinel=tuple(slot.sentinel),
            )
            self.launches.append((case, launch))

    def result(self) -> SimulatedCampaign:
        found = self._measured()
        return SimulatedCampaign(
            tuple(found[case] for case in range(len(self.true_ms))),
            tuple(self.true_ms),
            self._reference_ms(),
            self.machine.throttled_ns / self.machine.now_ns,
        )

    def _count(self, case: int) -> int:
        return sum(other == case for other, _ in self.launches)

    def _is_finished(self, found: Measurement) -> bool:
        return self.protocol.is_finished(
            found.count,
            found.relative_half_width,
            is_at_floor=is_at_floor(*found.half_widths),
        )

    def _measured(self) -> dict[int, Measurement]:
        operators = {case: Identity(1 + case, 1) for case, _ in self.launches}
        found = assembled(
            [(operators[case], launch) for case, launch in self.launches],
            simulated_condition(self.threads),
            self.protocol,
            SIMULATED,
            {"clock_resolution_ns": self.machine.model.clock_step_ns},
        )
        return {case: found[operator] for case, operator in operators.items()}

    @property
    def _clock(self) -> Clock:
        return Clock.of(self.threads)

    def _reference_ms(self) -> float:
        """The sentinel's time at the reference speed: any worker's, its slowness taken off."""
        slowness = slowness_by_worker([launch for _, launch in self.launches], self._clock)
        by_worker: dict[str, list[float]] = {}
        for _, launch in self.launches:
            by_worker.setdefault(launch.worker, []).append(launch.sentinel_ms(self._clock) or 0.0)
        worker, times = next(iter(by_worker.items()))
        return float(np.median(times)) / exp(slowness[worker])
