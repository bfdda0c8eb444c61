"""Which meter a device has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...core.errors import UnavailableError
from ..device import Device, DeviceKind, Gpu, Meter
from ..files import ROOT
from ..nvml import open_gpu
from .gpu import GpuMeter
from .hwmon import hwmon_meter
from .meter import EnergyMeter
from .rapl import RaplMeter, find_domains
from .tegrastats import open_tegrastats


@contextmanager
def open_meter(device: Device, root: Path = ROOT) -> Iterator[EnergyMeter | None]:
    """The meter that the card of `device` names, else the one that the machine has, else None.

    Without a `power` section a device with a GPU is metered by NVML, and any other by RAPL. Rails
    of sensors are never guessed: only a card knows what hangs on them.

    Args:
        device: The device.
        root: Folder that holds `sys`; another one serves tests.

    Raises:
        UnavailableError: The named meter is not here, or this user cannot read what is.
    """
    if device.kind is not DeviceKind.LOCAL_CPU:
        yield None
    elif device.power is None and device.gpu is None:
        domains = find_domains(root)
        yield RaplMeter(domains) if domains else None
    elif device.power is None or device.power.meter is Meter.NVML:
        with open_gpu(device.gpu or Gpu()) as gpu:
            has_counter = gpu.energy_mj() is not None
            if device.power is not None and not has_counter:
                raise UnavailableError(f"GPU {gpu.index} counts no energy; see: nvidia-smi -q")
            yield GpuMeter(gpu) if has_counter else None
    elif device.power.meter is Meter.RAPL:
        domains = find_domains(root)
        if not domains:
            raise UnavailableError(
                "RAPL counts no energy here; load its driver: sudo modprobe intel_rapl_msr"
            )
        yield RaplMeter(domains)
    elif device.power.meter is Meter.HWMON:
        yield hwmon_meter(root, device.power.rails)
    else:
        with open_tegrastats(device.power.rails) as meter:
            yield meter
