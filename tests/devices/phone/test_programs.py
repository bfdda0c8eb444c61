"""The programs themselves, run by this machine's shell in a pretended one."""

from __future__ import annotations

import os
import shutil

import pytest

from elat.core.errors import CommandFailedError, TransportError
from elat.devices.phone import PhoneState, examine_phone, identify, read_phone
from elat.devices.transports import Finished, Transport
from elat.devices.transports.local import LocalLink

from ..conftest import write_files
from .texts import write_programs

PATH = os.environ["PATH"]
CPU = "sys/devices/system/cpu"
FILES = {
    "sys/class/thermal/thermal_zone0/type": "cpu $(touch CANARY) '",
    "sys/class/thermal/thermal_zone0/temp": "41500",
    "sys/class/thermal/thermal_zone1/type": "no sensor",
    f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "600000",
    f"{CPU}/cpu0/cpufreq/scaling_max_freq": "1500000",
    f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "1800000",
    f"{CPU}/cpu0/cpufreq/scaling_governor": "ondemand",
    f"{CPU}/cpu1/online": "0",
    f"{CPU}/cpufreq/boost": "1",
    "proc/loadavg": "0.26 0.67 1.56 2/90 17122",
    "proc/uptime": "99.5 12.0",
    "proc/sys/kernel/random/boot_id": "77e957f6-50bc-4ddb-9eee-4b5ab0626342",
    "proc/device-tree/model": "Pretended Board\0",
    "proc/meminfo": "MemTotal:  1024 kB",
    "etc/os-release": 'PRETTY_NAME="Pretended 1"',
}


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """A transport to this machine, and the commands it was given."""
    given = []
    run = Transport.run

    def counting(self, command, timeout_s, **options):
        given.append(list(command))
        return run(self, command, timeout_s, **options)

    monkeypatch.setattr(Transport, "run", counting)
    return Transport(LocalLink(str(tmp_path / "work"))), given


@pytest.fixture
def root(tmp_path):
    return str(write_files(tmp_path / "a root", FILES))


@pytest.fixture
def android(monkeypatch, tmp_path):
    """Android's programs, on the path."""
    folder = write_programs(tmp_path / "programs")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


BOARD = PhoneState(
    temperatures_c={"cpu $(touch CANARY) '": 41.5},
    clocks_mhz={0: 600.0},
    limits_mhz={0: 1500.0},
    governors=("ondemand",),
    load1=0.26,
    boot_id="77e957f6-50bc-4ddb-9eee-4b5ab0626342",
    uptime_s=99.5,
)


def test_a_board_is_read_in_one_round_trip(counted, root, tmp_path):
    transport, given = counted
    assert read_phone(transport, root) == BOARD
    assert len(given) == 1
    assert list((tmp_path / "work").iterdir()) == []


def test_a_phone_is_read_in_one_round_trip(counted, root, android):
    transport, given = counted
    identity, state = examine_phone(transport, root)
    assert len(given) == 1
    assert (state.battery_pct, state.battery_c, state.is_charging) == (64.0, 31.2, True)
    assert (state.is_screen_on, state.is_airplane, state.is_saving) == (False, False, True)
    assert (state.thermal_status, state.temperatures_c) == (2, BOARD.temperatures_c)
    assert (state.boot_id, state.limits_mhz) == (BOARD.boot_id, BOARD.limits_mhz)
    assert (identity["model"], identity["soc"]) == ("the ro.product.model", "the ro.soc.model")
    assert (identity["board"], identity["release"]) == ("Pretended Board", "Pretended 1")
    assert (identity["cpus"], identity["memory_bytes"]) == (2, 1024 * 1024)
    assert identity["clusters"] == [{"cpus": [0], "max_mhz": 1800.0}]
    assert identify(transport, root) == identity


def test_the_program_never_changes_and_the_secret_does(counted, root):
    transport, given = counted
    read_phone(transport, root)
    read_phone(transport, "")
    (first, second) = given
    assert first[:4] == second[:4]
    assert first[4] != second[4]


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox", "mksh"])
def test_shells_agree(counted, root, android, tmp_path, shell):
    """The device's `sh` may be any of these: each is what its name says."""
    found = shutil.which(shell, path=PATH)
    if found is None:
        pytest.skip(f"{shell} is not installed")
    transport, _ = counted
    expected = examine_phone(transport, root)
    (tmp_path / "programs" / "sh").symlink_to(found)
    identity, state = examine_phone(transport, root)
    assert (identity, state) == expected
    assert state.battery_pct == 64.0


def test_too_long_an_answer_is_none(monkeypatch, tmp_path):
    """Its middle is missing, and what is before that would run on into what is after."""
    ended = Finished(("sh",), "pi", 0, b"", b"", dropped_bytes=7)
    monkeypatch.setattr(Transport, "run", lambda *_: ended)
    with pytest.raises(TransportError, match="7 bytes too many"):
        read_phone(Transport(LocalLink(str(tmp_path))))


def test_a_device_without_a_shell_is_told(monkeypatch, tmp_path):
    ended = Finished(("sh",), "pi", 127, b"", b"sh: not found")
    monkeypatch.setattr(Transport, "run", lambda *_: ended)
    with pytest.raises(CommandFailedError, match="sh: not found"):
        read_phone(Transport(LocalLink(str(tmp_path))))
