"""What makes a core's speed change: governor, turbo, limits, heat."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..device import Device
from ..files import read_integer
from ..knobs import policies, turbo_knob
from ..watch import Watch
from .check import Check, at_most, passed, unknown, warned


def clock_speed_checks(
    device: Device, found: Mapping[str, Any], watched: Watch, root: Path
) -> Iterator[Check]:
    """Governor, turbo, frequency limits and heat of the CPUs that `device` measures on.

    Args:
        device: Its affinity says which CPUs, its `turbo` what is wanted.
        found: The state, as `devices.state.state` tells it.
        watched: What happened during the watch.
        root: Folder that holds `sys`.
    """
    yield _governor(device, root)
    yield _turbo(device, root)
    yield _limits(device, root)
    yield at_most(
        "temperature",
        max(found.get("temperatures_c", {}).values(), default=None),
        device.gates.temperature_max_c,
        " degrees Celsius",
        "Let it cool down first.",
    )
    yield _throttling(watched)


def _governor(device: Device, root: Path) -> Check:
    governors = sorted({policy.governor for policy in policies(root, device.affinity)} - {""})
    if not governors:
        return unknown("governor")
    text = ", ".join(governors)
    if governors == ["performance"]:
        return passed("governor", text)
    repair = "Measure with --tune, or: sudo cpupower frequency-set --governor performance"
    return warned("governor", f"{text}: clocks follow the load", repair)


def _turbo(device: Device, root: Path) -> Check:
    knob = turbo_knob(root)
    if knob is None:
        return unknown("turbo")
    is_on = knob.is_on()
    if is_on is None:
        return unknown("turbo")
    text = f"{'on' if is_on else 'off'} ({knob.file})"
    if device.turbo is None:
        return passed("turbo", f"{text}; the card does not mind")
    if device.turbo == is_on:
        return passed("turbo", f"{text}, as the card asks")
    repair = f"Measure with --tune, or: echo {knob.value(device.turbo)} | sudo tee /{knob.file}"
    return warned("turbo", f"{text}, which the card does not want", repair)


def _limits(device: Device, root: Path) -> Check:
    """Whether someone set a lower top speed than the hardware has."""
    name = "frequency limit"
    read = [
        (policy.folder.name, read_integer(policy.folder / "scaling_max_freq"),
         read_integer(policy.folder / "cpuinfo_max_freq"))
        for policy in policies(root, device.affinity)
    ]  # fmt: skip
    told = [(policy, top, most) for policy, top, most in read if top and most]
    if not told:
        return unknown(name)
    low = [(policy, top, most) for policy, top, most in told if top < most]
    if not low:
        return passed(name, f"none: up to {max(most for _, _, most in told) / 1e6:.2f} GHz")
    policy, top, most = low[0]
    return warned(
        name,
        f"{policy}: {top / 1e6:.2f} of {most / 1e6:.2f} GHz",
        f"sudo cpupower frequency-set --max {most}kHz",
    )


def _throttling(watched: Watch) -> Check:
    name = "heat throttling"
    before, after = watched.before.throttles, watched.after.throttles
    if before is None or after is None:
        return unknown(name)
    grown = after - before
    if grown <= 0:
        return passed(name, f"none in {watched.seconds:.1f} s, {after} times since the start")
    return warned(
        name,
        f"{grown} times in {watched.seconds:.1f} s, {after} since the start",
        "Let it cool down, clean its fans, or measure at a lower clock: "
        "sudo cpupower frequency-set --max 2GHz",
    )
