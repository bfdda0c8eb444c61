"""`elat doctor` where trtexec is driven from here: the program there, then the device."""

from __future__ import annotations

import time
from collections.abc import Callable

from ....core.errors import ElatError
from ....devices.checks.check import Check, failed, passed
from ....devices.checks.phone import state_checks
from ....devices.device import Device
from ....devices.phone import examine_phone
from ....devices.reach import transport_to
from ...remote.conditions import known_condition
from .place import open_trtexec


def examine_far(device: Device, *, sleep: Callable[[float], None] = time.sleep) -> list[Check]:
    """Whether trtexec runs on the device; then the device's state.

    Args:
        device: Its card's runtime is trtexec, and it has no Python.
        sleep: Waits for seconds; tests give another one.
    """
    name = "trtexec"
    try:
        with open_trtexec(device, sleep=sleep):
            told = known_condition(device)
        transport = transport_to(device)
        try:
            identity, state = examine_phone(transport)
        finally:
            transport.close()
    except ElatError as error:
        return [failed(name, str(error), str(error).rpartition(": ")[2])]
    version = "" if told is None else told.runtime_version
    board = str(identity.get("model") or identity.get("board") or identity.get("kernel") or "")
    return [
        passed(name, f"{version} runs"),
        passed("board", board or "no name"),
        *state_checks(state, device.gates, transport.prefix),
    ]
