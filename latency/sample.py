"""One timed stretch of back-to-back runs, and the clocks around it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

NS_PER_MS = 1e6
ROW = 4
"""Numbers of a sample without a GPU."""


class Interval(StrEnum):
    """Between which two moments the clock runs.

    `HOST_TO_HOST`: the call of a runtime that works on the CPU. `DEVICE_COMPUTE`: two events on
    the stream of a GPU, around work whose inputs are there already. `TRANSFERS_AND_COMPUTE`: the
    same work with its inputs on the way there and its output on the way back, seen by the host.
    """

    HOST_TO_HOST = "host_to_host"
    DEVICE_COMPUTE = "device_compute"
    TRANSFERS_AND_COMPUTE = "transfers_and_compute"


class Clock(StrEnum):
    """Which clock decides: thread CPU time withstands a busy machine, but sees one thread only."""

    CPU = "cpu"
    WALL = "wall"

    @classmethod
    def of(cls, threads: int, interval: Interval = Interval.HOST_TO_HOST) -> Clock:
        """Thread CPU time where all work is done by the calling thread, else wall time."""
        is_here = threads == 1 and interval is Interval.HOST_TO_HOST
        return cls.CPU if is_here else cls.WALL


@dataclass(frozen=True, slots=True)
class GpuReading:
    """What a GPU tells of itself right after a sample.

    Attributes:
        clock_mhz: Clock of the multiprocessors, and
        power_mw: what the board takes; -1 where the GPU does not tell.
        reasons: Bits that say why the clock is not higher (NVML); -1 where it does not tell.
        is_slow: Whether the sample is to be set apart: the clock was too far below the one that
            was aimed at, or the hardware held it down.
    """

    clock_mhz: int
    power_mw: int
    reasons: int
    is_slow: bool

    def __or__(self, other: GpuReading) -> GpuReading:
        """What is to be said of both samples taken as one: the worse of each."""
        return GpuReading(
            min(self.clock_mhz, other.clock_mhz),
            max(self.power_mw, other.power_mw),
            -1 if min(self.reasons, other.reasons) < 0 else self.reasons | other.reasons,
            self.is_slow or other.is_slow,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """`loops` back-to-back runs, the device synchronised at both ends.

    Attributes:
        wall_ns: Wall time of all loops together, in nanoseconds; by the clock of the GPU where
            the interval is on one.
        cpu_ns: CPU time of the calling thread over the same stretch, in nanoseconds; where work
            is handed to a GPU, what handing it over took.
        involuntary_switches: Times the scheduler took the CPU away from the thread meanwhile.
        gpu: What the GPU told right after it, where one was at work.
    """

    loops: int
    wall_ns: int
    cpu_ns: int
    involuntary_switches: int
    gpu: GpuReading | None = None

    @property
    def is_clean(self) -> bool:
        """Whether nothing disturbed it: the scheduler let it run, and the GPU was not slow."""
        return self.involuntary_switches == 0 and not (self.gpu and self.gpu.is_slow)

    @property
    def wall_ms(self) -> float:
        """Wall time of one run, in milliseconds."""
        return self.wall_ns / self.loops / NS_PER_MS

    @property
    def cpu_ms(self) -> float:
        """Thread CPU time of one run, in milliseconds."""
        return self.cpu_ns / self.loops / NS_PER_MS

    def run_ms(self, clock: Clock) -> float:
        """Time of one run by `clock`, in milliseconds."""
        return self.cpu_ms if clock is Clock.CPU else self.wall_ms

    def total_ms(self, clock: Clock) -> float:
        """Time of all loops together by `clock`, in milliseconds."""
        return (self.cpu_ns if clock is Clock.CPU else self.wall_ns) / NS_PER_MS

    def __add__(self, other: Sample) -> Sample:
        """Both stretches taken as one."""
        return Sample(
            self.loops + other.loops,
            self.wall_ns + other.wall_ns,
            self.cpu_ns + other.cpu_ns,
            self.involuntary_switches + other.involuntary_switches,
            self.gpu | other.gpu if self.gpu and other.gpu else self.gpu or other.gpu,
        )

    def to_row(self) -> list[int]:
        """Numbers that `from_row` reads back: four, and four more of the GPU if there is one."""
        row = [self.loops, self.wall_ns, self.cpu_ns, self.involuntary_switches]
        if self.gpu is None:
            return row
        return [*row, *(int(getattr(self.gpu, name)) for name in GpuReading.__slots__)]

    @classmethod
    def from_row(cls, row: Sequence[int]) -> Sample:
        """The sample that `to_row` wrote.

        Raises:
            ValueError: There are neither four nor eight numbers.
        """
        loops, wall_ns, cpu_ns, switches, *told = row
        gpu = None
        if told:
            clock_mhz, power_mw, reasons, is_slow = told
            gpu = GpuReading(clock_mhz, power_mw, reasons, bool(is_slow))
        return cls(loops, wall_ns, cpu_ns, switches, gpu)


def timed(run: Callable[[], object], loops: int) -> Sample:
    """Time `loops` calls of `run`, which returns only when its work is done.

    The switch counter is read outside the CPU clock and the CPU clock outside the wall clock, so
    that each costs the next nothing.
    """
    switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
    cpu = time.thread_time_ns()
    wall = time.perf_counter_ns()
    for _ in range(loops):
        run()
    wall = time.perf_counter_ns() - wall
    cpu = time.thread_time_ns() - cpu
    switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - switches
    return Sample(loops, wall, cpu, switches)
