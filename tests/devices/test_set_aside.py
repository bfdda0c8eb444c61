"""What is noted of a device that was set aside, and when it is forgotten."""

from __future__ import annotations

import pytest

from elat.core.artefact import elat_home
from elat.core.errors import (
    ArtefactError,
    ConfigError,
    DeviceInUseError,
    DeviceOfflineError,
    ElatError,
    MeasurementError,
)
from elat.devices.set_aside import noted, set_aside


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ELAT_HOME", str(tmp_path / "home"))


def fail(error: ElatError) -> None:
    with pytest.raises(type(error)), noted("pi"):
        raise error


def test_the_first_failure_says_since_when_and_the_last_one_why():
    assert set_aside("pi") is None
    fail(DeviceOfflineError("it is off"))
    first = set_aside("pi")
    assert first is not None
    assert (first.error, first.reason) == ("DeviceOfflineError", "it is off")
    path = elat_home() / "set-aside" / "pi.json"
    path.write_text(path.read_text().replace(first.since_utc, "then"))
    fail(MeasurementError("it hung"))
    assert str(set_aside("pi")) == "set aside since then, because it hung"
    assert set_aside("other") is None


def test_what_ends_well_clears_the_note():
    fail(DeviceOfflineError("it is off"))
    for _ in range(2):
        with noted("pi"):
            pass
    assert set_aside("pi") is None


@pytest.mark.parametrize("error", [DeviceInUseError("ada"), ConfigError("wrong")])
def test_what_is_no_reason_of_the_device_changes_nothing(error):
    fail(error)
    assert set_aside("pi") is None
    fail(DeviceOfflineError("it is off"))
    fail(error)
    found = set_aside("pi")
    assert found is not None
    assert found.reason == "it is off"


@pytest.mark.parametrize("text", ["{}", "[]", "null", '{"schema": 2}', '{"schema": 1, "x": 1}'])
def test_a_damaged_note_names_the_repair(text):
    fail(DeviceOfflineError("it is off"))
    path = elat_home() / "set-aside" / "pi.json"
    path.write_text(text)
    with pytest.raises(ArtefactError, match="delete it: rm"):
        set_aside("pi")
