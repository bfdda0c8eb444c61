"""`elat doctor` of a board: the board examines itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from ...core.errors import MeasurementError, UnavailableError
from ...devices.checks.check import Check, failed, passed
from ...devices.device import Device, card_there
from .board import open_board


def examine_board(device: Device, *, sleep: Callable[[float], None] = time.sleep) -> list[Check]:
    """Every check that elat makes of the machine that it runs on, made there; the way there first.

    Args:
        device: Its card has a section `ssh`.
        sleep: Waits for seconds; tests give another one.
    """
    address = "" if device.ssh is None else device.ssh.address
    try:
        with open_board(device, sleep=sleep) as board:
            told = board.ask("doctor", json.dumps(card_there(device)))
            try:
                found = [Check(**check) for check in told]
            except TypeError as error:
                raise board.no_answer("doctor", told) from error
    except (UnavailableError, MeasurementError) as error:
        _, has_repair, repair = str(error).rpartition("with: ")
        return [failed("board", str(error), repair if has_repair else f"ssh {address} true")]
    return [passed("board", f"answers as {address}"), *found]
