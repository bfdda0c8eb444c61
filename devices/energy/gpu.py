"""The energy counter of an NVIDIA GPU."""

from __future__ import annotations

from ...core.errors import MeasurementError
from ..nvml import NvidiaGpu
from .meter import EnergyMeter


class GpuMeter(EnergyMeter):
    """Energy of the whole board since it was opened; the counter is in millijoules."""

    def __init__(self, gpu: NvidiaGpu) -> None:
        self._gpu = gpu
        self._first_mj: int | None = None

    @property
    def name(self) -> str:
        return f"NVML GPU {self._gpu.index}"

    @property
    def resolution_uj(self) -> int:
        return 1000

    def read_uj(self) -> int:
        now_mj = self._gpu.energy_mj()
        if now_mj is None:
            raise MeasurementError(f"GPU {self._gpu.index} tells no energy.")
        if self._first_mj is None:
            self._first_mj = now_mj
        return 1000 * (now_mj - self._first_mj)
