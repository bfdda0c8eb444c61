"""Timing work that is put on a stream of a GPU.

A call that puts work on a stream returns at once, so that the host's clock says nothing of it. The
GPU's own events are put around it instead, and read when the stream has passed them. The host must
stay ahead all the while: where it takes longer to hand the work over than the GPU takes to do it,
the GPU waits, and that is noted with every sample (`cpu_ns`).
"""

from __future__ import annotations

import resource
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ...devices.nvml import HELD_DOWN
from ..flagging import SLOW_CLOCK
from ..runtimes.base import Loop
from ..sample import GpuReading, Sample
from .cuda import Cuda

UNROLLED = 16
"""Runs in one launch of a graph."""

_OBSERVED = 32
_SWEEP_TIMES_L2 = 2
_SWEEP_BYTES = 256 << 20
_FIRST_PAUSE_S, _LONGER, _LONGEST_PAUSE_S = 0.05, 1.5, 0.5


@dataclass(frozen=True)
class Stretch:
    """So many runs: what they took, and what the host took to hand them over, in nanoseconds."""

    taken_ns: int
    handed_over_ns: int


class Way(ABC):
    """How runs are put on a stream, and where the clock starts and stops."""

    @abstractmethod
    def time(self, loops: int) -> Stretch:
        """Time `loops` runs, at least one; the stream is empty before and after."""


class _BetweenEvents(Way):
    """Runs that `enqueue` puts on `stream`, timed between two events on it."""

    def __init__(
        self, cuda: Cuda, stream: Any, events: tuple[Any, Any], enqueue: Callable[[], None]
    ) -> None:
        self._cuda = cuda
        self._stream = stream
        self._events = events
        self._enqueue = enqueue


class BackToBack(_BetweenEvents):
    """Runs one behind the other between two events, a run that does not count before them.

    That run gives the GPU something to do until the first that counts has arrived.

    Args:
        enqueue: Puts one run on `stream`.
        unrolled: Puts `UNROLLED` runs on it at once; None where nothing does.
    """

    def __init__(
        self,
        cuda: Cuda,
        stream: Any,
        events: tuple[Any, Any],
        enqueue: Callable[[], None],
        unrolled: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(cuda, stream, events, enqueue)
        self._unrolled = unrolled

    def time(self, loops: int) -> Stretch:
        start, stop = self._events
        calls = self._calls(loops)
        observed = min(len(calls), _OBSERVED)
        self._cuda.synchronise(self._stream)
        self._enqueue()
        self._cuda.record(start, self._stream)
        began = time.perf_counter_ns()
        for call in calls[:observed]:
            call()
        handed_over_ns = time.perf_counter_ns() - began
        for call in calls[observed:]:
            call()
        self._cuda.record(stop, self._stream)
        self._cuda.wait_for(stop)
        taken_ns = self._cuda.elapsed_ns(start, stop)
        return Stretch(taken_ns, handed_over_ns * len(calls) // observed)

    def _calls(self, loops: int) -> list[Callable[[], None]]:
        """What is called for `loops` runs; the first ones are typical of all of them."""
        if self._unrolled is None:
            return [self._enqueue] * loops
        return [self._unrolled] * (loops // UNROLLED) + [self._enqueue] * (loops % UNROLLED)


class AfterSweep(_BetweenEvents):
    """Single runs, before each of which the GPU's cache is swept out on the same stream.

    The sweep is outside the clock. It also keeps the GPU busy while the run is handed over.

    Args:
        enqueue: Puts one run on `stream`.
        sweep: Puts what empties the cache on it.
    """

    def __init__(
        self,
        cuda: Cuda,
        stream: Any,
        events: tuple[Any, Any],
        enqueue: Callable[[], None],
        sweep: Callable[[], None],
    ) -> None:
        super().__init__(cuda, stream, events, enqueue)
        self._sweep = sweep

    def time(self, loops: int) -> Stretch:
        start, stop = self._events
        taken_ns = handed_over_ns = 0
        for _ in range(loops):
            self._cuda.synchronise(self._stream)
            self._sweep()
            self._cuda.record(start, self._stream)
            began = time.perf_counter_ns()
            self._enqueue()
            handed_over_ns += time.perf_counter_ns() - began
            self._cuda.record(stop, self._stream)
            self._cuda.wait_for(stop)
            taken_ns += self._cuda.elapsed_ns(start, stop)
        return Stretch(taken_ns, handed_over_ns)


class RoundTrip(Way):
    """Single runs from inputs on the host to an output on the host, by the host's clock.

    Args:
        enqueue: Puts the copies there, one run, and the copy back on `stream`.
    """

    def __init__(self, cuda: Cuda, stream: Any, enqueue: Callable[[], None]) -> None:
        self._cuda = cuda
        self._stream = stream
        self._enqueue = enqueue

    def time(self, loops: int) -> Stretch:
        taken_ns = handed_over_ns = 0
        self._cuda.synchronise(self._stream)
        for _ in range(loops):
            began = time.perf_counter_ns()
            self._enqueue()
            handed = time.perf_counter_ns()
            self._cuda.synchronise(self._stream)
            taken_ns += time.perf_counter_ns() - began
            handed_over_ns += handed - began
        return Stretch(taken_ns, handed_over_ns)


class Telling(Protocol):
    """What a GPU tells of itself, as `NvidiaGpu` has it; None for what it does not tell."""

    def clock_mhz(self) -> int | None:
        """Clock of the multiprocessors."""

    def power_mw(self) -> int | None:
        """What the board takes."""

    def reasons(self) -> int | None:
        """Bits that say why the clock is not higher."""


class Gauge:
    """Reads the GPU after every sample, and says which are to be set apart.

    While the hardware holds the clock down, it waits after each sample, longer and longer up to
    half a second, so that the GPU can recover (nvbench's `measure_cold`).

    Args:
        gpu: What NVML tells; None where it is not there, and nothing is told.
        target_mhz: The clock below three quarters of which a sample is set apart; None for none.
        wait_s: Waits so many seconds.
    """

    def __init__(
        self,
        gpu: Telling | None,
        target_mhz: int | None,
        wait_s: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gpu = gpu
        self._target_mhz = target_mhz
        self._wait_s = wait_s
        self._pause_s = _FIRST_PAUSE_S

    def read(self) -> GpuReading | None:
        """What the GPU tells now; None where there is nothing that tells."""
        if self._gpu is None:
            return None
        clock_mhz, power_mw = self._gpu.clock_mhz(), self._gpu.power_mw()
        reasons = self._gpu.reasons()
        is_held_down = bool((reasons or 0) & HELD_DOWN)
        is_below = (
            clock_mhz is not None
            and self._target_mhz is not None
            and clock_mhz < SLOW_CLOCK * self._target_mhz
        )
        self._recover(is_held_down)
        return GpuReading(
            -1 if clock_mhz is None else clock_mhz,
            -1 if power_mw is None else power_mw,
            -1 if reasons is None else reasons,
            is_held_down or is_below,
        )

    def _recover(self, is_held_down: bool) -> None:
        if not is_held_down:
            self._pause_s = _FIRST_PAUSE_S
            return
        self._wait_s(self._pause_s)
        self._pause_s = min(_LONGEST_PAUSE_S, self._pause_s * _LONGER)


class GpuLoop(Loop):
    """Times runs in one `Way`, and reads the GPU after each sample."""

    def __init__(self, way: Way, gauge: Gauge) -> None:
        self._way = way
        self._gauge = gauge

    def time_loops(self, loops: int) -> Sample:
        if loops == 0:
            return Sample(0, 0, 0, 0)
        switches = _switches()
        stretch = self._way.time(loops)
        switches = _switches() - switches
        return Sample(
            loops, stretch.taken_ns, stretch.handed_over_ns, switches, self._gauge.read()
        )


@contextmanager
def hot_way(
    cuda: Cuda, stream: Any, enqueue: Callable[[], None], *, as_graph: bool
) -> Iterator[Way]:
    """Runs back to back; recorded as CUDA graphs of one run and of several if `as_graph`."""
    with ExitStack() as stack:
        events = _events(cuda, stack)
        if not as_graph:
            yield BackToBack(cuda, stream, events, enqueue)
            return
        one = stack.enter_context(cuda.graph(stream, enqueue))
        many = stack.enter_context(cuda.graph(stream, lambda: _repeat(enqueue, UNROLLED)))
        yield BackToBack(
            cuda,
            stream,
            events,
            lambda: cuda.launch(one, stream),
            lambda: cuda.launch(many, stream),
        )


@contextmanager
def cold_way(
    cuda: Cuda, stream: Any, enqueue: Callable[[], None], *, as_graph: bool
) -> Iterator[Way]:
    """Runs behind sweeps of the GPU's cache; each is launched as a CUDA graph if `as_graph`.

    Swept are 256 MiB, or twice the cache if that is more: long enough for the host to get ahead.
    """
    size = max(_SWEEP_BYTES, _SWEEP_TIMES_L2 * cuda.l2_bytes())
    with ExitStack() as stack:
        events = _events(cuda, stack)
        address = stack.enter_context(cuda.memory(size))
        run = enqueue
        if as_graph:
            one = stack.enter_context(cuda.graph(stream, enqueue))
            run = lambda: cuda.launch(one, stream)  # noqa: E731
        yield AfterSweep(cuda, stream, events, run, lambda: cuda.fill(address, size, stream))


def _events(cuda: Cuda, stack: ExitStack) -> tuple[Any, Any]:
    return stack.enter_context(cuda.event()), stack.enter_context(cuda.event())


def _repeat(call: Callable[[], None], times: int) -> None:
    for _ in range(times):
        call()


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
