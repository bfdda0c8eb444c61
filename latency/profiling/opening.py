"""The bench on which a device's models are profiled."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from ...devices.device import Device
from ..runtimes import runtimes
from .bench import Bench
from .here import HereBench


def is_driven_from_here(device: Device) -> bool:
    """Whether the device's runtime is a program that is driven from this machine."""
    name = str(device.runtime.get("name"))
    return name in runtimes and runtimes[name].is_driven_from_here


def open_bench(device: Device) -> AbstractContextManager[Bench]:
    """Where models of `device` are profiled: on it through its program, or on this machine.

    Raises:
        UnavailableError: The device is out of reach, in use, or cannot profile.
    """
    if not is_driven_from_here(device):
        return nullcontext(HereBench(device.affinity))
    from .program_bench import open_program_bench

    return open_program_bench(device)
