"""Meters over pretended sensors, driven by a clock that the tests turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from elat.core.errors import MeasurementError, UnavailableError
from elat.devices.device import Gpu, Meter, Power
from elat.devices.energy.detect import open_meter
from elat.devices.energy.meter import EnergyMeter
from elat.devices.energy.power import PowerMeter
from elat.devices.energy.tegrastats import TegrastatsMeter, open_tegrastats, parse_rails

from .conftest import write_files

POWERCAP = "sys/class/powercap"


@contextmanager
def opened(power: Power | None, gpu: Gpu | None, root: Path) -> Iterator[EnergyMeter]:
    """The meter, which there has to be."""
    with open_meter(power, gpu, root) as meter:
        assert meter is not None
        yield meter


def refused(match, power, root):
    """Holds that there is no such meter, and that the error says `match`."""
    with pytest.raises(UnavailableError, match=match), open_meter(power, None, root):
        raise AssertionError("opened")


def domain(number, name, energy_uj, range_uj=1_000_000):
    folder = f"{POWERCAP}/intel-rapl:{number}"
    return {
        f"{folder}/name": name,
        f"{folder}/energy_uj": str(energy_uj),
        f"{folder}/max_energy_range_uj": str(range_uj),
    }


def test_packages_and_memory_are_added_and_their_parts_are_not(tmp_path):
    write_files(tmp_path, {
        **domain("0", "package-0", 100), **domain("0:0", "core", 7), **domain("0:1", "dram", 50),
        **domain("1", "package-1", 900), **domain("2", "psys", 5), **domain("1:0", "dram", 1),
    })  # fmt: skip
    with opened(None, None, tmp_path) as meter:
        assert meter.name == "RAPL package-0, dram 0, package-1, dram 1"
        assert meter.read_uj() == 0
        for number, value in (("0", 130), ("0:0", 1000), ("0:1", 55), ("2", 999_999)):
            write_files(tmp_path, {f"{POWERCAP}/intel-rapl:{number}/energy_uj": str(value)})
        assert meter.read_uj() == 30 + 5
        assert meter.wraps == 0


def test_a_counter_that_wraps_goes_on(tmp_path):
    write_files(tmp_path, domain("0", "package-0", 999_990))
    with opened(None, None, tmp_path) as meter:
        meter.read_uj()
        write_files(tmp_path, {f"{POWERCAP}/intel-rapl:0/energy_uj": "15"})
        assert meter.read_uj() == 25
        assert meter.wraps == 1
        (tmp_path / f"{POWERCAP}/intel-rapl:0/energy_uj").unlink()
        with pytest.raises(MeasurementError, match="any more"):
            meter.read_uj()


def test_a_machine_without_meters_has_none_and_a_hidden_one_names_the_command(tmp_path):
    with open_meter(None, None, tmp_path) as meter:
        assert meter is None
    refused("modprobe intel_rapl", Power(meter=Meter.RAPL), tmp_path)
    files = domain("0", "package-0", 1)
    del files[f"{POWERCAP}/intel-rapl:0/energy_uj"]
    write_files(tmp_path, files)
    refused("sudo chmod a", None, tmp_path)


def test_power_is_integrated_by_the_trapezoidal_rule():
    at, sampled = [0.0], []

    def read_uw():
        sampled.append(at[0])
        return 1e6 * at[0]

    meter = PowerMeter("rail", read_uw, 0.5, now_s=lambda: at[0])
    assert meter.read_uj() == 0
    at[0] = 0.4
    assert meter.read_uj() == 0, "the sensor has no new value yet"
    for at[0] in (1.0, 1.2, 2.0):
        meter.read_uj()
    assert meter.read_uj() == 2_000_000, "power t watts for 2 s is 2 J"
    assert sampled == [0.0, 1.0, 2.0]
    assert meter.resolution_uj is None


HWMON = {
    "sys/class/hwmon/hwmon0/name": "ina3221",
    "sys/class/hwmon/hwmon0/in1_label": "VDD_CPU",
    "sys/class/hwmon/hwmon0/in1_input": "5000",
    "sys/class/hwmon/hwmon0/curr1_input": "400",
    "sys/class/hwmon/hwmon0/curr4_input": "1000",
    "sys/class/hwmon/hwmon1/name": "ina226",
    "sys/class/hwmon/hwmon1/power1_input": "1500000",
    "sys/class/hwmon/hwmon1/update_interval": "35",
}


def test_rails_are_those_that_the_card_names(tmp_path):
    from elat.devices.energy.hwmon import find_rails

    write_files(tmp_path, HWMON)
    rails = {rail.label: rail for rail in find_rails(tmp_path)}
    assert {label: rail.read_uw() for label, rail in rails.items()} == {
        "VDD_CPU": 2_000_000, "ina226": 1_500_000,
    }  # fmt: skip
    assert rails["ina226"].interval_s == 0.035
    with opened(Power(meter=Meter.HWMON, rails=("VDD_CPU",)), None, tmp_path) as meter:
        assert meter.name == "hwmon VDD_CPU"
        assert meter.read_uj() == 0
    refused("'VDD_CPU', 'ina226'", Power(meter=Meter.HWMON, rails=("VDD_GPU",)), tmp_path)


LINES = {
    # The shapes of an Orin with JetPack 5 or later, and of a Xavier before.
    "RAM 2448/7772MB (lfb 4x4MB) SWAP 0/3886MB CPU [2%@729,off] EMC_FREQ 0% GR3D_FREQ 0% "
    "cpu@45.5C VDD_IN 5123mW/5040mW VDD_CPU_GPU_CV 1203mW/1180mW VDD_SOC 1400mW/1400mW": {
        "VDD_IN": 5123, "VDD_CPU_GPU_CV": 1203, "VDD_SOC": 1400,
    },
    "RAM 100/7771MB (lfb 1x4MB) IRAM 0/252kB(lfb 252kB) CPU [1%@1190] GPU 0/12 CPU 311/320 "
    "VDDRQ 103/110 SYS5V 1322/1400": {"GPU": 0, "CPU": 311, "VDDRQ": 103, "SYS5V": 1322},
    "": {}, "tegrastats: no such option": {},
}  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_rails_of_tegrastats(line):
    assert parse_rails(line) == LINES[line]


def test_lines_of_tegrastats_are_added_up():
    meter = TegrastatsMeter(("VDD_IN", "VDD_SOC"))
    meter.take("VDD_IN 4000mW/1mW VDD_SOC 1000mW/1mW", 10.0)
    assert meter.read_uj() == 0
    meter.take("nothing of use", 10.5)
    meter.take("VDD_IN 6000mW/1mW VDD_SOC 1000mW/1mW", 11.0)
    assert meter.read_uj() == 6_000_000, "5 W to 7 W in a second"


def program(tmp_path, monkeypatch, text):
    path = tmp_path / "bin/tegrastats"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")


def test_tegrastats_runs_as_long_as_it_is_read(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, 'echo "VDD_IN 5000mW/5000mW"; exec sleep 60')
    with open_tegrastats(["VDD_IN"]) as meter:
        assert meter.name == "tegrastats VDD_IN"
        assert meter.read_uj() == 0
    with pytest.raises(UnavailableError, match="'VDD_X', but VDD_IN"), open_tegrastats(["VDD_X"]):
        pass


def test_a_missing_tegrastats_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="comes with JetPack"), open_tegrastats(["VDD_IN"]):
        pass


def test_a_gpu_counts_in_millijoules(tmp_path, nvml):
    with opened(None, Gpu(), tmp_path) as meter:
        assert (meter.name, meter.resolution_uj, meter.read_uj()) == ("NVML GPU 0", 1000, 0)
        nvml.energy_mj += 42
        assert meter.read_uj() == 42_000
        nvml.refused = {"nvmlDeviceGetTotalEnergyConsumption"}
        with pytest.raises(MeasurementError):
            meter.read_uj()
    with open_meter(None, Gpu(), tmp_path) as meter:
        assert meter is None, "older GPUs count no energy"
    refused("counts no energy", Power(meter=Meter.NVML), tmp_path)
