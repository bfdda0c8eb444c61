"""What calls for caution in a measurement on a GPU."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..devices.nvml import SLOWED_DOWN
from .flags import Flag
from .precision import Precision
from .sample import GpuReading, Interval

if TYPE_CHECKING:
    from .measurement import Measurement

STEADY_CLOCK = 0.02
ENQUEUE_SHARE = 0.8

_TOLD_AS = {
    Precision.FP32: frozenset({"fp32", "float"}),
    Precision.FP16: frozenset({"fp16", "half"}),
    Precision.BF16: frozenset({"bf16", "bfloat16"}),
    Precision.INT8: frozenset({"int8"}),
}
"""How TensorRT names the formats, in small letters."""


def is_slowed_down(m: Measurement) -> bool:
    """Whether heat, power or the hardware slowed the GPU down in a sample that counts."""
    return any(r.reasons > 0 and bool(r.reasons & SLOWED_DOWN) for r in _readings(m))


def _is_clock_unlocked(m: Measurement) -> bool:
    """Whether the clock of the GPU moved between samples that count."""
    clocks = [reading.clock_mhz for reading in _readings(m) if reading.clock_mhz > 0]
    return bool(clocks) and max(clocks) - min(clocks) > STEADY_CLOCK * max(clocks)


def _is_enqueue_bound(m: Measurement) -> bool:
    """Whether the host took over four fifths of the GPU's time to hand the runs over."""
    if m.condition.interval is not Interval.DEVICE_COMPUTE:
        return False
    shares = [
        sample.cpu_ns / sample.wall_ns
        for launch in m.launches
        for sample in launch.samples
        if sample.wall_ns
    ]
    return bool(shares) and statistics.median(shares) > ENQUEUE_SHARE


def _is_in_another_precision(m: Measurement) -> bool:
    """Whether the engine tells of its layers, and none gives the format that was asked for."""
    engine = m.state_before.get("engine")
    told = engine.get("precisions") if isinstance(engine, Mapping) else None
    wanted = _TOLD_AS[m.condition.precision]
    named = {str(name).lower() for name in told} if isinstance(told, list) else set()
    return bool(named) and not named & wanted


def _readings(m: Measurement) -> list[GpuReading]:
    """What the GPU told of the samples that count."""
    kept = [launch.clean or launch.samples for launch in m.launches]
    return [sample.gpu for samples in kept for sample in samples if sample.gpu is not None]


GPU_TESTS: Mapping[Flag, Callable[[Measurement], bool]] = {
    Flag.CLOCK_UNLOCKED: _is_clock_unlocked,
    Flag.ENQUEUE_BOUND: _is_enqueue_bound,
    Flag.PRECISION_CHANGED: _is_in_another_precision,
}
