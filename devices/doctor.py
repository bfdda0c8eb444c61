"""What keeps a machine from giving steady latencies, and how to repair it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from .checks.check import Check, passed
from .checks.clocks import clock_speed_checks
from .checks.energy import energy_check
from .checks.gpu import gpu_checks
from .checks.load import load_checks
from .checks.phone import phone_checks
from .checks.placement import placement_checks
from .checks.system import system_checks
from .device import Device, DeviceKind
from .files import ROOT
from .state import fingerprint, state
from .watch import watch


def examine(
    device: Device,
    extra_checks: Sequence[Check] = (),
    *,
    root: Path = ROOT,
    interval_s: float = 0.5,
) -> list[Check]:
    """Every check of `device` in its state of the moment, after `extra_checks`.

    Args:
        device: Its card decides what passes.
        extra_checks: What the caller found out by itself, such as whether the runtime is there.
        root: Folder that holds `proc` and `sys`; another one serves tests.
        interval_s: How long to watch counters of which only the growth tells something.
    """
    if device.kind is DeviceKind.SIMULATED:
        return [*extra_checks, passed("device", "simulated: nothing of this machine matters")]
    if device.kind is DeviceKind.ANDROID_ADB:
        return [*extra_checks, *phone_checks(device)]
    return [*extra_checks, *_local_checks(device, root, interval_s)]


def _local_checks(device: Device, root: Path, interval_s: float) -> Iterator[Check]:
    watched = watch(root, interval_s)
    found, cores = state(root), os.cpu_count() or 1
    yield from load_checks(device.gates, found, watched, cores)
    yield from clock_speed_checks(device, found, watched, root)
    yield from placement_checks(device, found, watched, cores, root)
    yield from system_checks(found, fingerprint(root), root)
    yield energy_check(device, root)
    yield from gpu_checks(device)
