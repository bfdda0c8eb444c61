"""A phone's state, from what phones print."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from elat.devices.phone import PhoneState
from elat.devices.phone.programs import sections
from elat.devices.phone.state import state_of

from .texts import (
    BATTERY,
    BATTERY_14,
    NO_THERMAL,
    PHONE_14,
    POWER,
    THERMAL_11,
    THERMAL_14,
    TOKEN,
    printed,
)

BOOT = "77e957f6-50bc-4ddb-9eee-4b5ab0626342"


def battery(text=BATTERY, **changes):
    said = {"is_plugged": "false", "status": 3, "level": 80, "tenths": 300, **changes}
    return state_of({"battery": text.format(**said)})


def test_a_phone_is_read_whole():
    assert state_of(sections(printed(PHONE_14), TOKEN)) == PhoneState(
        battery_pct=72.0,
        battery_c=31.4,
        is_charging=True,
        is_screen_on=True,
        is_airplane=True,
        is_saving=False,
        thermal_status=1,
        temperatures_c={"cpu-0-0": 47.2, "battery": 31.2},
        clocks_mhz={0: 576.0, 4: 710.4},
        limits_mhz={0: 1804.8, 4: 2841.6},
        governors=("schedutil",),
        load1=3.52,
        boot_id=BOOT,
        uptime_s=43384.53,
    )


def test_a_terminal_in_between_changes_nothing():
    text = printed(PHONE_14)
    whole = state_of(sections(text, TOKEN))
    assert state_of(sections(text.replace("\n", "\r\n"), TOKEN)) == whole


@pytest.mark.parametrize("text", [BATTERY, BATTERY_14])
def test_a_battery_is_read_of_every_android(text):
    found = battery(text, level=29, tenths=-55)
    assert (found.battery_pct, found.battery_c, found.is_charging) == (29.0, -5.5, False)


@pytest.mark.parametrize(
    ("status", "is_charging"),
    [(1, None), (2, True), (3, False), (4, False), (5, False), (6, None)],
)
def test_only_a_battery_that_fills_is_charging(status, is_charging):
    assert battery(status=status).is_charging is is_charging


@pytest.mark.parametrize("changes", [{"level": 101}, {"level": -1}, {"level": "9" * 5000}])
def test_a_charge_that_cannot_be_is_not_told(changes):
    found = battery(**changes)
    assert (found.battery_pct, found.battery_c) == (None, 30.0)


def test_another_scale_counts():
    text = BATTERY.replace("scale: 100", "scale: 255")
    assert battery(text, level=51).battery_pct == 20.0


@pytest.mark.parametrize("tenths", [-2731, 2147483, "x"])
def test_a_temperature_that_cannot_be_is_not_told(tenths):
    assert battery(tenths=tenths).battery_c is None


def test_a_box_without_a_battery_has_none():
    """Such boxes print zeros, which would refuse every measurement."""
    found = battery(BATTERY.replace("present: true", "present: false"), level=0, tenths=0)
    assert found == PhoneState()


@pytest.mark.parametrize(
    ("wakefulness", "is_on"),
    [("Awake", True), ("Dreaming", True), ("Dozing", False), ("Asleep", False), ("3", None)],
)
def test_the_screen_follows_the_wakefulness(wakefulness, is_on):
    assert state_of({"power": POWER.format(wakefulness=wakefulness)}).is_screen_on is is_on


@pytest.mark.parametrize("text", [THERMAL_11, THERMAL_14])
def test_the_thermal_service_tells_where_the_kernel_shows_no_zones(text):
    """Cached values are old, and zero, -99.9 and NaN stand for sensors that are not there."""
    found = state_of({"thermal": text.format(status=3)})
    assert found.thermal_status == 3
    assert found.temperatures_c == {"AP": 44.8, "SKIN": 38.0}
    assert state_of({"thermal": text.format(status=7)}).thermal_status is None


@pytest.mark.parametrize("text", ["", "null\n", NO_THERMAL, "Can't find service: power\n"])
def test_what_is_not_told_is_not_known(text):
    assert state_of(dict.fromkeys(PHONE_14, text)) == PhoneState()
    assert PhoneState().to_json() == {}


def test_a_limit_is_about_the_battery_or_else_the_hottest_zone():
    zones = {"cpu": 71.0, "gpu": 55.0}
    assert PhoneState(battery_c=33.0, temperatures_c=zones).gated_c == 33.0
    assert PhoneState(temperatures_c=zones).gated_c == 71.0
    assert PhoneState().gated_c is None


def test_a_launch_is_told_what_its_flags_ask_for():
    """A hot start is one that the gate would have refused: see `latency.flagging`."""
    told = state_of(sections(printed(PHONE_14), TOKEN)).to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["temperatures_c"] == {"battery": 31.4}
    assert told["zones_c"] == {"cpu-0-0": 47.2, "battery": 31.2}
    assert (told["governors"], told["max_khz"]) == (["schedutil"], [1804800, 2841600])
    assert (told["thermal_status"], told["load_1min"], told["is_saving"]) == (1, 3.52, False)
    assert "khz" not in told
    board = PhoneState(temperatures_c={"cpu-thermal": 61.0}, thermal_status=0).to_json()
    assert board == {"temperatures_c": {"cpu-thermal": 61.0}, "thermal_status": 0}


def test_a_restart_is_noticed():
    before = PhoneState(boot_id="a", uptime_s=100.0)
    assert PhoneState(boot_id="b", uptime_s=200.0).has_restarted_since(before)
    assert not PhoneState(boot_id="a", uptime_s=1.0).has_restarted_since(before)
    assert PhoneState(uptime_s=99.0).has_restarted_since(before)
    assert not PhoneState(uptime_s=101.0).has_restarted_since(before)
    assert not PhoneState().has_restarted_since(before)


LINES = st.sampled_from(
    [
        *"".join(PHONE_14.values()).splitlines(),
        f"{TOKEN[:-1]}e zones",
        f"{TOKEN[::-1]} zones",
        f"{TOKEN}  zones",
        f" {TOKEN} zones",
        "9" * 5000 + " cpu",
        "9" * 5000 + " 1 1 x",
        "  level: ٣",
        "  level: " + "9" * 5000,
        "\0",
        "\r",
        "1e999 2",
        "-1 \x1b[2J",
        "99999\u2028cpu",
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(LINES, max_size=12).map("\n".join))


@given(told=st.dictionaries(st.sampled_from(sorted(PHONE_14)), TEXTS), is_crlf=st.booleans())
def test_whatever_it_prints_gives_a_state_within_bounds(told, is_crlf):
    text = printed(told).replace("\n", "\r\n") if is_crlf else printed(told)
    found = state_of(sections(text, TOKEN))
    assert found.battery_pct is None or 0 <= found.battery_pct <= 100
    assert found.thermal_status in (None, *range(7))
    assert all(-40 <= value <= 150 for value in found.temperatures_c.values())
    assert len(found.temperatures_c) <= 128
    json.dumps(found.to_json(), allow_nan=False)


@given(
    told=st.dictionaries(st.sampled_from(sorted(PHONE_14)), TEXTS),
    name=st.sampled_from(sorted(PHONE_14)),
)
@example(told={"airplane": "\r"}, name="battery")
def test_no_section_is_another(told, name):
    """What one section prints decides that one alone."""
    others = {**told, name: ""}
    found, alone = sections(printed(told), TOKEN), sections(printed(others), TOKEN)
    assert {k: v for k, v in found.items() if k != name} == {
        k: v for k, v in alone.items() if k != name
    }


def test_zones_are_bounded_in_number_and_name():
    many = "".join(f"{30_000 + i} zone-{i}-{'x' * 500}\n" for i in range(100_000))
    found = state_of({"zones": many}).temperatures_c
    assert len(found) == 128
    assert max(map(len, found)) == 64
