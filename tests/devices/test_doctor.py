"""Every check of the doctor, passing and not."""

from __future__ import annotations

import pytest

from elat.devices.device import Device, DeviceKind, Gates
from elat.devices.doctor import Check, examine

GATES = Gates(
    psi_some_avg10_max=10.0, load_per_core_max=1.0, temperature_max_c=60.0, steal_max_pct=2.0
)


def device(**changes):
    values = {"id": "desk", "kind": DeviceKind.LOCAL_CPU, "description": "", "runtime": {}}
    return Device(**{**values, "gates": GATES, **changes})


def checks(root, files=(), **changes):
    for name, text in dict(files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {c.name: c for c in examine(device(**changes), root=root, interval_s=0.0)}


TROUBLE = [
    ("load", {"proc/loadavg": "900 1 1 1/1 1"}, {"proc/loadavg": "0.1 1 1 1/1 1"}),
    (
        "CPU pressure",
        {"proc/pressure/cpu": "some avg10=10.01 avg60=0"},
        {"proc/pressure/cpu": "some avg10=9.99 avg60=0"},
    ),
    (
        "temperature",
        {"sys/class/thermal/thermal_zone0/type": "soc",
         "sys/class/thermal/thermal_zone0/temp": "61000"},
        {"sys/class/thermal/thermal_zone0/type": "soc",
         "sys/class/thermal/thermal_zone0/temp": "59000"},
    ),
    (
        "governor",
        {"sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "powersave"},
        {"sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "performance"},
    ),
    (
        "CPU quota",
        {"sys/fs/cgroup/cpu.max": "50000 100000"},
        {"sys/fs/cgroup/cpu.max": "200000 100000"},
    ),
    (
        "memory",
        {"proc/meminfo": "MemAvailable: 1000 kB"},
        {"proc/meminfo": "MemAvailable: 9000000 kB"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "bad", "good"), TROUBLE, ids=[name for name, _, _ in TROUBLE])
def test_each_trouble_is_seen_with_its_repair_and_its_absence_too(tmp_path, name, bad, good):
    found = checks(tmp_path / "bad", bad)[name]
    assert found.status == "warn"
    assert found.found and found.repair
    found = checks(tmp_path / "good", good)[name]
    assert found.status == "pass"
    assert found.repair == ""


def test_a_card_without_gates_warns_of_no_load(tmp_path):
    found = checks(tmp_path, {"proc/loadavg": "900 1 1 1/1 1"}, gates=Gates())
    assert found["load"].status == "pass"
    assert "no limit" in found["load"].found


def test_steal_between_two_readings_is_held_against_the_gate(tmp_path, monkeypatch):
    readings = iter([(0, 1000), (50, 2000)])
    monkeypatch.setattr("elat.devices.doctor.cpu_ticks", lambda root: next(readings))
    assert checks(tmp_path)["steal"].status == "warn"


def test_pinning_to_cpus_that_are_not_there_fails(tmp_path):
    assert checks(tmp_path)["affinity"].status == "pass"
    found = checks(tmp_path, affinity=(100_000,))["affinity"]
    assert found.status == "fail"
    assert "desk" in found.repair


def test_a_coarse_or_dear_clock_is_warned_of(tmp_path, monkeypatch):
    assert checks(tmp_path)["clock"].name == "clock"
    coarse = {"clock_resolution_ns": 1e6, "clock_call_ns": 50.0, "cpu_clock_call_ns": 400.0}
    monkeypatch.setattr("elat.devices.doctor.state", lambda root: coarse)
    assert checks(tmp_path)["clock"].status == "warn"


def test_an_empty_machine_has_no_failure(tmp_path):
    assert {c.status for c in checks(tmp_path).values()} <= {"pass", "warn"}


def test_what_the_caller_found_comes_first():
    extra = Check("runtime", "fail", "missing", "pip install it")
    assert examine(device(), (extra,), interval_s=0.0)[0] == extra


def test_nothing_of_this_machine_matters_to_a_simulated_device():
    found = examine(device(kind=DeviceKind.SIMULATED, affinity=(100_000,)))
    assert [c.status for c in found] == ["pass"]


def test_names_are_distinct():
    names = [c.name for c in examine(device(), interval_s=0.0)]
    assert len(names) == len(set(names))
