"""What keeps a machine from giving steady latencies, and how to repair it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .device import Device, DeviceKind
from .state import cpu_ticks, fingerprint, state, steal_pct

Status = Literal["pass", "warn", "fail"]

_MIN_MEMORY_BYTES = 1 << 30
_MAX_RESOLUTION_NS = 1000.0
_MAX_CLOCK_CALL_NS = 2000.0


@dataclass(frozen=True)
class Check:
    """One thing looked at: what was found, and what to do unless it passed.

    `warn` means that measuring works and is less steady, `fail` that it does not work.
    """

    name: str
    status: Status
    found: str
    repair: str


def examine(
    device: Device,
    extra_checks: Sequence[Check] = (),
    *,
    root: Path = Path("/"),
    interval_s: float = 0.5,
) -> list[Check]:
    """Every check of `device` in its state of the moment, after `extra_checks`.

    Args:
        device: Its gates and affinity decide what passes.
        extra_checks: What the caller found out by itself, such as whether the runtime is there.
        root: Folder that holds `proc` and `sys`; another one serves tests.
        interval_s: How long to watch for time that the hypervisor withholds.
    """
    if device.kind is DeviceKind.SIMULATED:
        simulated = Check("device", "pass", "simulated: nothing of this machine matters", "")
        return [*extra_checks, simulated]
    before = cpu_ticks(root)
    time.sleep(interval_s)
    steal = steal_pct(before, cpu_ticks(root))
    return [*extra_checks, *_checks(device, state(root), steal, fingerprint(root))]


def _checks(
    device: Device, found: dict[str, Any], steal: float | None, identity: dict[str, Any]
) -> Iterator[Check]:
    gates = device.gates
    cores = os.cpu_count() or 1
    load = found.get("load_1min")
    yield _gate(
        "load",
        None if load is None else load / cores,
        gates.load_per_core_max,
        " per core",
        "End what else runs here (see: top), or measure with --protocol standard.",
    )
    yield _gate(
        "CPU pressure",
        found.get("psi_cpu_some_avg10"),
        gates.psi_some_avg10_max,
        " % of the last 10 s some task waited for a CPU",
        "End what else runs here (see: top).",
    )
    yield _gate(
        "steal",
        steal,
        gates.steal_max_pct,
        " % of CPU time withheld by the hypervisor",
        "Measure at a quieter time, or on a machine whose cores are not shared.",
    )
    temperatures = found.get("temperatures_c", {})
    yield _gate(
        "temperature",
        max(temperatures.values(), default=None),
        gates.temperature_max_c,
        " degrees Celsius",
        "Let it cool down first.",
    )
    yield _governor(found)
    yield _affinity(device, found)
    yield _quota(found, cores)
    yield _clock(found)
    yield _memory(found)
    yield _identity(identity)


def _gate(name: str, value: float | None, limit: float | None, unit: str, repair: str) -> Check:
    """Compares a reading with the card's limit; a reading that is not there cannot fail."""
    if value is None:
        return Check(name, "pass", "this machine does not tell", "")
    text = f"{value:.2f}{unit}"
    if limit is None:
        return Check(name, "pass", f"{text} (the card sets no limit)", "")
    if value <= limit:
        return Check(name, "pass", f"{text} (limit {limit:g})", "")
    return Check(name, "warn", f"{text}, above the card's limit of {limit:g}", repair)


def _governor(found: dict[str, Any]) -> Check:
    governors = found.get("governors", [])
    if not governors:
        return Check("governor", "pass", "this machine does not tell", "")
    text = ", ".join(governors)
    if governors == ["performance"]:
        return Check("governor", "pass", text, "")
    repair = "For steadier clocks: sudo cpupower frequency-set --governor performance"
    return Check("governor", "warn", f"{text}: clocks follow the load", repair)


def _affinity(device: Device, found: dict[str, Any]) -> Check:
    allowed = found.get("affinity")
    if allowed is None:
        return Check("affinity", "pass", "this system cannot pin a process", "")
    if device.affinity is None:
        return Check("affinity", "pass", f"any of CPUs {_listed(allowed)}", "")
    missing = sorted(set(device.affinity) - set(allowed))
    if missing:
        return Check(
            "affinity",
            "fail",
            f"the card pins to CPUs {_listed(device.affinity)}, allowed are {_listed(allowed)}",
            f"Repair cpu.affinity in the card of {device.id}.",
        )
    return Check("affinity", "pass", f"pinned to CPUs {_listed(device.affinity)}", "")


def _quota(found: dict[str, Any], cores: int) -> Check:
    quota = found.get("cgroup_cpus")
    if quota is None:
        return Check("CPU quota", "pass", "none", "")
    text = f"{quota:g} of {cores} CPUs"
    if quota >= 1:
        return Check("CPU quota", "pass", text, "")
    repair = "Give the container a whole CPU: docker run --cpus 1 or more."
    return Check("CPU quota", "warn", f"{text}: runs are stopped in their midst", repair)


def _clock(found: dict[str, Any]) -> Check:
    resolution, call = found["clock_resolution_ns"], found["cpu_clock_call_ns"]
    text = f"resolution {resolution:.0f} ns, a reading of the thread clock {call:.0f} ns"
    if resolution <= _MAX_RESOLUTION_NS and call <= _MAX_CLOCK_CALL_NS:
        return Check("clock", "pass", text, "")
    repair = (
        "Choose a faster clock source, tsc if it is among those in "
        "/sys/devices/system/clocksource/clocksource0/available_clocksource."
    )
    return Check("clock", "warn", text, repair)


def _memory(found: dict[str, Any]) -> Check:
    available = found.get("memory_available_bytes")
    if available is None:
        return Check("memory", "pass", "this machine does not tell", "")
    text = f"{available / 2**30:.1f} GiB available"
    if available >= _MIN_MEMORY_BYTES:
        return Check("memory", "pass", text, "")
    return Check("memory", "warn", text, "End what else holds memory; 1 GiB is enough.")


def _identity(identity: dict[str, Any]) -> Check:
    cpu = identity.get("cpu", identity.get("machine", "unknown CPU"))
    place = "virtual machine" if identity.get("is_virtual") else identity.get("board", "machine")
    return Check("identity", "pass", f"{cpu}, {place}, kernel {identity.get('kernel', '?')}", "")


def _listed(cpus: Sequence[int]) -> str:
    return ", ".join(map(str, cpus))
