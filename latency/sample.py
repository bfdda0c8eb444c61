"""One timed stretch of back-to-back runs, and the clocks around it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

NS_PER_MS = 1e6


class Clock(StrEnum):
    """Which clock decides: thread CPU time withstands a busy machine, but sees one thread only."""

    CPU = "cpu"
    WALL = "wall"

    @classmethod
    def of(cls, threads: int) -> Clock:
        """Thread CPU time where all work is done by the calling thread, else wall time."""
        return cls.CPU if threads == 1 else cls.WALL


@dataclass(frozen=True, slots=True)
class Sample:
    """`loops` back-to-back runs, the device synchronised at both ends.

    Attributes:
        wall_ns: Wall time of all loops together, in nanoseconds.
        cpu_ns: CPU time of the calling thread over the same stretch, in nanoseconds.
        involuntary_switches: Times the scheduler took the CPU away from the thread meanwhile.
    """

    loops: int
    wall_ns: int
    cpu_ns: int
    involuntary_switches: int

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
        )


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
