"""The shell programs that ask a phone, and their answers taken apart.

They never change: data reaches them as arguments. They keep to what dash, BusyBox and Android's
mksh and toybox have in common, and what a device lacks leaves its section empty.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from ...core.errors import TransportError
from ..transports import Transport

Sections = Mapping[str, str]
"""What the device printed, by the name of its section; empty where it does not tell."""

_ASK_S = 40.0  # dumpsys itself gives a service up after ten seconds

_BEGIN = r"""
token=$1 root=$2
exec </dev/null 2>/dev/null
tell() { printf '\n%s %s\n' "$token" "$1"; }
"""
STATE = r"""
tell battery
dumpsys battery | head -n 400
tell power
dumpsys power | grep mWakefulness= | head -n 20
tell airplane
settings get global airplane_mode_on
tell saver
settings get global low_power
tell thermal
dumpsys thermalservice | head -n 400
tell zones
for zone in "$root"/sys/class/thermal/thermal_zone*; do
    read -r kind <"$zone/type" && read -r value <"$zone/temp" &&
        printf '%s %s\n' "$value" "$kind"
done
tell clocks
for cpu in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    now= most= governor=
    read -r now <"$cpu/cpufreq/scaling_cur_freq"
    read -r most <"$cpu/cpufreq/scaling_max_freq"
    read -r governor <"$cpu/cpufreq/scaling_governor"
    printf '%s %s %s %s\n' "${cpu##*/cpu}" "${now:--}" "${most:--}" "${governor:--}"
done
tell load
cat "$root/proc/loadavg"
tell uptime
cat "$root/proc/uptime"
tell boot
cat "$root/proc/sys/kernel/random/boot_id"
"""
IDENTITY = r"""
for name in ro.product.model ro.product.manufacturer ro.build.version.release \
    ro.build.version.sdk ro.build.fingerprint ro.soc.model ro.board.platform ro.hardware \
    ro.product.cpu.abi
do
    tell "$name"
    getprop "$name"
done
tell board
cat "$root/proc/device-tree/model"
tell kernel
uname -r
tell machine
uname -m
tell release
cat "$root/etc/os-release" | head -n 100
tell cpus
for cpu in "$root"/sys/devices/system/cpu/cpu[0-9]*; do
    most=
    read -r most <"$cpu/cpufreq/cpuinfo_max_freq"
    printf '%s %s\n' "${cpu##*/cpu}" "${most:--}"
done
tell memory
head -n 100 "$root/proc/meminfo"
"""


def ask(transport: Transport, program: str, root: str = "") -> Sections:
    """What the device answers to `program`, in one round trip.

    Args:
        transport: The way to the device.
        program: `STATE`, `IDENTITY`, or one after the other.
        root: Folder there that holds `proc`, `sys` and `etc`; another one serves tests.

    Raises:
        UnavailableError: It does not answer.
    """
    token = secrets.token_hex(16)
    words = ["sh", "-c", f"{_BEGIN}{program}\nexit 0", "elat", token, root]
    ended = transport.run(words, _ASK_S).checked()
    if ended.dropped_bytes:
        raise TransportError(
            f"{transport.name} printed {ended.dropped_bytes} bytes too many when it was asked how "
            "it stands; restart it, then ask again: elat doctor"
        )
    return sections(ended.text, token)


def sections(text: str, token: str) -> Sections:
    """The parts of `text`, each headed by a line of the secret `token` and its name."""
    parts = re.split(rf"(?:^|\r?\n){token} ([\w.]+)\r?\n", text)
    found: dict[str, str] = {}
    for name, part in zip(parts[1::2], parts[2::2], strict=True):
        # The last line's end is the next header's, but for what a terminal made of it.
        found.setdefault(name, part.replace("\r\n", "\n").rstrip("\r"))
    return found
