"""What the doctor looks at in a runtime: whether it is there, spins, stalls on denormals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..core.errors import MeasurementError
from ..devices.checks.check import Check, failed, passed, unknown, warned
from ..devices.device import Device, DeviceKind
from .condition import Condition, Precision, runtime_section
from .graph.ir import Array, GraphBuilder
from .runtimes import Runtime, runtimes

_CHANNELS, _SIDE = 16, 16
_NORMAL, _DENORMAL = 1.0, 1e-40
_ROUNDS, _LOOPS = 7, 20
_SLOW = 2.0


def runtime_checks(device: Device) -> list[Check]:
    """Every check of the runtime that the card of `device` names, in a session of its own.

    Raises:
        ConfigError: The card's runtime section is wrong.
    """
    section = runtime_section(device)
    runtime, name = runtimes[section.name](), f"runtime {section.name}"
    if reason := runtime.unavailable_reason():
        return [failed(name, reason, reason.rpartition(": ")[2])]
    version = passed(name, runtime.version(section.options))
    if device.kind is DeviceKind.SIMULATED:
        return [version]
    condition = Condition.of(device)
    if runtime.needs_gpu:
        return [version]
    return [version, _spinning(condition), _denormals(runtime, condition)]


def _spinning(condition: Condition) -> Check:
    """Whether idle threads of the runtime's own pool keep a core busy."""
    name = "runtime spinning"
    is_on = dict(condition.options).get("spinning")
    if is_on is None:
        return unknown(name, f"{condition.runtime} has no option for it")
    threads = f"{condition.threads} thread{'s' if condition.threads > 1 else ''}"
    if not is_on or condition.threads == 1:
        return passed(name, f"{'on' if is_on else 'off'}, {threads}")
    return warned(
        name,
        f"on, {threads}: those that wait burn a core each, and heat it",
        f"Put options: {{spinning: false}} into the runtime section of {condition.device}.",
    )


def _denormals(runtime: Runtime, condition: Condition) -> Check:
    """Whether arithmetic on numbers below 1.2e-38 is slow in the threads that are measured."""
    name = "denormals"
    try:
        ratio = denormal_slowdown(runtime, condition)
    except (MeasurementError, ImportError) as error:
        return unknown(name, f"the probe did not run: {error}")
    text = (
        f"a 1x1 convolution of {_CHANNELS} channels by {condition.runtime}: of denormals "
        f"{ratio:.1f} times the time of normal numbers"
    )
    if ratio < _SLOW:
        return passed(name, text)
    return warned(
        name,
        f"{text} (nothing flushes them to zero)",
        "Networks with such weights run slower than measured; round them to zero before you "
        "export: w[abs(w) < 1.2e-38] = 0",
    )


def denormal_slowdown(runtime: Runtime, condition: Condition) -> float:
    """Time of one convolution whose inputs are denormal over that of the same one of ones.

    Denormals that are flushed to zero, or that the CPU handles at full speed, give one.

    Raises:
        MeasurementError: The runtime refuses the artefact.
    """
    shape = (1, _CHANNELS, _SIDE, _SIDE)
    builder = GraphBuilder()
    weight = np.full((_CHANNELS, _CHANNELS, 1, 1), 1 / _CHANNELS, np.float32)
    output = builder.conv(builder.input(shape), weight, np.zeros(_CHANNELS, np.float32))
    model = runtime.write(builder.finish(output), Precision.FP32)
    plain = replace(condition, precision=Precision.FP32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"probe{runtime.suffix}"
        path.write_bytes(model)
        normal, denormal = (
            min(_times_ms(runtime, path, np.full(shape, value, np.float32), plain))
            for value in (_NORMAL, _DENORMAL)
        )
    return denormal / normal


def _times_ms(runtime: Runtime, path: Path, value: Array, condition: Condition) -> Iterator[float]:
    clock = condition.clock
    with runtime.open(path, [value], condition) as session:
        session.time_loops(_LOOPS)
        for _ in range(_ROUNDS):
            yield session.time_loops(_LOOPS).run_ms(clock)
