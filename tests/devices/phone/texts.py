"""What phones print, written after the sources of Android 8, 11 and 14 and what people posted."""

from __future__ import annotations

from pathlib import Path

TOKEN = "0123456789abcdef" * 2

# BatteryService.java: Android 12 added the dock, Android 14 the last two lines.
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: {is_plugged}
  Wireless powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 3270000
  status: {status}
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4352
  temperature: {tenths}
  technology: Li-ion
"""
BATTERY_14 = (
    BATTERY.replace("  Max charging c", "  Dock powered: false\n  Max charging c")
    + """\
  Charging state: 0
  Charging policy: 0
  Capacity level: -1
[EventLogBuffer]
08-11 18:34:14.721  Sending ACTION_BATTERY_CHANGED: level:72, temperature:345
"""
)

POWER = """  mWakefulness={wakefulness}
  mWakefulnessChanging=false
"""

NO_THERMAL = "Can't find service: thermalservice\n"
THERMAL_11 = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
\tkilled: false
\tbroadcasts count: -1
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=99.9, mType=0, mName=AP, mStatus=0}}
HAL Ready: true
HAL connection:
\tThermalHAL 2.0 connected: yes
Current temperatures from HAL:
\tTemperature{{mValue=44.8, mType=0, mName=AP, mStatus=0}}
\tTemperature{{mValue=38.0, mType=3, mName=SKIN, mStatus=1}}
\tTemperature{{mValue=0.0, mType=4, mName=USB, mStatus=0}}
\tTemperature{{mValue=-99.9, mType=5, mName=PA, mStatus=0}}
\tTemperature{{mValue=NaN, mType=1, mName=GPU, mStatus=0}}
Current cooling devices from HAL:
\tCoolingDevice{{mValue=3, mType=2, mName=CPU}}
Temperature static thresholds from HAL:
\tTemperatureThreshold{{mType=0, mName=AP, mHotThrottlingThresholds=[NaN, 95.0], mVrThrottlingThreshold=NaN}}
"""  # noqa: E501
THERMAL_14 = THERMAL_11.replace("ThermalHAL 2.0 connected", "ThermalHAL AIDL 1  connected")

ZONES = """46800 cpu-0-0
47200 cpu-0-0
31200 battery
0 pmic-glink
87 soc
-273000 xo-therm
4294967 vbat
"""
CLOCKS = """0 576000 1804800 schedutil
10 - - -
4 710400 2841600 schedutil
"""


def printed(told: dict[str, str], token: str = TOKEN) -> str:
    """The output of a device that tells `told`."""
    return "".join(f"\n{token} {name}\n{text}" for name, text in told.items())


PHONE_14 = {
    "battery": BATTERY_14.format(is_plugged="true", status=2, level=72, tenths=314),
    "power": POWER.format(wakefulness="Awake"),
    "airplane": "1\n",
    "saver": "0\n",
    "thermal": THERMAL_14.format(status=1),
    "zones": ZONES,
    "clocks": CLOCKS,
    "load": "3.52 2.99 2.50 2/2931 14411\n",
    "uptime": "43384.53 33226.59\n",
    "boot": "77e957f6-50bc-4ddb-9eee-4b5ab0626342\n",
}
"""A phone of Android 14 that charges."""

PROGRAMS = {
    "dumpsys": f"""case $1 in
battery) cat <<'E'
{BATTERY.format(is_plugged="true", status=2, level=64, tenths=312)}E
;;
power) printf 'POWER MANAGER (dumpsys power)\\n\\nPower Manager State:\\n  mDirty=0x0\\n'
cat <<'E'
{POWER.format(wakefulness="Asleep")}E
;;
thermalservice) cat <<'E'
{THERMAL_14.format(status=2)}E
;;
esac""",
    "settings": 'case $3 in airplane_mode_on) echo 0 ;; low_power) echo 1 ;; esac',
    "getprop": 'echo "the $1"',
}  # fmt: skip
"""What a phone of Android 14 has on its path."""


def write_programs(folder: Path) -> Path:
    """`PROGRAMS` as files of `folder`."""
    folder.mkdir(exist_ok=True)
    for name, text in PROGRAMS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def write_cool_programs(folder: Path) -> Path:
    """Likewise, of a phone that holds nothing back, and is not charged."""
    write_programs(folder)
    dumpsys = folder / "dumpsys"
    text = dumpsys.read_text()
    text = text.replace("Thermal Status: 2", "Thermal Status: 0").replace("status: 2", "status: 3")
    dumpsys.write_text(text)
    settings = folder / "settings"
    settings.write_text(settings.read_text().replace("low_power) echo 1", "low_power) echo 0"))
    return folder
