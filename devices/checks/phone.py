"""What makes a phone's latencies move, by what it tells of itself in one round trip."""

from __future__ import annotations

from collections.abc import Iterator

from ...core.errors import UnavailableError
from ..device import Device, Gates
from ..phone import PhoneState, examine_phone
from ..phone.readiness import THERMAL_STATUS
from ..reach import transport_to
from .check import Check, at_most, failed, passed, unknown, warned


def phone_checks(device: Device) -> Iterator[Check]:
    """Everything about the phone that the card of `device` names; nothing where it names none."""
    if device.serial is None:
        return
    phone = transport_to(device)
    try:
        identity, state = examine_phone(phone)
    except UnavailableError as error:
        yield failed("phone", str(error), str(error).rpartition(": ")[2])
        return
    yield passed("phone", identity.get("model", "no name"))
    yield from state_checks(state, device.gates, phone.prefix.removesuffix(" shell"))


def state_checks(state: PhoneState, gates: Gates, adb: str) -> Iterator[Check]:
    """Whether `state` is as the card's `gates` want it; `adb` is what people type to reach it.

    The temperature is the one that a run waits for (`PhoneState.gated_c`).
    """
    yield _battery(state.battery_pct, gates.battery_min_pct)
    is_of_battery = state.battery_c is not None or state.gated_c is None
    yield at_most(
        "battery temperature" if is_of_battery else "hottest part",
        state.gated_c,
        gates.temperature_max_c,
        " degrees Celsius",
        "Let it cool down first, off the charger.",
    )
    button = f"{adb} shell input keyevent KEYCODE_POWER"
    yield _switch("screen", state.is_screen_on, gates.screen, button)
    wanted = "enable" if gates.airplane else "disable"
    radio = f"{adb} shell cmd connectivity airplane-mode {wanted}"
    yield _switch("airplane mode", state.is_airplane, gates.airplane, radio)
    yield _saver(state.is_saving, adb)
    yield _heat(state.thermal_status)


def _battery(level_pct: float | None, least_pct: float | None) -> Check:
    if level_pct is None:
        return unknown("battery")
    text = f"{level_pct:.0f} %"
    if least_pct is None:
        return passed("battery", f"{text} (the card sets no limit)")
    if level_pct >= least_pct:
        return passed("battery", f"{text} (at least {least_pct:g})")
    repair = f"Charge it to {least_pct:g} % first: phones slow down on a low battery."
    return warned("battery", f"{text}, below the card's limit of {least_pct:g}", repair)


def _switch(name: str, is_on: bool | None, wanted: bool | None, repair: str) -> Check:
    if is_on is None:
        return unknown(name)
    text = "on" if is_on else "off"
    if wanted is None:
        return passed(name, f"{text}; the card does not mind")
    if is_on == wanted:
        return passed(name, f"{text}, as the card asks")
    return warned(name, f"{text}, which the card does not want", repair)


def _saver(is_on: bool | None, adb: str) -> Check:
    name = "battery saver"
    if is_on is None:
        return unknown(name)
    if not is_on:
        return passed(name, "off")
    return warned(name, "on: clocks are held down", f"{adb} shell settings put global low_power 0")


def _heat(status: int | None) -> Check:
    name = "thermal status"
    if status is None:
        return unknown(name)
    if status == 0:
        return passed(name, THERMAL_STATUS[0])
    found = f"{THERMAL_STATUS[status]}: clocks are held down"
    return warned(name, found, "Let it cool down first.")
