"""Whether the machine counts the energy that it takes."""

from __future__ import annotations

from pathlib import Path

from ...core.errors import UnavailableError
from ..device import Device
from ..energy.detect import open_meter
from .check import Check, passed, warned


def energy_check(device: Device, root: Path) -> Check:
    """The meter that `elat measure --energy` would use, or why there is none."""
    name = "energy"
    try:
        with open_meter(device.power, device.gpu, root) as meter:
            return passed(name, "none exposed" if meter is None else meter.name)
    except UnavailableError as error:
        return warned(name, str(error), str(error).rpartition(": ")[2])
