"""A phone that the real adb reaches is read, and examined by the doctor, in one round trip."""

from __future__ import annotations

import pytest

from elat.devices.device import Device, DeviceKind, Gates
from elat.devices.doctor import examine
from elat.devices.phone import examine_phone, identify, read_phone
from elat.devices.transports import Transport

from ..devices.phone.texts import write_programs

GATES = Gates(temperature_max_c=38.0, battery_min_pct=70.0, screen=False, airplane=True)


@pytest.fixture
def card(loop_phone):
    write_programs(loop_phone.programs)
    return Device(
        "loop-adb", DeviceKind.ANDROID_ADB, "", {}, gates=GATES, serial=loop_phone.serial,
        folder=str(loop_phone.root / "work"),
    )  # fmt: skip


@pytest.mark.parametrize("is_old", [False, True], ids=["with exit codes", "through a terminal"])
def test_a_phone_is_read_over_adb(adb, card, loop_phone, is_old):
    loop_phone.faults.is_old = is_old
    identity, state = examine_phone(adb.transport)
    assert (state.battery_pct, state.battery_c, state.thermal_status) == (64.0, 31.2, 2)
    assert (state.is_charging, state.is_screen_on, state.is_saving) == (True, False, True)
    assert (identity["model"], identity["sdk"]) == (
        "the ro.product.model",
        "the ro.build.version.sdk",
    )
    assert read_phone(adb.transport).boot_id == state.boot_id is not None
    assert identify(adb.transport) == identity


def test_the_doctor_asks_once(card, monkeypatch):
    asked = []
    run = Transport.run

    def counting(self, command, timeout_s, **options):
        asked.append(command)
        return run(self, command, timeout_s, **options)

    monkeypatch.setattr(Transport, "run", counting)
    found = {check.name: check for check in examine(card)}
    assert len(asked) == 1
    assert found["phone"].found == "the ro.product.model"
    assert found["battery"].found == "64 %, below the card's limit of 70"
    assert found["battery temperature"].found == "31.20 degrees Celsius (limit 38)"
    assert found["screen"].found == "off, as the card asks"
    assert found["airplane mode"].repair.startswith(f"adb -s {card.serial} shell cmd")
    assert found["battery saver"].status == "warn"
    assert found["thermal status"].found == "moderate: clocks are held down"


def test_a_phone_that_is_gone_fails_the_doctor(card, loop_phone, adb_server):
    adb_server.adb("disconnect", loop_phone.serial)
    (found,) = examine(card)
    assert (found.status, found.repair) == ("fail", "adb devices")
