"""Where a run is put: affinity, hyper-threads, isolated CPUs, the quota of a container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..device import Device
from ..files import listed, read_cpus, read_text
from ..watch import Watch
from .check import Check, failed, passed, unknown, warned
from .load import named

_CPU = "sys/devices/system/cpu"
_RUNS = 0.05


def placement_checks(
    device: Device, found: Mapping[str, Any], watched: Watch, cores: int, root: Path
) -> Iterator[Check]:
    """Where `device` runs, and who shares it.

    Args:
        device: Its affinity says which CPUs it is pinned to.
        found: The state, as `devices.state.state` tells it.
        watched: What happened during the watch.
        cores: Number of CPUs.
        root: Folder that holds `sys`.
    """
    yield _affinity(device, found.get("affinity"))
    yield _smt(device, watched, root)
    yield _isolated(device, root)
    yield _quota(found.get("cgroup_cpus"), cores)
    yield _stops(watched)


def _affinity(device: Device, allowed: Sequence[int] | None) -> Check:
    name = "affinity"
    if allowed is None:
        return unknown(name, "this system cannot pin a process")
    if device.affinity is None:
        return passed(name, f"any of CPUs {listed(allowed)}")
    missing = sorted(set(device.affinity) - set(allowed))
    if missing:
        return failed(
            name,
            f"the card pins to CPUs {listed(device.affinity)}, allowed are {listed(allowed)}",
            f"Repair cpu.affinity in the card of {device.id}.",
        )
    return passed(name, f"pinned to CPUs {listed(device.affinity)}")


def _smt(device: Device, watched: Watch, root: Path) -> Check:
    """Whether somebody runs on the other half of a core that is measured on."""
    name = "hyper-threads"
    active = read_text(root / _CPU / "smt/active")
    if active is None:
        return unknown(name)
    if active != "1":
        return passed(name, "off, or the machine has none")
    if device.affinity is None:
        return passed(name, "on; the card pins to no CPU")
    groups = [
        read_cpus(root / _CPU / f"cpu{cpu}/topology/thread_siblings_list") or ()
        for cpu in device.affinity
    ]
    shared = [group for group in groups if len(set(group) & set(device.affinity)) > 1]
    if shared:
        return warned(
            name,
            f"the card pins to CPUs {listed(shared[0])}, which are one core",
            f"Name one CPU a core under cpu.affinity in the card of {device.id}.",
        )
    siblings = {cpu for group in groups for cpu in group} - set(device.affinity)
    others = [busy for busy in watched.busy(_RUNS) if busy.cpu in siblings]
    if not others:
        return passed(name, f"on; nobody ran on CPUs {listed(sorted(siblings))} beside it")
    return warned(
        name,
        f"shares a core with {named(others)} on CPUs {listed(sorted(siblings))}",
        f"echo off | sudo tee /{_CPU}/smt/control",
    )


def _isolated(device: Device, root: Path) -> Check:
    """Whether CPUs that the kernel keeps free of others are used."""
    name = "isolated CPUs"
    isolated = read_cpus(root / _CPU / "isolated")
    if isolated is None:
        return unknown(name)
    if not isolated:
        return passed(name, "none")
    if device.affinity is not None and set(device.affinity) <= set(isolated):
        return passed(name, f"{listed(isolated)}, and the card pins to them")
    pinned = "any CPU" if device.affinity is None else f"CPUs {listed(device.affinity)}"
    return warned(
        name,
        f"{listed(isolated)}, but the card pins to {pinned}",
        f"Put cpu: {{affinity: [{isolated[0]}]}} into the card of {device.id}.",
    )


def _quota(quota: float | None, cores: int) -> Check:
    name = "CPU quota"
    if quota is None:
        return passed(name, "none")
    text = f"{quota:g} of {cores} CPUs"
    if quota >= 1:
        return passed(name, text)
    repair = "Give the container a whole CPU: docker run --cpus 1 or more."
    return warned(name, f"{text}: runs are stopped in their midst", repair)


def _stops(watched: Watch) -> Check:
    """Whether the quota stopped this process's group during the watch."""
    name = "quota stops"
    before, after = watched.before.stops, watched.after.stops
    if before is None or after is None:
        return unknown(name)
    if after <= before:
        return passed(name, f"none in {watched.seconds:.1f} s, {after} since the group began")
    return warned(
        name,
        f"{after - before} in {watched.seconds:.1f} s, {after} since the group began",
        "Give the container more CPU: docker run --cpus 2 or more.",
    )
