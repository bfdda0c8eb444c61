"""What there is on this machine, and what keeps the rest from running."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from ..devices.device import Device
from ..latency.condition import runtime_section
from ..latency.runtimes import runtimes
from ..search.spaces import find_space

if TYPE_CHECKING:
    from ..devices.doctor import Check


def describe_device(device: Device) -> dict[str, Any]:
    """The card of `device`, and the reason why it cannot run here, or None."""
    section = runtime_section(device)
    return {
        "id": device.id,
        "kind": str(device.kind),
        "description": device.description,
        "runtime": section.name,
        "precision": str(section.precision),
        "batch": section.batch,
        "threads": section.threads,
        "method": str(section.method),
        "reason": runtimes[section.name]().unavailable_reason(),
    }


def examine_device(device: Device) -> list[Check]:
    """Every check of `elat doctor`: the runtime's availability first, then the machine's state."""
    from ..devices.doctor import Check, examine

    section = runtime_section(device)
    runtime = runtimes[section.name]()
    reason = runtime.unavailable_reason()
    if reason:
        check = Check(f"runtime {section.name}", "fail", reason, reason)
    else:
        check = Check(f"runtime {section.name}", "pass", runtime.version(), "")
    return examine(device, extra_checks=(check,))


def describe_runtimes() -> list[dict[str, Any]]:
    """Every runtime with its version, or the reason why it is not available."""
    rows = []
    for name in runtimes:
        runtime = runtimes[name]()
        reason = runtime.unavailable_reason()
        version = None if reason else runtime.version()
        rows.append({"name": name, "version": version, "reason": reason})
    return rows


def describe_space(name: str) -> dict[str, Any]:
    """Counts of the space `name`: architectures (an exact integer), blocks, operators, MACs."""
    from ..search.expected_latency import ExpectedLatency

    space = find_space(name)
    macs = ExpectedLatency.from_macs(space)
    return {
        "name": space.name,
        "architectures": space.size,
        "blocks": len(space.blocks),
        "operators": len(space.all_operators()),
        "macs": {"min": round(macs.of(macs.fastest())), "max": round(macs.of(macs.slowest()))},
    }


def describe_models() -> list[dict[str, str]]:
    """Every latency model with the first line of its docstring."""
    from ..latency.models import latency_models

    return [_summary(name, latency_models[name]) for name in latency_models]


def describe_strategies() -> list[dict[str, str]]:
    """Every search strategy with the first line of its docstring."""
    from ..search.strategies import strategies

    return [_summary(name, strategies[name]) for name in strategies]


def _summary(name: str, kind: type) -> dict[str, str]:
    return {"name": name, "summary": (inspect.getdoc(kind) or "").splitlines()[0]}
