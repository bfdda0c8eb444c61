"""One NVIDIA GPU through NVML; the package is optional, and its absence is a clear error."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from ..core.errors import UnavailableError
from .device import Gpu

T = TypeVar("T")

_CUDA_BUS_ID = len("0000:00:00.0")

HELD_DOWN = 0x8 | 0x20 | 0x40 | 0x80
"""Reasons for a low clock that are no choice: slowdown by hardware, by heat, by power supply."""

SLOWED_DOWN = HELD_DOWN | 0x4
"""The same, and the power limit, which holds any long load down a little."""

MISSING = "nvidia-ml-py is not installed; install it with: pip install nvidia-ml-py"


@dataclass(frozen=True)
class Clocks:
    """Clock of the multiprocessors of now and at most, in MHz."""

    now_mhz: int
    most_mhz: int


class NvidiaGpu:
    """Reads and sets one GPU. Made by `open_gpu`; what the GPU does not tell is None."""

    def __init__(self, nvml: Any, handle: Any, index: int) -> None:
        self.index = index
        self._nvml = nvml
        self._handle = handle

    def description(self) -> str:
        """Name of the GPU and version of its driver."""
        name = self._read(self._nvml.nvmlDeviceGetName) or "GPU without a name"
        return f"{name}, driver {self._nvml.nvmlSystemGetDriverVersion()}"

    def is_persistent(self) -> bool | None:
        """Whether the driver stays loaded between two users of the GPU."""
        mode = self._read(self._nvml.nvmlDeviceGetPersistenceMode)
        return None if mode is None else bool(mode)

    def clocks(self) -> Clocks | None:
        """Clock of the multiprocessors."""
        kind = self._nvml.NVML_CLOCK_SM
        now = self._read(self._nvml.nvmlDeviceGetClockInfo, kind)
        most = self._read(self._nvml.nvmlDeviceGetMaxClockInfo, kind)
        return None if now is None or most is None else Clocks(now, most)

    def clock_mhz(self) -> int | None:
        """Clock of the multiprocessors of now."""
        return self._read(self._nvml.nvmlDeviceGetClockInfo, self._nvml.NVML_CLOCK_SM)

    def base_clock_mhz(self) -> int | None:
        """Clock of the multiprocessors that the GPU is set to by default."""
        return self._read(
            self._nvml.nvmlDeviceGetDefaultApplicationsClock, self._nvml.NVML_CLOCK_SM
        )

    def power_mw(self) -> int | None:
        """What the board takes now, in milliwatts."""
        return self._read(self._nvml.nvmlDeviceGetPowerUsage)

    def utilisation_pct(self) -> int | None:
        """Share of the last moments in which something ran, in per cent."""
        found = self._read(self._nvml.nvmlDeviceGetUtilizationRates)
        return None if found is None else int(found.gpu)

    def bus_id(self) -> str | None:
        """Where the GPU is on the PCI bus, as CUDA writes it."""
        found = self._read(self._nvml.nvmlDeviceGetPciInfo)
        if found is None:
            return None
        text = found.busId.decode() if isinstance(found.busId, bytes) else str(found.busId)
        return text.strip("\0").lower()[-_CUDA_BUS_ID:]

    def identity(self) -> dict[str, Any]:
        """Which GPU it is, and what of it and of its driver decides latencies."""
        return {
            "name": self._read(self._nvml.nvmlDeviceGetName),
            "uuid": self._read(self._nvml.nvmlDeviceGetUUID),
            "vbios": self._read(self._nvml.nvmlDeviceGetVbiosVersion),
            "driver": self._nvml.nvmlSystemGetDriverVersion(),
            "power_limit_mw": self._read(self._nvml.nvmlDeviceGetEnforcedPowerLimit),
            "max_clock_mhz": self._read(
                self._nvml.nvmlDeviceGetMaxClockInfo, self._nvml.NVML_CLOCK_SM
            ),
            "ecc": self.ecc(),
            "mig": self.is_partitioned(),
        }

    def reasons(self) -> int | None:
        """Bits that say why the clock is not higher (`nvmlClocksEventReasons`)."""
        bits = self._read(self._nvml.nvmlDeviceGetCurrentClocksEventReasons)
        if bits is None:  # drivers before 535 know the older name alone
            bits = self._read(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons)
        return bits

    def temperature_c(self) -> float | None:
        """Temperature of the chip in degrees Celsius."""
        return self._read(self._nvml.nvmlDeviceGetTemperature, self._nvml.NVML_TEMPERATURE_GPU)

    def other_pids(self) -> list[int] | None:
        """Processes other than this one that compute on the GPU."""
        found = self._read(self._nvml.nvmlDeviceGetComputeRunningProcesses)
        if found is None:
            return None
        return sorted(process.pid for process in found if process.pid != os.getpid())

    def ecc(self) -> tuple[bool, bool] | None:
        """Whether memory is error-corrected now, and after the next start."""
        modes = self._read(self._nvml.nvmlDeviceGetEccMode)
        return None if modes is None else (bool(modes[0]), bool(modes[1]))

    def is_partitioned(self) -> bool | None:
        """Whether the GPU is cut into instances (MIG)."""
        modes = self._read(self._nvml.nvmlDeviceGetMigMode)
        return None if modes is None else bool(modes[0])

    def energy_mj(self) -> int | None:
        """Energy since the driver was loaded, in millijoules."""
        return self._read(self._nvml.nvmlDeviceGetTotalEnergyConsumption)

    def set_persistence(self, is_on: bool) -> None:
        """Keep the driver loaded between two users, or not.

        Raises:
            UnavailableError: The driver refuses; names the command that does it.
        """
        repair = f"sudo nvidia-smi -i {self.index} -pm {int(is_on)}"
        self._write(repair, self._nvml.nvmlDeviceSetPersistenceMode, int(is_on))

    def lock_clocks(self, clock: str) -> None:
        """Hold the clock at `clock`: MHz, or `base` for the one that any load allows.

        Raises:
            UnavailableError: The driver refuses; names the command that does it.
        """
        mhz = self._nvml.NVML_CLOCK_LIMIT_ID_TDP if clock == "base" else int(clock)
        repair = f"sudo nvidia-smi -i {self.index} -lgc {clock},{clock}"
        self._write(repair, self._nvml.nvmlDeviceSetGpuLockedClocks, mhz, mhz)

    def unlock_clocks(self) -> None:
        """Let the clock float again.

        Raises:
            UnavailableError: The driver refuses; names the command that does it.
        """
        repair = f"sudo nvidia-smi -i {self.index} -rgc"
        self._write(repair, self._nvml.nvmlDeviceResetGpuLockedClocks)

    def _read(self, function: Callable[..., T], *arguments: Any) -> T | None:
        try:
            return function(self._handle, *arguments)
        except self._nvml.NVMLError:
            return None

    def _write(self, repair: str, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(self._handle, *arguments)
        except self._nvml.NVMLError as error:
            raise UnavailableError(
                f"GPU {self.index} refuses ({error}); do it as root: {repair}"
            ) from error


@contextmanager
def open_gpu(gpu: Gpu) -> Iterator[NvidiaGpu]:
    """The GPU that a card names, until the block ends.

    Raises:
        UnavailableError: The package, the driver or the GPU is not here; says which.
    """
    try:
        import pynvml
    except ImportError:
        raise UnavailableError(MISSING) from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise UnavailableError(
            f"The NVIDIA driver does not answer ({error}); load it: sudo modprobe nvidia"
        ) from error
    try:
        try:
            handle = pynvml.nvmlDeviceGetHandleByIndex(gpu.index)
        except pynvml.NVMLError as error:
            raise UnavailableError(
                f"There is no GPU {gpu.index} ({error}); list them with: nvidia-smi -L"
            ) from error
        yield NvidiaGpu(pynvml, handle, gpu.index)
    finally:
        pynvml.nvmlShutdown()
