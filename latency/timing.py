"""Warming up one session, and timing many in shuffled passes around a sentinel.

The speed of a core moves by tens of per cent within seconds (clock boost, neighbours on a shared
host). A case timed once in one stretch takes the speed of that moment for its own. So all
sessions of a group stay loaded, and each case is timed in short slices spread over many passes in
random order: every case sees the same mixture of speeds. A fixed sentinel case is timed in between
and tells the speed of one group against that of another.

Dividing each slice by the sentinel slices beside it was tried and is worse: a slice of one or two
milliseconds is itself uncertain by several per cent on a busy machine, more than the speed differs
between the slices of one pass.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np

from ..core.errors import MeasurementError
from .protocol import Protocol
from .runtimes.base import Loop
from .sample import Clock, Sample

_MAX_LOOPS = 1 << 20
_SETTLING = 0.25
_LONGEST = 4
_LEAST_SLICES = 10


@dataclass(frozen=True)
class WarmUp:
    """What the warm-up of one session found.

    Attributes:
        run_ms: Median time of one run in the last window, in milliseconds.
        calls: Runs before the first sample that counts.
        is_warm: Whether the last two windows agreed before the cap.
    """

    run_ms: float
    calls: int
    is_warm: bool


@dataclass
class Slot:
    """A warm session in a group: how to time its slices, and the slices so far.

    Attributes:
        loops: Runs of one slice.
        settle: Untimed runs before each slice.
        repeats: Slices in each pass that it is in.
        share: Of the passes that it is in, in (0, 1]; they lie evenly among all.
        error: Why the session dropped out while being timed, if it did.
    """

    session: Loop
    loops: int
    settle: int
    repeats: int = 1
    share: float = 1.0
    samples: list[Sample] = field(default_factory=list)
    sentinel: list[Sample] = field(default_factory=list)
    error: Exception | None = None

    def slices_in(self, number: int) -> int:
        """How many slices it gets in pass `number`, counted from 0."""
        return self.repeats * (ceil((number + 1) * self.share) - ceil(number * self.share))

    def time_slice(self) -> Sample:
        """One settled slice."""
        self.session.time_loops(self.settle)
        return self.session.time_loops(self.loops)

    def run_slice(self) -> int:
        """Run as often as a slice does, for a meter; says how many runs that were."""
        self.session.time_loops(self.loops)
        return self.loops


def calibrate(session: Loop, minimum_ms: float, clock: Clock) -> tuple[int, int]:
    """Loops, doubled from one until a sample lasts `minimum_ms`, and the runs that it took.

    Raises:
        MeasurementError: The clock does not advance.
    """
    loops, calls = 1, 0
    while True:
        sample = session.time_loops(loops)
        calls += loops
        if sample.total_ms(clock) >= minimum_ms:
            return loops, calls
        if loops >= _MAX_LOOPS:
            raise MeasurementError(
                f"{calls} runs took {sample.total_ms(clock)} ms of {clock} time: the runtime does "
                "no work in the thread that is timed, or none at all."
            )
        loops *= 2


def warm_up(session: Loop, protocol: Protocol, clock: Clock) -> WarmUp:
    """Run until the medians of two successive windows agree, or the cap is reached."""
    loops, calls = calibrate(session, protocol.calibration_ms, clock)
    spent_ms = 0.0
    previous: float | None = None
    while True:
        window = [session.time_loops(loops) for _ in range(protocol.window)]
        calls += loops * len(window)
        spent_ms += sum(sample.wall_ns for sample in window) / 1e6
        current = statistics.median(sample.run_ms(clock) for sample in window)
        if previous is not None and spent_ms >= protocol.warmup_min_ms:
            if abs(current - previous) <= protocol.agreement * min(current, previous):
                return WarmUp(current, calls, True)
            if spent_ms >= protocol.warmup_cap_ms:
                return WarmUp(current, calls, False)
        previous = current


def make_slot(
    session: Loop, warm: WarmUp, minimum_ms: float, protocol: Protocol, repeats: int = 1
) -> Slot:
    """A slot whose slices last `minimum_ms` at least.

    Settling takes a quarter of that at most, but for the one run that it always is. Where this one
    is more, slices hold four runs, as far as they do not last `_LONGEST` times as long, and come
    in fewer passes, at least `_LEAST_SLICES`: as much is timed, and less spent on settling.
    """
    quick = int(_SETTLING * minimum_ms / warm.run_ms)
    settle = min(protocol.settle_calls, max(1, quick))
    longest = max(1, int(_LONGEST * minimum_ms / warm.run_ms))
    loops = max(ceil(minimum_ms / warm.run_ms), min(longest, ceil(settle / _SETTLING)))
    enough = max(minimum_ms / (loops * warm.run_ms), _LEAST_SLICES / protocol.passes)
    return Slot(session, loops, settle, repeats, min(1.0, enough))


def interleave(
    slots: Sequence[Slot],
    sentinel: Slot | None,
    protocol: Protocol,
    generator: np.random.Generator,
    errors: tuple[type[Exception], ...],
    before_slice: Callable[[int], None],
) -> None:
    """Time `slots` in shuffled passes, a slice of the sentinel after every few slices.

    Each sample's sentinel is the sum of the sentinel's last slice before and first slice after it.

    Args:
        slots: The cases; their samples are added to them.
        sentinel: The fixed case that is timed between them, or None for none.
        protocol: How many passes, for how long, and how often the sentinel comes.
        generator: Decides the order.
        errors: What drops a slot out of the remaining passes instead of ending them.
        before_slice: Called with the slot's index before each of its slices.
    """
    spent_ms = 0.0
    for done in range(protocol.max_passes):
        is_over = done >= protocol.passes and spent_ms >= protocol.group_min_ms
        if is_over or all(slot.error for slot in slots):
            return
        indices = np.repeat(np.arange(len(slots)), [slot.slices_in(done) for slot in slots])
        order = generator.permutation(indices).tolist()
        before = sentinel.time_slice() if sentinel else None
        for start in range(0, len(order), protocol.sentinel_every):
            timed: list[Slot] = []
            for index in order[start : start + protocol.sentinel_every]:
                if slots[index].error is None:
                    before_slice(index)
                    if _time(slots[index], errors):
                        timed.append(slots[index])
            spent_ms += sum(slot.samples[-1].total_ms(Clock.WALL) for slot in timed)
            if sentinel is not None and before is not None:
                after = sentinel.time_slice()
                spent_ms += after.total_ms(Clock.WALL)
                for slot in timed:
                    slot.sentinel.append(before + after)
                before = after


def _time(slot: Slot, errors: tuple[type[Exception], ...]) -> bool:
    """Add a sample to `slot`, or the error that drops it out; says whether it was a sample."""
    try:
        slot.samples.append(slot.time_slice())
    except errors as error:
        slot.error = error
        return False
    return True
