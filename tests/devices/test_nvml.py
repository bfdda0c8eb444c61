"""The GPU as NVML tells it: absent, silent, and by the names of the real package."""

from __future__ import annotations

import inspect
import sys

import pytest

from elat.core.errors import UnavailableError
from elat.devices.device import Gpu
from elat.devices.nvml import Clocks, open_gpu

from .fake_nvml import FakeNvml


def test_the_pretended_driver_has_the_names_and_parameters_of_the_real_one():
    real = pytest.importorskip("pynvml", reason="needs nvidia-ml-py")
    functions = [name for name in vars(FakeNvml) if name.startswith("nvml")]
    assert len(functions) > 15
    for name in functions:
        pretended = list(inspect.signature(getattr(FakeNvml, name)).parameters)[1:]
        assert pretended == list(inspect.signature(getattr(real, name)).parameters), name
    for name in ("NVML_CLOCK_SM", "NVML_TEMPERATURE_GPU", "NVML_CLOCK_LIMIT_ID_TDP"):
        assert getattr(FakeNvml, name) == getattr(real, name)
    assert issubclass(real.NVMLError, Exception)


def test_the_bits_of_reasons_are_those_of_the_real_package():
    real = pytest.importorskip("pynvml", reason="needs nvidia-ml-py")
    from elat.devices.checks import gpu

    names = ("SwPowerCap", "HwSlowdown", "SwThermalSlowdown", "HwThermalSlowdown",
             "HwPowerBrakeSlowdown")  # fmt: skip
    assert set(gpu._REASONS) == {getattr(real, f"nvmlClocksEventReason{n}") for n in names}
    assert real.nvmlClocksEventReasonGpuIdle == gpu._IDLE


def test_what_the_driver_tells_is_read(nvml):
    with open_gpu(Gpu()) as gpu:
        assert gpu.description() == "Pretended GPU, driver 580.1"
        assert gpu.clocks() == Clocks(1410, 1980)
        assert gpu.is_persistent() is False
        assert gpu.ecc() == (True, True)
        assert gpu.energy_mj() == 123_000
        assert (gpu.clock_mhz(), gpu.base_clock_mhz(), gpu.power_mw()) == (1410, 1200, 70_000)
        assert gpu.utilisation_pct() == 0
        assert gpu.bus_id() == "0000:01:00.0"
        assert gpu.identity() == {
            "name": "Pretended GPU",
            "uuid": "GPU-1",
            "vbios": "94.02",
            "driver": "580.1",
            "power_limit_mw": 450_000,
            "max_clock_mhz": 1980,
            "ecc": (True, True),
            "mig": False,
        }
    assert nvml.open == 0


def test_older_drivers_know_the_reasons_by_their_older_name(nvml):
    nvml.reasons = 4
    nvml.refused = {"nvmlDeviceGetCurrentClocksEventReasons"}
    with open_gpu(Gpu()) as gpu:
        assert gpu.reasons() == 4


def test_an_absent_package_driver_and_gpu_are_told_apart(nvml, monkeypatch):
    with pytest.raises(UnavailableError, match="no GPU 3"), open_gpu(Gpu(index=3)):
        pass
    assert nvml.open == 0
    nvml.refused = {"nvmlInit"}
    with pytest.raises(UnavailableError, match="driver does not answer"), open_gpu(Gpu()):
        pass
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(UnavailableError, match="pip install nvidia-ml-py"), open_gpu(Gpu()):
        pass


def test_a_refused_setting_names_the_command(nvml):
    nvml.refused = {"nvmlDeviceSetGpuLockedClocks"}
    with open_gpu(Gpu()) as gpu, pytest.raises(UnavailableError, match="-i 0 -lgc 1410,1410"):
        gpu.lock_clocks("1410")
    assert nvml.open == 0
