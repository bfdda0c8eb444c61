"""Every check of the doctor: a machine where it passes, one where it warns, one that is silent."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from elat.core.errors import UnavailableError
from elat.devices.checks.check import Check
from elat.devices.checks.phone import state_checks
from elat.devices.device import Device, DeviceKind, Gates, Gpu, Meter, Power
from elat.devices.doctor import examine
from elat.devices.journal import Change, begin_journal
from elat.devices.phone import PhoneState

from .conftest import write_files

GATES = Gates(
    psi_some_avg10_max=10.0, load_per_core_max=1.0, temperature_max_c=60.0, steal_max_pct=2.0,
    battery_min_pct=30.0, screen=True, airplane=True,
)  # fmt: skip
CPU = "sys/devices/system/cpu"
POLICY = f"{CPU}/cpufreq/policy0"
OTHER_PID = 4_000_000  # above what the kernel gives out by default: never that of the tests


def device(**changes):
    values = {"id": "desk", "kind": DeviceKind.LOCAL_CPU, "description": "", "runtime": {}}
    return Device(**{**values, "gates": GATES, **changes})


def stat(ticks, cpu, name="burner (x)"):
    fields = ["S", *["0"] * 10, str(ticks), "0", *["0"] * 23, str(cpu), "0"]
    return f"7 ({name}) {' '.join(fields)}"


def thread(ticks, cpu=1):
    folder = f"proc/{OTHER_PID}"
    return {f"{folder}/comm": "burner", f"{folder}/task/{OTHER_PID}/stat": stat(ticks, cpu)}


def examined(tmp_path, monkeypatch, files, later=None, **changes):
    """The checks of a pretended machine whose files become `later` while it is watched."""
    root = write_files(tmp_path, files)
    now = iter((100.0, 101.0))

    def wait(seconds):
        write_files(root, later or {})

    monkeypatch.setattr("elat.devices.watch.time.sleep", wait)
    monkeypatch.setattr("elat.devices.watch.time.monotonic", lambda: next(now))
    found = examine(device(**changes), root=root)
    assert len({check.name for check in found}) == len(found)
    return {check.name: check for check in found}


SMT = {
    f"{CPU}/smt/active": "1",
    f"{CPU}/cpu0/topology/thread_siblings_list": "0,1",
    f"{CPU}/cpu2/topology/thread_siblings_list": "2-3",
}
THROTTLES = f"{CPU}/cpu0/thermal_throttle/core_throttle_count"
CLOCK_SOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"
RAPL = {
    "sys/class/powercap/intel-rapl:0/name": "package-0",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
    "sys/class/powercap/intel-rapl:0/energy_uj": "5",
}

# name: (good files, bad files, what they become meanwhile, changes of the card)
SCENARIOS: dict[str, Any] = {
    "load": ({"proc/loadavg": "0.1 1 1 1/1 1"}, {"proc/loadavg": "900 1 1 1/1 1"}, {}, {}),
    "CPU pressure": (
        {"proc/pressure/cpu": "some avg10=9.99 avg60=0"},
        {"proc/pressure/cpu": "some avg10=10.01 avg60=0"}, {}, {},
    ),
    "steal": (
        {"proc/stat": "cpu 0 0 0 100 0 0 0 0"}, {"proc/stat": "cpu 0 0 0 100 0 0 0 0"},
        ({"proc/stat": "cpu 0 0 0 200 0 0 0 1"}, {"proc/stat": "cpu 0 0 0 200 0 0 0 10"}), {},
    ),
    "spinning threads": (thread(0), thread(0), (thread(80), thread(95)), {}),
    "memory": (
        {"proc/meminfo": "MemAvailable: 9000000 kB"}, {"proc/meminfo": "MemAvailable: 1000 kB"},
        {}, {},
    ),
    "swap": (
        {"proc/meminfo": "SwapTotal: 900000 kB\nSwapFree: 900000 kB"},
        {"proc/meminfo": "SwapTotal: 900000 kB\nSwapFree: 100000 kB"}, {}, {},
    ),
    "governor": (
        {f"{POLICY}/scaling_governor": "performance"},
        {f"{POLICY}/scaling_governor": "powersave"}, {}, {},
    ),
    "turbo": (
        {f"{CPU}/intel_pstate/no_turbo": "1"}, {f"{CPU}/intel_pstate/no_turbo": "0"}, {},
        {"turbo": False},
    ),
    "frequency limit": (
        {f"{POLICY}/scaling_max_freq": "3000000", f"{POLICY}/cpuinfo_max_freq": "3000000"},
        {f"{POLICY}/scaling_max_freq": "2000000", f"{POLICY}/cpuinfo_max_freq": "3000000"}, {}, {},
    ),
    "temperature": (
        {"sys/class/thermal/thermal_zone0/type": "soc",
         "sys/class/thermal/thermal_zone0/temp": "59000"},
        {"sys/class/thermal/thermal_zone0/type": "soc",
         "sys/class/thermal/thermal_zone0/temp": "61000"}, {}, {},
    ),
    "heat throttling": ({THROTTLES: "7"}, {THROTTLES: "7"}, ({}, {THROTTLES: "9"}), {}),
    "hyper-threads": (
        {**SMT, **thread(0)}, {**SMT, **thread(0)}, (thread(50, cpu=3), thread(50, cpu=1)),
        {"affinity": (0,)},
    ),
    "isolated CPUs": (
        {f"{CPU}/isolated": "0"}, {f"{CPU}/isolated": "1-2"}, {}, {"affinity": (0,)},
    ),
    "quota stops": (
        {"sys/fs/cgroup/cpu.stat": "nr_throttled 3"}, {"sys/fs/cgroup/cpu.stat": "nr_throttled 3"},
        ({}, {"sys/fs/cgroup/cpu.stat": "nr_periods 9\nnr_throttled 4"}), {},
    ),
    "clock source": ({CLOCK_SOURCE: "tsc"}, {CLOCK_SOURCE: "hpet"}, {}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_check_passes_warns_and_says_when_nothing_tells(tmp_path, monkeypatch, name):
    good, bad, later, changes = SCENARIOS[name]
    later_good, later_bad = later if isinstance(later, tuple) else (later, later)
    fine = examined(tmp_path / "good", monkeypatch, good, later_good, **changes)[name]
    assert (fine.status, fine.known, fine.repair) == ("pass", True, "")
    wrong = examined(tmp_path / "bad", monkeypatch, bad, later_bad, **changes)[name]
    assert (wrong.status, wrong.known) == ("warn", True)
    assert wrong.found and wrong.repair
    silent = examined(tmp_path / "silent", monkeypatch, {}, **changes)[name]
    assert (silent.status, silent.known, silent.repair) == ("pass", False, "")


def test_every_check_of_a_machine_has_a_scenario(tmp_path, monkeypatch, nvml):
    tested_below = {
        "CPU quota", "energy", "affinity", "clock", "huge pages", "address randomisation",
        "left tuned", "identity", "GPU",
    }  # fmt: skip
    found = examined(tmp_path, monkeypatch, {}, gpu=Gpu())
    assert set(found) == set(SCENARIOS) | tested_below | set(GPU_SCENARIOS)
    assert {check.status for check in found.values()} <= {"pass", "warn"}


def test_a_quota_below_a_cpu_is_warned_of(tmp_path, monkeypatch):
    good = {"sys/fs/cgroup/cpu.max": "200000 100000"}
    bad = {"sys/fs/cgroup/cpu.max": "50000 100000"}
    assert examined(tmp_path / "a", monkeypatch, good)["CPU quota"].status == "pass"
    found = examined(tmp_path / "b", monkeypatch, bad)["CPU quota"]
    assert found.status == "warn"
    assert "docker run" in found.repair


def test_pinning_to_cpus_that_are_not_there_fails(tmp_path, monkeypatch):
    assert examined(tmp_path, monkeypatch, {})["affinity"].status == "pass"
    found = examined(tmp_path, monkeypatch, {}, affinity=(100_000,))["affinity"]
    assert found.status == "fail"
    assert "desk" in found.repair
    silent = {"clock_resolution_ns": 1.0, "cpu_clock_call_ns": 1.0}
    monkeypatch.setattr("elat.devices.doctor.state", lambda root: silent)
    assert not examined(tmp_path, monkeypatch, {})["affinity"].known


def test_two_pinned_cpus_of_one_core_are_warned_of(tmp_path, monkeypatch):
    found = examined(tmp_path, monkeypatch, SMT, affinity=(0, 1))["hyper-threads"]
    assert found.status == "warn"
    assert "one core" in found.found


def test_a_coarse_or_dear_clock_is_warned_of(tmp_path, monkeypatch):
    coarse = {"clock_resolution_ns": 1e6, "clock_call_ns": 50.0, "cpu_clock_call_ns": 400.0}
    monkeypatch.setattr("elat.devices.doctor.state", lambda root: coarse)
    assert examined(tmp_path, monkeypatch, {})["clock"].status == "warn"
    fine = {**coarse, "clock_resolution_ns": 50.0}
    monkeypatch.setattr("elat.devices.doctor.state", lambda root: fine)
    assert examined(tmp_path, monkeypatch, {})["clock"].status == "pass"


def test_pages_and_randomisation_are_recorded(tmp_path, monkeypatch):
    files = {
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
        "proc/sys/kernel/randomize_va_space": "2",
    }
    found = examined(tmp_path / "a", monkeypatch, files)
    assert found["huge pages"].found == "madvise (recorded)"
    assert found["address randomisation"].found == "2 (recorded)"
    silent = examined(tmp_path / "b", monkeypatch, {})
    assert not silent["huge pages"].known and not silent["address randomisation"].known


def test_what_a_killed_run_left_tuned_is_warned_of(tmp_path, monkeypatch):
    assert examined(tmp_path, monkeypatch, {})["left tuned"].status == "pass"
    begin_journal("desk", [Change("a", "b", "c")], tmp_path)
    alive = examined(tmp_path, monkeypatch, {})["left tuned"]
    assert (alive.status, "a: b -> c" in alive.found) == ("pass", True)
    monkeypatch.setattr("elat.devices.journal.Journal.is_alive", False)
    left = examined(tmp_path, monkeypatch, {})["left tuned"]
    assert (left.status, left.repair) == ("warn", "elat doctor desk --restore")
    monkeypatch.setattr(
        "elat.devices.journal.Journal.is_of_this_machine", lambda self, root: False
    )
    elsewhere = examined(tmp_path, monkeypatch, {})["left tuned"]
    assert (elsewhere.status, "another machine" in elsewhere.found) == ("pass", True)


def test_energy_is_there_absent_hidden_or_not_as_the_card_says(tmp_path, monkeypatch):
    found = examined(tmp_path / "a", monkeypatch, RAPL)["energy"]
    assert (found.status, found.found) == ("pass", "RAPL package-0")
    found = examined(tmp_path / "b", monkeypatch, {})["energy"]
    assert (found.status, found.found) == ("pass", "none exposed")
    hidden = {name: text for name, text in RAPL.items() if "energy_uj" not in name}
    hidden["sys/class/powercap/intel-rapl:0/max_energy_range_uj"] = "100"
    found = examined(tmp_path / "c", monkeypatch, hidden)["energy"]
    assert found.status == "warn"
    assert found.repair.startswith("sudo chmod a+r")
    power = Power(meter=Meter.HWMON, rails=("VDD_CPU",))
    found = examined(tmp_path / "d", monkeypatch, {}, power=power)["energy"]
    assert found.status == "warn"
    assert "VDD_CPU" in found.found


def test_the_other_switch_for_turbo_reads_the_other_way_round(tmp_path, monkeypatch):
    on = {f"{CPU}/cpufreq/boost": "1"}
    assert examined(tmp_path, monkeypatch, on, turbo=False)["turbo"].status == "warn"
    assert examined(tmp_path, monkeypatch, on, turbo=True)["turbo"].status == "pass"
    assert examined(tmp_path, monkeypatch, on)["turbo"].status == "pass"
    assert "echo 0" in examined(tmp_path, monkeypatch, on, turbo=False)["turbo"].repair


def test_only_the_cpus_that_are_measured_on_matter(tmp_path, monkeypatch):
    files = {
        f"{POLICY}/affected_cpus": "0 1", f"{POLICY}/scaling_governor": "powersave",
        f"{CPU}/cpufreq/policy2/affected_cpus": "2 3",
        f"{CPU}/cpufreq/policy2/scaling_governor": "performance",
    }  # fmt: skip
    assert examined(tmp_path, monkeypatch, files)["governor"].status == "warn"
    assert examined(tmp_path, monkeypatch, files, affinity=(1,))["governor"].status == "warn"
    assert examined(tmp_path, monkeypatch, files, affinity=(3,))["governor"].status == "pass"


def test_a_card_without_gates_warns_of_no_load(tmp_path, monkeypatch):
    files = {"proc/loadavg": "900 1 1 1/1 1"}
    found = examined(tmp_path, monkeypatch, files, gates=Gates())["load"]
    assert found.status == "pass"
    assert "no limit" in found.found


def test_own_threads_are_nobody_elses(tmp_path, monkeypatch):
    own, tasks = f"proc/{os.getpid()}", f"proc/{os.getpid()}/task/1/stat"
    before = {f"{own}/comm": "elat", tasks: stat(0, 0)}
    found = examined(tmp_path, monkeypatch, before, {tasks: stat(100, 0)})
    assert found["spinning threads"].status == "pass"


GPU_SCENARIOS: dict[str, Any] = {
    "GPU persistence": (
        {"persistence": 1}, {"persistence": 0}, {"nvmlDeviceGetPersistenceMode"},
    ),
    "GPU clocks": ({"clock_mhz": 1400}, {"clock_mhz": 900}, {"nvmlDeviceGetClockInfo"}),
    "GPU throttling": (
        {"reasons": 1}, {"reasons": 0x41},
        {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"},
    ),
    "GPU temperature": ({"celsius": 60}, {"celsius": 61}, {"nvmlDeviceGetTemperature"}),
    "GPU processes": (
        {"pids": [os.getpid()]}, {"pids": [OTHER_PID]}, {"nvmlDeviceGetComputeRunningProcesses"},
    ),
    "GPU utilisation": (
        {"utilisation": 1}, {"utilisation": 2}, {"nvmlDeviceGetUtilizationRates"},
    ),
    "GPU ECC": ({"ecc": [1, 1]}, {"ecc": [1, 0]}, {"nvmlDeviceGetEccMode"}),
    "GPU partitions": ({"mig": [0, 0]}, {"mig": [1, 1]}, {"nvmlDeviceGetMigMode"}),
}  # fmt: skip


@pytest.mark.parametrize("name", GPU_SCENARIOS)
def test_a_check_of_a_gpu_passes_warns_and_says_when_nothing_tells(
    tmp_path, monkeypatch, nvml, name
):
    good, bad, refused = GPU_SCENARIOS[name]
    card = {"gpu": Gpu(lock_clocks=1400)}
    vars(nvml).update(good)
    fine = examined(tmp_path, monkeypatch, {}, **card)[name]
    assert (fine.status, fine.known) == ("pass", True)
    vars(nvml).update(bad)
    wrong = examined(tmp_path, monkeypatch, {}, **card)[name]
    assert (wrong.status, bool(wrong.repair)) == ("warn", True)
    nvml.refused = refused
    assert not examined(tmp_path, monkeypatch, {}, **card)[name].known


def test_an_idle_gpu_does_not_tell_whether_its_clock_is_locked(tmp_path, monkeypatch, nvml):
    nvml.clock_mhz, nvml.reasons = 210, 1
    found = examined(tmp_path, monkeypatch, {}, gpu=Gpu(lock_clocks=1400))["GPU clocks"]
    assert (found.status, found.known) == ("pass", False)


def test_a_clock_that_nothing_locks_is_said_to_float(tmp_path, monkeypatch, nvml):
    found = examined(tmp_path, monkeypatch, {}, gpu=Gpu())["GPU clocks"]
    assert found.status == "warn"
    assert "1410 of 1980 MHz, floating" in found.found
    assert "--tune" in found.repair
    held = examined(tmp_path, monkeypatch, {}, gpu=Gpu(lock_clocks="base"))["GPU clocks"]
    assert held.status == "pass"


def test_a_gpu_without_package_or_driver_is_a_finding_of_its_own(tmp_path, monkeypatch, nvml):
    assert examined(tmp_path, monkeypatch, {}, gpu=Gpu())["GPU"].status == "pass"
    nvml.refused = {"nvmlInit"}
    found = examined(tmp_path, monkeypatch, {}, gpu=Gpu())["GPU"]
    assert (found.status, found.repair) == ("fail", "sudo modprobe nvidia")
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    found = examined(tmp_path, monkeypatch, {}, gpu=Gpu())["GPU"]
    assert (found.status, found.known) == ("warn", False)
    assert found.repair == "pip install nvidia-ml-py"


PHONE = PhoneState(
    battery_pct=80.0, battery_c=60.0, is_screen_on=True, is_airplane=True, is_saving=False,
    thermal_status=0,
)  # fmt: skip
PHONE_SCENARIOS: dict[str, Any] = {
    "battery": {"battery_pct": 29.0},
    "battery temperature": {"battery_c": 60.1},
    "screen": {"is_screen_on": False},
    "airplane mode": {"is_airplane": False},
    "battery saver": {"is_saving": True},
    "thermal status": {"thermal_status": 3},
}


def phone_checks_of(state, gates=GATES):
    return {check.name: check for check in state_checks(state, gates, "adb -s x")}


@pytest.mark.parametrize("name", PHONE_SCENARIOS)
def test_a_check_of_a_phone_passes_warns_and_says_when_nothing_tells(name):
    found = phone_checks_of(PHONE)[name]
    assert (found.status, found.known, found.repair) == ("pass", True, "")
    wrong = phone_checks_of(replace(PHONE, **PHONE_SCENARIOS[name]))[name]
    assert (wrong.status, wrong.known, bool(wrong.repair)) == ("warn", True, True)
    silent = phone_checks_of(PhoneState())[name]
    assert (silent.status, silent.known, silent.repair) == ("pass", False, "")


def test_of_a_board_without_a_battery_the_hottest_part_is_held_against_the_limit():
    """It is what a run there waits for."""
    board = PhoneState(temperatures_c={"cpu": 61.0, "soc": 50.0})
    found = phone_checks_of(board)["hottest part"]
    assert (found.status, found.found.split()[0]) == ("warn", "61.00")


def test_every_check_of_a_phone_has_a_scenario():
    assert set(phone_checks_of(PHONE)) == set(PHONE_SCENARIOS)


def test_repairs_of_a_phone_are_typed_as_it_is_reached():
    off = phone_checks_of(replace(PHONE, is_airplane=False, is_saving=True, is_screen_on=False))
    assert off["airplane mode"].repair == "adb -s x shell cmd connectivity airplane-mode enable"
    assert off["battery saver"].repair == "adb -s x shell settings put global low_power 0"
    assert off["screen"].repair == "adb -s x shell input keyevent KEYCODE_POWER"


def test_a_card_that_does_not_mind_warns_of_no_battery_screen_or_radio():
    found = phone_checks_of(replace(PHONE, battery_pct=1.0, is_screen_on=False), Gates())
    assert {check.status for check in found.values()} == {"pass"}
    assert found["battery"].found == "1 % (the card sets no limit)"
    assert found["screen"].found == "off; the card does not mind"


def test_a_phone_that_is_not_reached_fails(monkeypatch):
    def unreachable(self, *_):
        raise UnavailableError("gone; list phones with: adb devices")

    monkeypatch.setattr("elat.devices.transports.Transport.run", unreachable)
    (found,) = examine(device(kind=DeviceKind.ANDROID_ADB, serial="x", folder="/x"))
    assert (found.status, found.repair) == ("fail", "adb devices")


def test_what_the_caller_found_comes_first():
    extra = Check("runtime", "fail", "missing", "pip install it")
    assert examine(device(), (extra,), interval_s=0.0)[0] == extra


def test_nothing_of_this_machine_matters_to_a_simulated_device():
    found = examine(device(kind=DeviceKind.SIMULATED, affinity=(100_000,)))
    assert [c.status for c in found] == ["pass"]
