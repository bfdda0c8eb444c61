"""State and fingerprint from pretended files of Linux, and from this machine."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elat.devices.cgroup import cgroup_cpus, throttled_periods
from elat.devices.state import clock_costs, cpu_ticks, fingerprint, state, steal_pct

CPUINFO = """processor\t: 0
model name\t: Pretended CPU
microcode\t: 0x1
cpu cores\t: 4
flags\t\t: fpu avx2 fma avx512f hypervisor

processor\t: 1
model name\t: Another
"""
FILES = {
    "proc/cpuinfo": CPUINFO,
    "proc/meminfo": "MemTotal: 8 kB\nMemAvailable:   4 kB\nSwapTotal: 3 kB\nSwapFree: 1 kB\n",
    "proc/loadavg": "0.50 0.25 0.10 3/120 4711\n",
    "proc/uptime": "12.5 99\n",
    "proc/stat": "cpu  10 0 20 60 0 0 0 10 0 0\ncpu0 1 2 3\n",
    "proc/pressure/cpu": "some avg10=1.50 avg60=0 avg300=0 total=1\nfull avg10=9.0\n",
    "proc/self/cgroup": "1:cpu:/old\n0::/mine\n",
    "sys/fs/cgroup/mine/cpu.max": "150000 100000\n",
    "sys/devices/system/cpu/cpu0/cache/index0/level": "1\n",
    "sys/devices/system/cpu/cpu0/cache/index0/type": "Data\n",
    "sys/devices/system/cpu/cpu0/cache/index0/size": "32K\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpufreq/policy1/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1200000\n",
    "sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone0/temp": "45500\n",
    "sys/class/thermal/thermal_zone1/type": "x86_pkg_temp\n",
    "sys/class/thermal/thermal_zone1/temp": "47000\n",
    "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "2\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "etc/machine-id": "0123456789abcdef\n",
}


def pretend(root, files=None):
    for name, text in (FILES if files is None else files).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_what_the_files_say_is_found(tmp_path):
    found = state(pretend(tmp_path))
    expected = {
        "load_1min": 0.5,
        "runnable": 3.0,
        "uptime_s": 12.5,
        "psi_cpu_some_avg10": 1.5,
        "governors": ["powersave"],
        "khz": [1_200_000],
        "temperatures_c": {"x86_pkg_temp": 47.0},
        "throttle_count": 2,
        "memory_available_bytes": 4096,
        "swap_used_bytes": 2048,
        "cgroup_cpus": 1.5,
    }
    assert {name: found[name] for name in expected} == expected
    assert "psi_memory_some_avg10" not in found
    assert "max_khz" not in found


def test_the_identity_is_found_and_the_host_is_hashed(tmp_path):
    found = fingerprint(pretend(tmp_path))
    assert found["cpu"] == "Pretended CPU"
    assert found["cpu_flags"] == ["avx2", "avx512f", "fma", "hypervisor"]
    assert found["is_virtual"] is True
    assert found["cores"] == 4
    assert found["caches"] == {"L1 Data": "32K"}
    assert found["memory_bytes"] == 8192
    assert found["transparent_hugepages"] == "madvise"
    assert "0123456789abcdef" not in json.dumps(found)
    (tmp_path / "etc/machine-id").write_text("fedcba9876543210\n")
    assert fingerprint(tmp_path)["host"] != found["host"]


def test_a_fingerprint_does_not_change_by_itself(tmp_path):
    assert fingerprint(pretend(tmp_path)) == fingerprint(tmp_path)
    assert fingerprint() == fingerprint()


def test_an_arm_board_is_named_by_what_it_tells(tmp_path):
    text = "processor: 0\nFeatures: asimd fphp asimddp\nCPU implementer: 0x41\nCPU part: 0xd0b\n"
    board = {"proc/cpuinfo": text, "proc/device-tree/model": "Pretended Pi\x00"}
    found = fingerprint(pretend(tmp_path, board))
    assert found["cpu"] == "CPU implementer 0x41 CPU part 0xd0b"
    assert found["cpu_flags"] == ["asimd", "asimddp"]
    assert found["board"] == "Pretended Pi"


def test_what_is_absent_stays_absent(tmp_path):
    for found in (state(tmp_path), fingerprint(tmp_path)):
        assert None not in found.values()
    assert not {"load_1min", "governors", "temperatures_c", "cgroup_cpus"} & state(tmp_path).keys()
    assert not {"cpu", "caches", "host"} & fingerprint(tmp_path).keys()
    assert cpu_ticks(tmp_path) is None


@given(text=st.text(max_size=60), name=st.sampled_from(sorted(FILES)))
def test_no_content_of_a_file_is_a_crash(tmp_path_factory, text, name):
    root = pretend(tmp_path_factory.mktemp("root"), {name: ""})
    (root / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    assert json.loads(json.dumps(state(root), allow_nan=True)).keys() == state(root).keys()
    assert isinstance(fingerprint(root), dict)
    assert cpu_ticks(root) is None or isinstance(cpu_ticks(root), tuple)


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ({"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}, None),
    ],
)  # fmt: skip
def test_limits_of_control_groups_of_both_versions(tmp_path, files, cpus):
    assert cgroup_cpus(pretend(tmp_path, files)) == cpus


def test_the_narrowest_of_nested_groups_counts(tmp_path):
    files = {
        "proc/self/cgroup": "3:cpu,cpuacct:/outer/inner\n0::/outer/inner\n",
        "sys/fs/cgroup/outer/cpu.max": "100000 100000",
        "sys/fs/cgroup/outer/inner/cpu.max": "400000 100000",
    }
    assert cgroup_cpus(pretend(tmp_path, files)) == 1.0
    old = "sys/fs/cgroup/cpu,cpuacct/outer/cpu.cfs_"
    pretend(tmp_path, {f"{old}quota_us": "50000", f"{old}period_us": "100000"})
    assert cgroup_cpus(tmp_path) == 0.5


def test_stops_by_the_quota_are_counted_in_both_versions(tmp_path):
    assert throttled_periods(tmp_path) is None
    files = {"sys/fs/cgroup/mine/cpu.stat": "nr_periods 9\nnr_throttled 4\n"}
    pretend(tmp_path, {"proc/self/cgroup": "0::/mine\n", **files})
    assert throttled_periods(tmp_path) == 4
    pretend(tmp_path, {"sys/fs/cgroup/cpu/cpu.stat": "nr_throttled 3\n"})
    assert throttled_periods(tmp_path) == 7


def test_a_system_without_proc_is_asked_through_psutil(tmp_path, monkeypatch):
    monkeypatch.setattr("elat.devices.state.ROOT", tmp_path)
    found = state(tmp_path)
    assert found["memory_available_bytes"] > 0
    assert found["load_1min"] >= 0


def test_steal_is_a_share_of_the_ticks_between_two_readings(tmp_path):
    assert cpu_ticks(pretend(tmp_path)) == (10, 100)
    assert steal_pct((10, 100), (13, 200)) == pytest.approx(3.0)
    assert steal_pct((10, 100), (10, 100)) is None
    assert steal_pct(None, (1, 2)) is None
    assert steal_pct((1, 200), (1, 100)) is None


def test_clocks_cost_something():
    costs = clock_costs()
    assert costs["clock_resolution_ns"] > 0
    assert costs["clock_call_ns"] > 0
    assert costs["cpu_clock_call_ns"] >= 0


def test_this_machine_can_be_written_as_json():
    assert json.loads(json.dumps(state(), allow_nan=False))["utc"]
    assert json.loads(json.dumps(fingerprint(), allow_nan=False))["python"]


def test_governors_are_those_of_the_cpus_that_may_be_used(tmp_path, monkeypatch):
    monkeypatch.setattr("elat.devices.state._affinity", lambda: [1])
    governor = "sys/devices/system/cpu/cpufreq/policy{}/scaling_governor"
    pretend(tmp_path, {governor.format(0): "powersave", governor.format(1): "performance"})
    assert state(tmp_path)["governors"] == ["performance"]
    monkeypatch.setattr("elat.devices.state._affinity", lambda: [7])
    assert state(tmp_path)["governors"] == ["performance", "powersave"]
