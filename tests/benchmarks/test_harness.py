"""What measuring costs besides the runs that are measured."""

from __future__ import annotations

import statistics
import time
from functools import partial
from math import ceil

import pytest

from elat.latency.launch import Launch
from elat.latency.protocol import SCREEN
from elat.latency.sample import timed

SAMPLE_MS = 2.0
LOOPS = 100


def test_campaign(benchmark, figure, campaigns, device):
    """Wall time outside timed slices and warm-up; settling runs and waits count against it."""
    fresh = benchmark.pedantic(campaigns, args=(device, "screen", 0), rounds=1, iterations=1)
    launches = [launch for m in fresh.measured.values() for launch in m.launches]
    samples_s = sum(s.wall_ns for launch in launches for s in launch.samples) / 1e9
    sentinel_s = sum(map(_sentinel_s, _by_worker(launches)))
    warmup_s = sum(launch.warmup_calls * launch.wall_ms for launch in launches) / 1e3
    work_s = samples_s + sentinel_s + warmup_s
    figure(f"{device}: overhead of a campaign", 100 * (1 - work_s / fresh.wall_s), "%", most=20)
    figure(f"{device}: wall time of a campaign", fresh.wall_s, "s")
    figure(f"{device}: wall time per host", fresh.wall_s / len(fresh.measured), "s")
    figure(f"{device}: building its artefacts", fresh.build_s, "s")


def _by_worker(launches):
    found: dict[str, list[Launch]] = {}
    for launch in launches:
        found.setdefault(launch.worker, []).append(launch)
    return found.values()


def _sentinel_s(launches) -> float:
    """Wall time of the sentinel's slices in one group: one around every few of the cases' slices.

    Each sample carries the sum of the slices before and after it; these are shared.
    """
    carried = [s.wall_ns / 1e9 for launch in launches for s in launch.sentinel]
    passes = statistics.mode(len(launch.samples) for launch in launches)
    slices = passes * (1 + ceil(len(carried) / passes / SCREEN.sentinel_every))
    return statistics.fmean(carried) / 2 * slices


def _nothing() -> None:
    pass


def test_sample(benchmark, figure):
    """What the clocks themselves put into a sample."""
    empty = benchmark.pedantic(lambda: timed(_nothing, 0), rounds=2000, warmup_rounds=200)
    assert empty.loops == 0
    samples = [timed(_nothing, 0) for _ in range(5000)]
    for clock in ("cpu", "wall"):
        ns = statistics.median(getattr(sample, f"{clock}_ns") for sample in samples)
        share = ns / (SAMPLE_MS * 1e6)
        figure(f"clock overhead of a 2 ms sample, {clock} time", 100 * share, "%", most=0.1)


class _Model:
    """A runtime whose run does nothing."""

    def run(self, binding=None):
        return binding


@pytest.mark.parametrize("engine", ["onnxruntime", "tflite"])
def test_session(benchmark, figure, engine):
    """What a run costs more in a sample than in a bare loop; called as the session does."""
    model, binding = _Model(), object()
    run = partial(model.run, binding) if engine == "onnxruntime" else model.run

    def bare() -> int:
        started = time.thread_time_ns()
        if engine == "onnxruntime":
            for _ in range(LOOPS):
                model.run(binding)
        else:
            for _ in range(LOOPS):
                model.run()
        return time.thread_time_ns() - started

    benchmark(timed, run, 1)
    pairs = [(timed(run, LOOPS).cpu_ns, bare()) for _ in range(2000)]
    # Of equal work the least time is the least disturbed.
    through, alone = (min(times) for times in zip(*pairs, strict=True))
    extra_ns = (through - alone) / LOOPS
    figure(f"{engine}: session's share of a run", extra_ns, "ns")
    figure(f"{engine}: of a run of 20 us", 100 * extra_ns / 20_000, "%", most=0.1)
