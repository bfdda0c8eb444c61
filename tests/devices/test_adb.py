"""Commands over adb, to a program that speaks as adb does."""

from __future__ import annotations

import pytest

from elat.core.errors import UnavailableError
from elat.devices.transports.adb import AdbTransport


def adb(tmp_path, monkeypatch, text):
    path = tmp_path / "adb"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return AdbTransport("emulator-5554")


def test_a_command_is_quoted_and_its_output_has_plain_line_ends(tmp_path, monkeypatch):
    phone = adb(tmp_path, monkeypatch, 'printf "%s|" "$@"; printf "a\\r\\nb"')
    assert phone.run("echo", "two words") == "-s|emulator-5554|shell|echo 'two words'|a\nb"
    assert phone.prefix == "adb -s emulator-5554"


@pytest.mark.parametrize(
    ("said", "repair"),
    [
        ("error: device 'emulator-5554' not found", "adb devices"),
        ("error: device offline", "adb devices"),
        ("error: device unauthorized.", "on its screen"),
        ("sh: dumpsys: inaccessible", "adb -s emulator-5554 shell"),
    ],
)
def test_a_phone_that_refuses_is_told_with_the_repair(tmp_path, monkeypatch, said, repair):
    phone = adb(tmp_path, monkeypatch, f'echo "{said}" >&2; exit 1')
    with pytest.raises(UnavailableError, match=repair):
        phone.run("dumpsys", "battery")


def test_a_silent_phone_and_a_missing_adb_are_told(tmp_path, monkeypatch):
    phone = adb(tmp_path, monkeypatch, "exec sleep 60")
    with pytest.raises(UnavailableError, match=r"silent for 0\.2 s"):
        phone.run("true", timeout_s=0.2)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(UnavailableError, match="apt install adb"):
        phone.run("true")
