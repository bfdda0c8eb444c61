"""`elat doctor` where benchmark_model measures: the program there, then the device."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...core.errors import ElatError
from ...devices.checks.check import Check, failed, passed
from ...devices.checks.phone import state_checks
from ...devices.device import Device, DeviceKind
from ...devices.doctor import examine
from ...devices.phone import examine_phone
from ...devices.reach import transport_to
from ..condition import Condition
from .place import held


def examine_program(device: Device, *, sleep: Callable[[float], None] = time.sleep) -> list[Check]:
    """Whether the program runs on the device as the card wants it; then the device's state.

    The program is brought there if it is not yet.

    Args:
        device: Its card's runtime is benchmark_model.
        sleep: Waits for seconds; tests give another one.
    """
    name = "program"
    try:
        version = Condition.of(device).runtime_version
        with held(device, sleep=sleep) as bench:
            found = passed(name, f"{version} runs, as {bench.program} in the work folder")
    except ElatError as error:
        _, has_repair, repair = str(error).rpartition("with: ")
        typed = f"{transport_to(device).prefix} true".strip()
        return [failed(name, str(error), repair if has_repair else typed)]
    if device.kind is not DeviceKind.SSH:
        return [found, *examine(device)]
    transport = transport_to(device)
    try:
        identity, state = examine_phone(transport)
    finally:
        transport.close()
    board = passed("board", str(identity.get("model") or identity.get("kernel") or "no name"))
    return [found, board, *state_checks(state, device.gates, transport.prefix)]
