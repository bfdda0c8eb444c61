"""A driver of one GPU that answers as it is told and records what is set.

`test_nvml.py` holds its names and parameters against the real package.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace


class NVMLError(Exception):
    """As the real one: its argument is a number."""


class FakeNvml(ModuleType):
    """Stands in for the module `pynvml`."""

    NVMLError = NVMLError
    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0
    NVML_CLOCK_LIMIT_ID_TDP = 0xFFFFFF01

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.calls: list[tuple[object, ...]] = []
        self.refused: set[str] = set()
        self.persistence = 0
        self.clock_mhz, self.max_clock_mhz = 1410, 1980
        self.reasons = 0
        self.pids: list[int] = []
        self.ecc, self.mig = [1, 1], [0, 0]
        self.celsius = 40
        self.energy_mj = 123_000
        self.utilisation, self.milliwatts, self.base_clock_mhz = 0, 70_000, 1200
        self.open = 0

    def _answer(self, name, value=None):
        if name in self.refused:
            raise NVMLError(3)
        return value

    def nvmlInit(self):  # noqa: N802
        self._answer("nvmlInit")
        self.open += 1

    def nvmlShutdown(self):  # noqa: N802
        self.open -= 1

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return "580.1"

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        if index != 0:
            raise NVMLError(2)
        return "handle"

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetName", "Pretended GPU")

    def nvmlDeviceGetPersistenceMode(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetPersistenceMode", self.persistence)

    def nvmlDeviceGetClockInfo(self, handle, type):  # noqa: N802
        return self._answer("nvmlDeviceGetClockInfo", self.clock_mhz)

    def nvmlDeviceGetMaxClockInfo(self, handle, type):  # noqa: N802
        return self._answer("nvmlDeviceGetMaxClockInfo", self.max_clock_mhz)

    def nvmlDeviceGetCurrentClocksEventReasons(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetCurrentClocksEventReasons", self.reasons)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetCurrentClocksThrottleReasons", self.reasons)

    def nvmlDeviceGetTemperature(self, handle, sensor):  # noqa: N802
        return self._answer("nvmlDeviceGetTemperature", self.celsius)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        found = [SimpleNamespace(pid=pid, usedGpuMemory=None) for pid in self.pids]
        return self._answer("nvmlDeviceGetComputeRunningProcesses", found)

    def nvmlDeviceGetEccMode(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetEccMode", self.ecc)

    def nvmlDeviceGetMigMode(self, device):  # noqa: N802
        return self._answer("nvmlDeviceGetMigMode", self.mig)

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetTotalEnergyConsumption", self.energy_mj)

    def nvmlDeviceGetUtilizationRates(self, handle):  # noqa: N802
        found = SimpleNamespace(gpu=self.utilisation, memory=0)
        return self._answer("nvmlDeviceGetUtilizationRates", found)

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetPowerUsage", self.milliwatts)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetEnforcedPowerLimit", 450_000)

    def nvmlDeviceGetDefaultApplicationsClock(self, handle, type):  # noqa: N802
        return self._answer("nvmlDeviceGetDefaultApplicationsClock", self.base_clock_mhz)

    def nvmlDeviceGetPciInfo(self, handle):  # noqa: N802
        found = SimpleNamespace(busId="00000000:01:00.0")
        return self._answer("nvmlDeviceGetPciInfo", found)

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetUUID", "GPU-1")

    def nvmlDeviceGetVbiosVersion(self, handle):  # noqa: N802
        return self._answer("nvmlDeviceGetVbiosVersion", "94.02")

    def nvmlDeviceSetPersistenceMode(self, handle, mode):  # noqa: N802
        self._answer("nvmlDeviceSetPersistenceMode")
        self.persistence = mode
        self.calls.append(("persistence", mode))

    def nvmlDeviceSetGpuLockedClocks(self, handle, minGpuClockMHz, maxGpuClockMHz):  # noqa: N802, N803
        self._answer("nvmlDeviceSetGpuLockedClocks")
        self.calls.append(("lock", minGpuClockMHz, maxGpuClockMHz))

    def nvmlDeviceResetGpuLockedClocks(self, handle):  # noqa: N802
        self._answer("nvmlDeviceResetGpuLockedClocks")
        self.calls.append(("unlock",))
