"""Which meter a device has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...core.errors import UnavailableError
from ..device import Gpu, Meter, Power
from ..files import ROOT
from ..nvml import open_gpu
from .gpu import GpuMeter
from .hwmon import hwmon_meter
from .meter import EnergyMeter
from .rapl import RaplMeter, find_domains
from .tegrastats import open_tegrastats


@contextmanager
def open_meter(
    power: Power | None, gpu: Gpu | None, root: Path = ROOT
) -> Iterator[EnergyMeter | None]:
    """The meter that a card names, else the one that the machine has, else None.

    Without a `power` section a device with a GPU is metered by NVML, and any other by RAPL. Rails
    of sensors are never guessed: only a card knows what hangs on them.

    Args:
        power: The card's power section.
        gpu: The card's GPU.
        root: Folder that holds `sys`; another one serves tests.

    Raises:
        UnavailableError: The named meter is not here, or this user cannot read what is.
    """
    if power is None and gpu is None:
        domains = find_domains(root)
        yield RaplMeter(domains) if domains else None
    elif power is None or power.meter is Meter.NVML:
        with open_gpu(gpu or Gpu()) as opened:
            has_counter = opened.energy_mj() is not None
            if power is not None and not has_counter:
                raise UnavailableError(f"GPU {opened.index} counts no energy; see: nvidia-smi -q")
            yield GpuMeter(opened) if has_counter else None
    elif power.meter is Meter.RAPL:
        domains = find_domains(root)
        if not domains:
            raise UnavailableError(
                "RAPL counts no energy here; load its driver: sudo modprobe intel_rapl_msr"
            )
        yield RaplMeter(domains)
    elif power.meter is Meter.HWMON:
        yield hwmon_meter(root, power.rails)
    else:
        with open_tegrastats(power.rails) as meter:
            yield meter
