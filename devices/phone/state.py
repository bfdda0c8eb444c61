"""How a phone or board is at this moment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..transports import Transport
from .programs import STATE, Sections, ask

_MOST_ZONES, _MOST_CPUS, _LONGEST_NAME = 128, 1024, 64
_COLDEST_C, _HOTTEST_C = -40.0, 150.0
_SEVEREST = 6  # THERMAL_STATUS_SHUTDOWN of android.os.PowerManager

# BatteryManager.BATTERY_STATUS_*: charging, discharging, not charging, full; 1 is unknown.
_IS_CHARGING = {2: True, 3: False, 4: False, 5: False}
_IS_SCREEN_ON = {"Awake": True, "Dreaming": True, "Asleep": False, "Dozing": False}
_SWITCH = {"0": False, "1": True}


@dataclass(frozen=True)
class PhoneState:
    """What a phone, or a board, tells of itself; None or empty where it does not tell.

    Attributes:
        battery_pct: Charge of the battery, 0 to 100.
        battery_c: Its temperature in degrees Celsius.
        is_charging: Whether charge flows into it; false at full charge.
        is_screen_on: A dozing screen that shows the time counts as off.
        is_airplane: Whether the radios are off.
        is_saving: Whether the battery saver holds clocks down.
        thermal_status: How much is held back for heat: 0 (none) to 6 (shutdown), of
            `android.os.PowerManager`; Android 10 and later tell.
        temperatures_c: Thermal zones by type, the hottest of each; the sensors of Android's
            thermal service where the kernel shows no zones.
        clocks_mhz: Clock of each CPU that is on, as found: mostly idle, since nothing is measured.
        limits_mhz: The clock that each may go up to now.
        governors: Names of the CPUs' governors, each once.
        load1: Mean number of tasks that ran or waited in the last minute.
        boot_id: Random name of this start of the system.
        uptime_s: Seconds since that start.
    """

    battery_pct: float | None = None
    battery_c: float | None = None
    is_charging: bool | None = None
    is_screen_on: bool | None = None
    is_airplane: bool | None = None
    is_saving: bool | None = None
    thermal_status: int | None = None
    temperatures_c: Mapping[str, float] = field(default_factory=dict, hash=False)
    clocks_mhz: Mapping[int, float] = field(default_factory=dict, hash=False)
    limits_mhz: Mapping[int, float] = field(default_factory=dict, hash=False)
    governors: tuple[str, ...] = ()
    load1: float | None = None
    boot_id: str | None = None
    uptime_s: float | None = None

    @property
    def gated_c(self) -> float | None:
        """The temperature that a card's limit is about, in degrees Celsius.

        It is the battery's where there is one: the mass that heats up over minutes, and cools as
        slowly. A phone's processor is past 60 degrees within a second of work and back as soon;
        what that costs is told by `thermal_status`. Boards have no battery: their hottest zone.
        """
        if self.battery_c is not None:
            return self.battery_c
        return max(self.temperatures_c.values(), default=None)

    def has_restarted_since(self, earlier: PhoneState) -> bool:
        """Whether the system started anew after `earlier`, as far as both tell."""
        if self.boot_id is not None and earlier.boot_id is not None:
            return self.boot_id != earlier.boot_id
        if self.uptime_s is None or earlier.uptime_s is None:
            return False
        return self.uptime_s < earlier.uptime_s

    def to_json(self) -> dict[str, Any]:
        """The state of a launch, with the names of `devices.state.state` where it has the same.

        `temperatures_c` holds what a card's limit is about, and `zones_c` the rest. There is no
        `khz`: clocks between two measurements do not tell what they were in them.
        """
        has_battery = self.battery_c is not None
        found: dict[str, Any] = {
            "battery_pct": self.battery_pct,
            "is_charging": self.is_charging,
            "is_screen_on": self.is_screen_on,
            "is_airplane": self.is_airplane,
            "is_saving": self.is_saving,
            "thermal_status": self.thermal_status,
            "temperatures_c": {"battery": self.battery_c}
            if has_battery
            else dict(self.temperatures_c),
            "zones_c": dict(self.temperatures_c) if has_battery else {},
            "clocks_mhz": {str(cpu): mhz for cpu, mhz in self.clocks_mhz.items()},
            "max_khz": [round(1000 * mhz) for mhz in self.limits_mhz.values()],
            "governors": list(self.governors),
            "load_1min": self.load1,
            "boot_id": self.boot_id,
            "uptime_s": self.uptime_s,
        }
        return {name: value for name, value in found.items() if value not in (None, {}, [])}


def read_phone(transport: Transport, root: str = "") -> PhoneState:
    """The state of the device behind `transport`, in one round trip.

    Args:
        transport: The way to it. A board without Android's tools tells what Linux does.
        root: Folder there that holds `proc` and `sys`; another one serves tests.

    Raises:
        UnavailableError: It does not answer.
    """
    return state_of(ask(transport, STATE, root))


def state_of(told: Sections) -> PhoneState:
    """The state that the sections of `programs.STATE` tell; any text gives one."""
    clocks = list(_clocks(told.get("clocks", "")))
    thermal = told.get("thermal", "")
    return PhoneState(
        **_battery(told.get("battery", "")),
        is_screen_on=_is_screen_on(told.get("power", "")),
        is_airplane=_SWITCH.get(told.get("airplane", "").strip()),
        is_saving=_SWITCH.get(told.get("saver", "").strip()),
        thermal_status=_thermal_status(thermal),
        temperatures_c=_hottest(_zones(told.get("zones", ""))) or _hottest(_sensors(thermal)),
        clocks_mhz={cpu: now for cpu, now, _, _ in clocks if now is not None},
        limits_mhz={cpu: most for cpu, _, most, _ in clocks if most is not None},
        governors=tuple(sorted({governor for *_, governor in clocks if governor != "-"})),
        load1=_first_number(told.get("load", "")),
        boot_id=_boot_id(told.get("boot", "")),
        uptime_s=_first_number(told.get("uptime", "")),
    )


def _battery(text: str) -> dict[str, Any]:
    """Charge, temperature and charging, from `dumpsys battery` (AOSP BatteryService.java)."""
    if re.search(r"^ *present: false *$", text, re.MULTILINE):
        return {}
    tenths = _integer(text, "temperature")
    return {
        "battery_pct": _share_pct(_integer(text, "level"), _integer(text, "scale")),
        "battery_c": None if tenths is None else _plausible(tenths / 10),
        "is_charging": _IS_CHARGING.get(_integer(text, "status") or 0),
    }


def _share_pct(level: int | None, scale: int | None) -> float | None:
    if level is None or scale is None or not 0 <= level <= scale or scale == 0:
        return None
    return 100 * level / scale


def _is_screen_on(text: str) -> bool | None:
    """From `dumpsys power`: names of `android.os.PowerManagerInternal.wakefulnessToString`."""
    match = re.search(r"^ *mWakefulness=(\w+) *$", text, re.MULTILINE)
    return None if match is None else _IS_SCREEN_ON.get(match[1])


def _thermal_status(text: str) -> int | None:
    status = _integer(text, "Thermal Status")
    return status if status is not None and 0 <= status <= _SEVEREST else None


def _zones(text: str) -> Iterator[tuple[str, float]]:
    """Name and temperature of thermal zones, which the kernel tells in thousandths of degrees.

    A zone within a degree of zero is left out: it has no sensor, or tells in another unit.
    """
    for line in text.splitlines()[:_MOST_ZONES]:
        match = re.fullmatch(r"(-?[0-9]{1,9}) (.+)", line)
        if match and abs(int(match[1])) >= 1000:
            yield match[2], int(match[1]) / 1000


def _sensors(text: str) -> Iterator[tuple[str, float]]:
    """Name and temperature of the sensors in `dumpsys thermalservice` (AOSP Temperature.java)."""
    now = text.partition("Current temperatures from HAL:")[2].partition("Current cooling")[0]
    pattern = r"mValue=(-?[0-9]{1,6}(?:\.[0-9]{1,9})?), mType=-?[0-9]+, mName=([^,}\n]+)"
    for value, name in re.findall(pattern, now)[:_MOST_ZONES]:
        if float(value) != 0.0:
            yield name, float(value)


def _hottest(found: Iterator[tuple[str, float]]) -> dict[str, float]:
    """The highest plausible temperature of each name."""
    hottest: dict[str, float] = {}
    for name, celsius in found:
        if _plausible(celsius) is not None:
            key = name.strip()[:_LONGEST_NAME]
            hottest[key] = max(hottest.get(key, celsius), celsius)
    return hottest


def _plausible(celsius: float) -> float | None:
    return celsius if _COLDEST_C <= celsius <= _HOTTEST_C else None


def _clocks(text: str) -> Iterator[tuple[int, float | None, float | None, str]]:
    """Number, clock and limit in MHz, and governor of each CPU; None and `-` where not told."""
    for line in text.splitlines()[:_MOST_CPUS]:
        match = re.fullmatch(r"([0-9]{1,4}) ([0-9]{1,9}|-) ([0-9]{1,9}|-) ([\w-]{1,64})", line)
        if match:
            now, most = (None if khz == "-" else int(khz) / 1000 for khz in match.group(2, 3))
            yield int(match[1]), now, most, match[4]


def _first_number(text: str) -> float | None:
    match = re.match(r"[0-9]{1,12}(\.[0-9]{1,9})?(?=\s)", text)
    return None if match is None else float(match[0])


def _boot_id(text: str) -> str | None:
    match = re.fullmatch(r"[0-9a-f-]{36}", text.strip())
    return None if match is None else match[0]


def _integer(text: str, name: str) -> int | None:
    match = re.search(rf"^ *{name}: (-?[0-9]{{1,9}}) *$", text, re.MULTILINE)
    return None if match is None else int(match[1])
