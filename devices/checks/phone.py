"""What makes a phone's latencies move, from the texts that its own tools print.

Every check is a function of a text, so that a recorded one serves as well as a phone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ...core.errors import UnavailableError
from ..device import Device, Gates
from ..transports import Transport
from ..transports.adb import AdbLink
from .check import Check, at_most, failed, passed, unknown, warned

Ask = Callable[..., str]
"""What a command, given word by word, prints on the phone; raises UnavailableError otherwise."""

_ASK_S = 10.0
_THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


def phone_checks(device: Device) -> Iterator[Check]:
    """Everything about the phone that the card of `device` names; nothing where it names none."""
    if device.serial is None:
        return
    phone = Transport(AdbLink(device.serial))

    def ask(*command: str) -> str:
        return phone.run(command, _ASK_S).checked().text

    try:
        yield from checks_over(ask, phone.prefix.removesuffix(" shell"), device.gates)
    except UnavailableError as error:
        yield failed("phone", str(error), str(error).rpartition(": ")[2])


def checks_over(ask: Ask, adb: str, gates: Gates) -> Iterator[Check]:
    """Ask the phone by `ask`; `adb` is what people type to reach it.

    Raises:
        UnavailableError: It does not answer.
    """
    yield passed("phone", ask("getprop", "ro.product.model").strip() or "no name")
    yield from battery_checks(ask("dumpsys", "battery"), gates)
    yield screen_check(ask("dumpsys", "power"), gates, adb)
    airplane = ask("settings", "get", "global", "airplane_mode_on")
    yield airplane_check(airplane, gates, adb)
    yield saver_check(ask("settings", "get", "global", "low_power"), adb)
    yield thermal_check(ask("dumpsys", "thermalservice"))


def battery_checks(text: str, gates: Gates) -> Iterator[Check]:
    """Charge and temperature, from `dumpsys battery`."""
    level, scale = _integer(text, r"level"), _integer(text, r"scale")
    if level is None or not scale:
        yield unknown("battery")
    else:
        yield _battery(100 * level / scale, gates.battery_min_pct)
    tenths = _integer(text, "temperature")
    yield at_most(
        "battery temperature",
        None if tenths is None else tenths / 10,
        gates.temperature_max_c,
        " degrees Celsius",
        "Let it cool down first, off the charger.",
    )


def _battery(level_pct: float, least_pct: float | None) -> Check:
    text = f"{level_pct:.0f} %"
    if least_pct is None:
        return passed("battery", f"{text} (the card sets no limit)")
    if level_pct >= least_pct:
        return passed("battery", f"{text} (at least {least_pct:g})")
    repair = f"Charge it to {least_pct:g} % first: phones slow down on a low battery."
    return warned("battery", f"{text}, below the card's limit of {least_pct:g}", repair)


def screen_check(text: str, gates: Gates, adb: str) -> Check:
    """Whether the screen is as the card wants it, from `dumpsys power`."""
    match = re.search(r"^\s*mWakefulness=(\w+)", text, re.MULTILINE)
    is_on = None if match is None else match[1] == "Awake"
    return _switch("screen", is_on, gates.screen, f"{adb} shell input keyevent KEYCODE_POWER")


def airplane_check(text: str, gates: Gates, adb: str) -> Check:
    """Whether the radio is as the card wants it, from the setting `airplane_mode_on`."""
    is_on = {"0": False, "1": True}.get(text.strip())
    wanted = "enable" if gates.airplane else "disable"
    repair = f"{adb} shell cmd connectivity airplane-mode {wanted}"
    return _switch("airplane mode", is_on, gates.airplane, repair)


def _switch(name: str, is_on: bool | None, wanted: bool | None, repair: str) -> Check:
    if is_on is None:
        return unknown(name)
    text = "on" if is_on else "off"
    if wanted is None:
        return passed(name, f"{text}; the card does not mind")
    if is_on == wanted:
        return passed(name, f"{text}, as the card asks")
    return warned(name, f"{text}, which the card does not want", repair)


def saver_check(text: str, adb: str) -> Check:
    """Whether the phone saves its battery, from the setting `low_power`."""
    name, value = "battery saver", text.strip()
    if value == "0":
        return passed(name, "off")
    if value != "1":
        return unknown(name)
    return warned(name, "on: clocks are held down", f"{adb} shell settings put global low_power 0")


def thermal_check(text: str) -> Check:
    """How much the phone holds back for heat, from `dumpsys thermalservice`."""
    name = "thermal status"
    status = _integer(text, r"Thermal Status")
    if status is None or status >= len(_THERMAL):
        return unknown(name)
    if status == 0:
        return passed(name, _THERMAL[0])
    return warned(name, f"{_THERMAL[status]}: clocks are held down", "Let it cool down first.")


def _integer(text: str, name: str) -> int | None:
    match = re.search(rf"^\s*{name}: (-?\d+)\s*$", text, re.MULTILINE)
    return int(match[1]) if match else None
