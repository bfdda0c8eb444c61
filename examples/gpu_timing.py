"""Hold elat's GPU timing loops against known work and against other meters, on a real GPU.

    python examples/gpu_timing.py gpu_timing.json

Needs a CUDA build of torch and cuda-python; triton, if it is there, is a second meter. TensorRT is
not needed: what is timed are kernels of torch on elat's own stream. Takes about a minute.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from elat.core.errors import ElatError, UnavailableError
from elat.devices.device import Gpu
from elat.devices.nvml import NvidiaGpu, open_gpu
from elat.latency.sample import Sample
from elat.latency.tensorrt.cuda import Cuda, load_api, missing_gpu_reason
from elat.latency.tensorrt.timing import (
    Gauge,
    GpuLoop,
    RoundTrip,
    Way,
    cold_way,
    hot_way,
)

Work = Callable[[], object]
ROUNDS, SLICE_MS = 40, 2.0
GPU: Any = torch.cuda


def works() -> dict[str, Work]:
    """Work of known kinds, outputs in place: nothing of it allocates."""
    device = torch.device("cuda:0")
    torch.manual_seed(0)
    half: dict[str, Any] = {"device": device, "dtype": torch.float16}
    image = torch.randn(1, 96, 28, 28, **half).to(memory_format=torch.channels_last)
    conv: Any = torch.nn.Conv2d(96, 96, 3, padding=1, bias=False, **half)
    conv = conv.to(memory_format=torch.channels_last).eval()
    a, b = torch.randn(2048, 2048, **half), torch.randn(2048, 2048, **half)
    product = torch.empty_like(a)
    large = torch.randn(64 << 20, **half)
    small = [torch.randn(1024, **half) for _ in range(50)]

    def many_small() -> None:
        for tensor in small:
            tensor.mul_(1.0)

    return {
        "spin of 100,000 cycles": lambda: GPU._sleep(100_000),
        "spin of 1,000,000 cycles": lambda: GPU._sleep(1_000_000),
        "product of 2048 x 2048, fp16": lambda: torch.mm(a, b, out=product),
        "3x3 convolution, 96 channels, 28 x 28, fp16": lambda: conv(image),
        "128 MiB in place, fp16": lambda: large.mul_(1.0),
        "50 small kernels": many_small,
    }


def measured(way: Way, gauge: Gauge) -> list[Sample]:
    """Warm slices of about `SLICE_MS`."""
    loop = GpuLoop(way, gauge)
    once = statistics.median(loop.time_loops(4).wall_ms for _ in range(20))
    loops = max(1, round(SLICE_MS / max(once, 1e-4)))
    end = time.perf_counter() + 0.2
    while time.perf_counter() < end:
        loop.time_loops(loops)
    return [loop.time_loops(loops) for _ in range(ROUNDS)]


def summary(samples: list[Sample]) -> dict[str, Any]:
    """Median in microseconds, spread, and what was told of the GPU."""
    times = sorted(sample.wall_ms * 1e3 for sample in samples if sample.is_clean)
    handed = statistics.median(sample.cpu_ms * 1e3 for sample in samples)
    clocks = sorted({sample.gpu.clock_mhz for sample in samples if sample.gpu})
    powers = [sample.gpu.power_mw for sample in samples if sample.gpu]
    reasons = sorted({sample.gpu.reasons for sample in samples if sample.gpu})
    found = {
        "clean": len(times),
        "handed_over_us": handed,
        "clocks_mhz": clocks,
        "power_mw": max(powers, default=None),
        "reasons": reasons,
    }
    if times:
        quarter = len(times) // 4
        found["median_us"] = statistics.median(times)
        found["iqr_pct"] = 100 * (times[-1 - quarter] - times[quarter]) / statistics.median(times)
    return found


def other_meters(work: Work) -> dict[str, float]:
    """The same work by torch's events around a thousand runs, and by triton's meters."""
    start, stop = (GPU.Event(enable_timing=True) for _ in range(2))
    for _ in range(50):
        work()
    torch.cuda.synchronize()
    work()
    start.record()
    for _ in range(300):
        work()
    stop.record()
    torch.cuda.synchronize()
    found = {"torch events, 300 runs": start.elapsed_time(stop) * 1e3 / 300}
    try:
        from triton.testing import do_bench, do_bench_cudagraph
    except ImportError:
        return found
    found["triton do_bench (cold)"] = do_bench(work, return_mode="median") * 1e3
    with torch.cuda.stream(GPU.Stream()):
        found["triton do_bench_cudagraph"] = do_bench_cudagraph(work, return_mode="median") * 1e3
    return found


@contextmanager
def on_stream(cuda: Cuda, work: Work) -> Iterator[tuple[Any, Callable[[], None]]]:
    """elat's stream, and what puts `work` on it; warm, so that nothing allocates any more."""
    with cuda.stream() as stream:
        outside = GPU.ExternalStream(int(stream))

        def enqueue() -> None:
            with torch.cuda.stream(outside):
                work()

        for _ in range(5):
            enqueue()
        cuda.synchronise(stream)
        yield stream, enqueue
        cuda.synchronise(stream)


def by_elat(cuda: Cuda, gauge: Gauge, work: Work) -> dict[str, Any]:
    """Every way of elat to time `work`."""
    found: dict[str, Any] = {}
    for name, make, as_graph in (
        ("hot", hot_way, False),
        ("hot, CUDA graph", hot_way, True),
        ("cold", cold_way, False),
        ("cold, CUDA graph", cold_way, True),
    ):
        with on_stream(cuda, work) as (stream, enqueue):
            try:
                with make(cuda, stream, enqueue, as_graph=as_graph) as way:
                    found[name] = summary(measured(way, gauge))
            except (ElatError, RuntimeError) as error:
                found[name] = {"error": f"{type(error).__name__}: {error}"}
    with on_stream(cuda, work) as (stream, enqueue):
        found["round trip"] = summary(measured(RoundTrip(cuda, stream, enqueue), gauge))
    return found


def main(out: Path) -> None:
    """Time everything and write the file."""
    api = load_api()
    if reason := missing_gpu_reason(api, 0):
        raise SystemExit(reason)
    GPU.init()
    cuda = Cuda(api, 0)
    with ExitStack() as stack:
        gpu: NvidiaGpu | None
        try:
            gpu = stack.enter_context(open_gpu(Gpu()))
        except UnavailableError as error:
            print(error, file=sys.stderr)
            gpu = None
        clocks = gpu.clocks() if gpu else None
        gauge = Gauge(gpu, clocks.most_mhz if clocks else None)
        report: dict[str, Any] = {
            "gpu": {
                "name": cuda.name(),
                "capability": cuda.compute_capability(),
                "bus": cuda.bus_id(),
                "nvml_bus": gpu.bus_id() if gpu else None,
                "l2_bytes": cuda.l2_bytes(),
                "cuda": cuda.versions(),
                **(gpu.identity() if gpu else {}),
                "base_clock_mhz": gpu.base_clock_mhz() if gpu else None,
            },
            "torch": torch.__version__,
            "work": {},
        }
        for name, work in works().items():
            free_before = torch.cuda.mem_get_info()[0]
            report["work"][name] = {
                "elat": by_elat(cuda, gauge, work),
                "others_us": other_meters(work),
            }
            torch.cuda.empty_cache()
            report["work"][name]["memory_kept_bytes"] = free_before - torch.cuda.mem_get_info()[0]
            print(name, json.dumps(report["work"][name]), flush=True)
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
