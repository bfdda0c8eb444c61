"""The bench on which a device's models are profiled."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from ...core.errors import UnavailableError
from ...devices.device import Device
from ..condition import Condition
from ..runtimes import runtimes
from .bench import Bench
from .here import HereBench
from .passes import cold_reason, unavailable_reason
from .processes import no_profiler_reason


def is_driven_from_here(device: Device) -> bool:
    """Whether the device's runtime is a program that is driven from this machine."""
    name = str(device.runtime.get("name"))
    return name in runtimes and runtimes[name].is_driven_from_here


def is_on_board(device: Device) -> bool:
    """Whether elat's own processes profile on another machine, over ssh."""
    return device.ssh is not None and device.ssh.has_python and not is_driven_from_here(device)


def unopened_reason(device: Device, condition: Condition) -> str | None:
    """Why models of `device` cannot be profiled, as far as that is known without asking it."""
    if device.ssh is not None and not is_driven_from_here(device):
        reason = cold_reason(condition) or no_profiler_reason(condition)
        return reason or (None if is_on_board(device) else _no_python(device))
    return unavailable_reason(condition)


def open_bench(device: Device) -> AbstractContextManager[Bench]:
    """Where models of `device` are profiled: on it, or on this machine.

    Raises:
        UnavailableError: The device is out of reach, in use, or cannot profile.
    """
    if is_driven_from_here(device):
        from .program_bench import open_program_bench

        return open_program_bench(device)
    if is_on_board(device):
        from ..remote.bench import open_board_bench

        return open_board_bench(device)
    if device.ssh is not None:
        raise UnavailableError(_no_python(device))
    return nullcontext(HereBench(device.affinity))


def _no_python(device: Device) -> str:
    return (
        f"{device.id} is measured without Python, and what profiles there is elat's own process; "
        "name a Python as ssh.python in its card."
    )
