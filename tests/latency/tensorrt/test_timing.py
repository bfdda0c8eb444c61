"""The timing loops on a timeline that is known, and what a defect of theirs would do to it."""

from contextlib import ExitStack, contextmanager
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elat.core.errors import MeasurementError
from elat.devices.nvml import HELD_DOWN
from elat.latency.sample import GpuReading
from elat.latency.tensorrt import timing
from elat.latency.tensorrt.cuda import Cuda
from elat.latency.tensorrt.timing import (
    UNROLLED,
    AfterSweep,
    BackToBack,
    Gauge,
    GpuLoop,
    RoundTrip,
    cold_way,
    hot_way,
)

from .fake_cuda import CALL_NS, SWEEP_NS, Error, FakeCuda

RUN_NS, HANDOVER_NS = 50_000, 4_000


class Gpu:
    """Answers for NVML, one reading after another; the last one stays."""

    def __init__(self, *readings):
        self.readings = list(readings)

    def _now(self):
        return self.readings[0]

    def clock_mhz(self):
        return self._now()[0]

    def power_mw(self):
        return 70_000

    def reasons(self):
        found = self._now()[1]
        if len(self.readings) > 1:
            self.readings.pop(0)
        return found


def work_of(api, run_ns=RUN_NS, handover_ns=HANDOVER_NS):
    def enqueue():
        api.host_ns += handover_ns
        api.work(run_ns)

    return enqueue


@contextmanager
def opened(cuda, enqueue, make=hot_way, *, as_graph=False):
    with cuda.stream() as stream, make(cuda, stream, enqueue, as_graph=as_graph) as way:
        yield way


@pytest.mark.parametrize("as_graph", [False, True])
@pytest.mark.parametrize("loops", [1, 2, 15, 16, 17, 100])
def test_back_to_back_runs_take_what_the_gpu_takes(api, cuda, loops, as_graph):
    with opened(cuda, work_of(api), as_graph=as_graph) as way:
        stretch = way.time(loops)
    # Events are told to half a microsecond; here they are exact but for the call that records.
    assert stretch.taken_ns == pytest.approx(loops * RUN_NS, abs=2 * CALL_NS)


def test_without_the_leading_run_the_first_handover_would_count(api, cuda):
    with opened(cuda, work_of(api, handover_ns=40_000)) as way:
        with_lead = way.time(1).taken_ns
        way._enqueue, before = lambda: None, way._enqueue
        way._calls = lambda loops: [before] * loops
        without = way.time(1).taken_ns
    assert with_lead <= RUN_NS + 2 * CALL_NS
    assert without >= RUN_NS + 40_000


def test_what_handing_over_takes_is_told(api, cuda):
    with opened(cuda, work_of(api)) as way:
        stretch = way.time(100)
    assert stretch.handed_over_ns == pytest.approx(100 * HANDOVER_NS, rel=0.01)


def test_a_slow_host_shows(api, cuda):
    with opened(cuda, work_of(api, run_ns=3_000, handover_ns=10_000)) as way:
        stretch = way.time(100)
    assert stretch.taken_ns == pytest.approx(100 * 10_000, rel=0.02)
    assert stretch.handed_over_ns > 0.8 * stretch.taken_ns


def test_a_graph_relieves_a_slow_host(api, cuda):
    with opened(cuda, work_of(api, 3_000, 10_000), as_graph=True) as way:
        stretch = way.time(10 * UNROLLED)
    assert stretch.taken_ns == pytest.approx(10 * UNROLLED * 3_000, rel=0.02)
    assert stretch.handed_over_ns < 0.8 * stretch.taken_ns


def test_sweeps_are_outside_the_clock(api, cuda):
    with opened(cuda, work_of(api), make=cold_way) as way:
        stretch = way.time(20)
    assert api.calls.count("cudaMemsetAsync") == 20
    assert stretch.taken_ns == pytest.approx(20 * RUN_NS, abs=20 * CALL_NS)


def test_the_sweep_covers_the_cache(api, cuda):
    api.attributes[38] = 1 << 30
    sizes: list[int] = []

    def note(address, value, count, stream):
        sizes.append(count)
        return (Error.cudaSuccess,)

    api.cudaMemsetAsync = note
    with opened(cuda, work_of(api), make=cold_way) as way:
        way.time(1)
    assert sizes == [2 << 30]


def test_a_round_trip_counts_what_the_host_sees(api, cuda):
    with cuda.stream() as stream:
        stretch = RoundTrip(cuda, stream, work_of(api)).time(10)
    least = 10 * (RUN_NS + HANDOVER_NS)
    assert least <= stretch.taken_ns <= least + 20 * CALL_NS
    assert stretch.handed_over_ns == 10 * HANDOVER_NS


@pytest.mark.parametrize("make", [hot_way, cold_way])
@pytest.mark.parametrize("as_graph", [False, True])
def test_all_is_freed(api, cuda, make, as_graph):
    with opened(cuda, work_of(api), make, as_graph=as_graph) as way:
        way.time(3)
        assert api.leaked()
    assert api.leaked() == []


FAILING = [
    "cudaStreamSynchronize", "cudaEventRecord", "cudaEventSynchronize", "cudaEventElapsedTime",
    "cudaEventCreate", "cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiate",
    "cudaGraphLaunch", "cudaMalloc", "cudaMemsetAsync", "cudaStreamCreateWithFlags",
]  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
def test_all_is_freed_when_a_call_fails(api, cuda, name):
    api.refused[name] = Error.cudaErrorLaunchFailure
    make = cold_way if name in ("cudaMalloc", "cudaMemsetAsync") else hot_way
    with (
        pytest.raises(MeasurementError, match=f"{name} failed: cudaErrorLaunchFailure"),
        opened(cuda, work_of(api), make, as_graph=True) as way,
    ):
        way.time(40)
    assert api.leaked() == []


def test_all_is_freed_when_the_work_is_refused(api, cuda):
    def refuse():
        raise MeasurementError("TensorRT did not take a run.")

    with pytest.raises(MeasurementError, match="did not take"), opened(cuda, refuse) as way:
        way.time(1)
    with (
        pytest.raises(MeasurementError, match="did not take"),
        opened(cuda, refuse, as_graph=True) as way,
    ):
        way.time(1)
    assert api.leaked() == []


class TestPlanted:
    """Defects put in on purpose, each of which the pretended GPU shows."""

    def test_no_wait_for_the_end(self, api, cuda, monkeypatch):
        monkeypatch.setattr(Cuda, "wait_for", lambda self, event: None)
        with (
            pytest.raises(MeasurementError, match=r"cudaEventElapsedTime.*NotReady"),
            opened(cuda, work_of(api)) as way,
        ):
            way.time(10)

    def test_no_empty_stream_before(self, api, cuda, monkeypatch):
        """Work of before would be taken for handing over."""
        monkeypatch.setattr(Cuda, "synchronise", lambda self, stream: None)
        with cuda.stream() as stream:
            stretch = RoundTrip(cuda, stream, work_of(api)).time(10)
        assert stretch.taken_ns < 10 * RUN_NS

    def test_the_hosts_clock_in_place_of_events(self, api, cuda):
        """Without synchronising it would tell what handing over takes."""
        with opened(cuda, work_of(api)) as way:
            before = api.host_ns
            for _ in range(10):
                way._enqueue()
            assert api.host_ns - before == 10 * HANDOVER_NS

    def test_a_stream_that_is_not_freed(self, api, cuda, monkeypatch):
        @contextmanager
        def leaking(self):
            yield self._call("cudaStreamCreateWithFlags", 1)

        monkeypatch.setattr(Cuda, "stream", leaking)
        with opened(cuda, work_of(api)) as way:
            way.time(1)
        assert api.leaked() == ["stream"]

    def test_a_throttled_sample_that_is_kept(self, api, cuda, monkeypatch):
        monkeypatch.setattr(timing, "SLOW_CLOCK", 0.0)
        with opened(cuda, work_of(api)) as way:
            sample = GpuLoop(way, Gauge(Gpu((700, 0)), 1980)).time_loops(1)
        assert sample.is_clean  # what `test_slow_samples_are_set_apart` would refuse


@pytest.mark.parametrize(
    ("clock_mhz", "reasons", "is_clean"),
    [
        (1980, 0, True),
        (1485, 0, True),
        (1484, 0, False),
        (345, 1, False),
        (1980, 0x4, True),
        (1980, 0x8, False),
        (1980, 0x20, False),
        (1980, 0x40, False),
        (1980, 0x80, False),
    ],
)
def test_slow_samples_are_set_apart(api, cuda, clock_mhz, reasons, is_clean):
    waits: list[float] = []
    with opened(cuda, work_of(api)) as way:
        loop = GpuLoop(way, Gauge(Gpu((clock_mhz, reasons)), 1980, waits.append))
        sample = loop.time_loops(4)
    assert sample.is_clean is is_clean
    assert sample.gpu == GpuReading(clock_mhz, 70_000, reasons, not is_clean)
    assert bool(waits) is bool(reasons & HELD_DOWN)


def test_pauses_grow_to_half_a_second_and_start_again():
    waits: list[float] = []
    readings = [(1000, 0x8)] * 9 + [(1980, 0), (1000, 0x8)]
    gauge = Gauge(Gpu(*readings), 1980, waits.append)
    for _ in readings:
        gauge.read()
    assert waits[0] == 0.05
    assert waits[1] == pytest.approx(0.075)
    assert max(waits) == 0.5
    assert waits[-1] == 0.05
    assert sum(waits[:9]) < 5


def test_what_the_gpu_does_not_tell_is_no_reason():
    gauge = Gauge(SimpleNamespace(clock_mhz=lambda: None, power_mw=lambda: None,
                                  reasons=lambda: None), 1980)  # fmt: skip
    assert gauge.read() == GpuReading(-1, -1, -1, False)
    assert Gauge(None, None).read() is None


def test_no_runs_are_no_sample(api, cuda):
    with opened(cuda, work_of(api)) as way:
        before = len(api.calls)
        assert GpuLoop(way, Gauge(None, None)).time_loops(0).wall_ns == 0
        assert len(api.calls) == before


@settings(deadline=None, max_examples=60)
@given(
    run_ns=st.integers(1_000, 10_000_000),
    handover_ns=st.integers(0, 100_000),
    loops=st.integers(1, 70),
    as_graph=st.booleans(),
)
def test_never_less_than_the_work(run_ns, handover_ns, loops, as_graph):
    """The larger of both sides, at least; never less than the GPU works."""
    api = FakeCuda()
    cuda = Cuda(api, 0)
    with ExitStack() as stack:
        way = stack.enter_context(
            opened(cuda, work_of(api, run_ns, handover_ns), as_graph=as_graph)
        )
        assert isinstance(way, BackToBack)
        taken_ns = way.time(loops).taken_ns
        cold = stack.enter_context(opened(cuda, work_of(api, run_ns, handover_ns), cold_way))
        assert isinstance(cold, AfterSweep)
        assert cold.time(2).taken_ns >= 2 * run_ns
    assert taken_ns >= loops * run_ns
    if handover_ns + CALL_NS < run_ns and not as_graph:
        assert taken_ns <= loops * run_ns + 3 * CALL_NS
    assert SWEEP_NS > 0
    assert api.leaked() == []
