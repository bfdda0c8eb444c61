"""What there is on this machine, and what keeps the rest from running."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.artefact import elat_home
from ..core.errors import ElatError
from ..devices.device import Device, DeviceKind
from ..devices.programs import program_file
from ..devices.set_aside import set_aside
from ..latency.condition import runtime_section
from ..latency.models.folder import devices_with_models, newest_model, read_model
from ..latency.operators import Operator
from ..latency.runtimes import runtimes
from ..search.spaces import SearchSpace, find_space

if TYPE_CHECKING:
    from ..devices.catalogue import KnownMachine
    from ..devices.checks.check import Check

_CLEARED = "Repair what fails above, then measure: the first campaign that ends well clears this."


def describe_device(device: Device) -> dict[str, Any]:
    """The card of `device`, the reason why it cannot run here, and what set it aside, or None."""
    section, aside = runtime_section(device), set_aside(device.id)
    return {
        "id": device.id,
        "kind": str(device.kind),
        "description": device.description,
        "runtime": section.name,
        "precision": str(section.precision),
        "batch": section.batch,
        "threads": section.threads,
        "method": str(section.method),
        "reason": _reason(device, section.name),
        "set_aside": None if aside is None else asdict(aside),
    }


def _reason(device: Device, runtime: str) -> str | None:
    """Why `device` cannot be measured; boards and phones are not asked."""
    if runtimes[runtime].is_driven_from_here:
        return device.elsewhere_reason or _program_reason(device)
    if device.kind is DeviceKind.SSH:
        return None
    return device.elsewhere_reason or runtimes[runtime]().unavailable_reason()


def _program_reason(device: Device) -> str | None:
    """What is wrong with the program that the card names; None where nothing is."""
    try:
        program_file(device)
    except ElatError as error:
        return str(error)
    return None


def describe_machine(machine: KnownMachine) -> dict[str, Any]:
    """What the catalogue says of `machine`, as a JSON object."""
    return {
        "id": machine.id,
        "name": machine.name,
        "kind": str(machine.kind),
        "chip": machine.chip,
        "sections": list(machine.sections),
        "verified": str(machine.verified),
        "note": machine.note,
        "facts": [fact.model_dump(mode="json") for fact in machine.facts],
    }


def examine_device(device: Device) -> list[Check]:
    """Every check of `elat doctor`: of the runtime first, then of the machine; and any note."""
    from ..devices.checks.check import warned

    checks = _checks(device)
    if (aside := set_aside(device.id)) is not None:
        checks.append(warned("set aside", str(aside), _CLEARED))
    return checks


def _checks(device: Device) -> list[Check]:
    from ..devices.doctor import examine
    from ..latency.examination import runtime_checks

    if runtimes[runtime_section(device).name].is_driven_from_here:
        from ..latency.benchmark_model.doctor import examine_program

        return examine_program(device)
    if device.kind is DeviceKind.SSH:
        if runtimes[runtime_section(device).name].is_driven_on(device):
            from ..latency.tensorrt.trtexec.doctor import examine_far

            return examine_far(device)
        from ..latency.remote.doctor import examine_board

        return examine_board(device)
    is_here = device.kind is not DeviceKind.ANDROID_ADB
    return examine(device, extra_checks=runtime_checks(device) if is_here else ())


def describe_runtimes() -> list[dict[str, Any]]:
    """Every runtime with its version, or the reason why it is not available."""
    rows = []
    for name in runtimes:
        runtime = runtimes[name]()
        reason = runtime.unavailable_reason()
        version = None if reason else runtime.version()
        rows.append({"name": name, "version": version, "reason": reason})
    return rows


def describe_space(name_or_path: str) -> dict[str, Any]:
    """Counts of a space, and how fast and slow it is where that is known; nothing is measured.

    `architectures` is an exact integer. `latency_ms` has a key for every device with a latency
    model of the space in `ELAT_HOME`; it is left out where there is none.
    """
    space = find_space(name_or_path)
    described = {
        "name": space.name,
        "architectures": space.size,
        "blocks": len(space.options),
        "operators": len(space.all_operators()),
        "macs": _counted(space, lambda operator: operator.macs),
        "parameters": _counted(space, lambda operator: operator.params),
    }
    home = elat_home()
    devices = devices_with_models(home, space.name)
    if devices:
        described["latency_ms"] = {device: _latency(home, device, space) for device in devices}
    return described


def _span(space: SearchSpace, cost: Callable[[Operator], float]) -> tuple[float, float]:
    """Least and greatest sum of a cost over the rows of a network; of integers, exactly."""
    fixed = [cost(operator) for operator in space.fixed]
    rows = [[cost(operator) for operator in row if operator is not None] for row in space.rows]
    return sum([*fixed, *map(min, rows)]), sum([*fixed, *map(max, rows)])


def _counted(space: SearchSpace, cost: Callable[[Operator], int]) -> dict[str, int]:
    least, greatest = _span(space, cost)
    return {"min": int(least), "max": int(greatest)}


def _latency(home: Path, device: str, space: SearchSpace) -> dict[str, Any]:
    """Latency of the fastest and the slowest network by the newest model, or why it has none."""
    folder = newest_model(home, device, space.name)
    if folder is None:
        return {"reason": "its latency model has just been removed"}
    try:
        loaded = read_model(folder)
        operators = space.all_operators()
        known = dict(
            zip(operators, loaded.network.additive_costs(operators).tolist(), strict=True)
        )
    except ElatError as error:
        return {"reason": str(error)}
    fastest, slowest = _span(space, lambda o: 0.0 if o.is_free else known[o])
    return {
        "fastest": loaded.network.intercept_ms + fastest,
        "slowest": loaded.network.intercept_ms + slowest,
        "model": loaded.name,
        "origin": loaded.origin,
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
