"""What adb says of a phone, and where adb comes from."""

from __future__ import annotations

import pytest

from elat.core.errors import (
    ConfigError,
    DeviceMissingError,
    DeviceOfflineError,
    DeviceUnauthorisedError,
    UnavailableError,
)
from elat.devices.transports import LinkState, Transport
from elat.devices.transports.adb import AdbLink

SERIAL = "emulator-5554"


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Makes an `adb` of the lines given."""

    def write(text):
        path = tmp_path / "adb"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return write


@pytest.mark.parametrize(
    ("said", "state", "error", "repair"),
    [
        ("", LinkState.MISSING, DeviceMissingError, "adb devices"),
        (f"{SERIAL}\toffline", LinkState.OFFLINE, DeviceOfflineError, "adb reconnect offline"),
        (f"{SERIAL}\trecovery", LinkState.OFFLINE, DeviceOfflineError, "recovery"),
        (
            f"{SERIAL}\tunauthorized",
            LinkState.UNAUTHORISED,
            DeviceUnauthorisedError,
            "on its screen",
        ),
        (
            f"{SERIAL}\tno permissions (user in plugdev group; are your udev rules wrong?)",
            LinkState.UNAUTHORISED,
            DeviceUnauthorisedError,
            "platform-tools-common",
        ),
    ],
)
def test_a_phone_that_is_not_reached_is_told_with_the_repair(program, said, state, error, repair):
    program(f'[ "$1" = devices ] && printf "List\\nother\\tdevice\\n{said}\\n" || exit 1')
    phone = Transport(AdbLink(SERIAL))
    assert phone.state() is state
    with pytest.raises(error, match=repair):
        phone.run(["true"], 5)


def test_a_phone_that_is_there_is_one(program):
    program(f'printf "List of devices attached\\n{SERIAL}\\tdevice\\n"')
    assert Transport(AdbLink(SERIAL)).state() is LinkState.DEVICE


def test_a_missing_adb_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("elat.devices.transports.adb.find_spec", lambda name: None)
    link = AdbLink(SERIAL)
    assert "pip install 'elat[android]'" in str(link.unavailable_reason())
    with pytest.raises(UnavailableError, match="apt install adb"):
        Transport(link).run(["true"], 5)


def test_the_adb_of_adbutils_serves_where_there_is_no_other(monkeypatch, tmp_path):
    package = tmp_path / "adbutils"
    bundled = package / "binaries" / "adb"
    bundled.parent.mkdir(parents=True)
    bundled.write_text(f'#!/bin/sh\nprintf "{SERIAL}\\tdevice\\n"\n')
    (package / "__init__.py").write_text("raise ImportError('is not imported')\n")
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.syspath_prepend(tmp_path)
    assert AdbLink(SERIAL).unavailable_reason() is not None
    bundled.chmod(0o755)
    assert AdbLink(SERIAL).words_here(["true"])[0] == str(bundled)


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"serial": "--help"},
        {"serial": "a b"},
        {"serial": "a\n"},
        {"serial": "x", "folder": "relative"},
        {"serial": "x", "more": 1},
    ],
)
def test_a_section_that_is_none_is_refused(section):
    with pytest.raises(ConfigError, match="card"):
        AdbLink.of(section, "card")


def test_a_section_names_the_phone():
    assert AdbLink.of({"serial": "10.0.0.7:5555"}, "card").prefix == "adb -s 10.0.0.7:5555 shell"
