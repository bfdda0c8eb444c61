"""A device on which trtexec measures, driven from here and held for one campaign."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ....core.config import parse
from ....devices.device import Device, card_of
from ...condition import Condition, runtime_section
from ...launcher import default_command
from ...place import Place
from ...remote.claim import Claimed, hold
from ...remote.conditions import note_condition
from .command import TrtexecOptions
from .work_folder import find_far_trtexec


@contextmanager
def open_trtexec(
    device: Device,
    condition: Condition | None = None,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Place]:
    """The device as a place that workers measure on, held for this process alone.

    Args:
        device: Its card says that there is no Python on it.
        condition: What a campaign took for its condition; checked if it is given.
        sleep: Waits for seconds.

    Raises:
        TransportError: It does not answer, or another process or machine measures on it.
        UnavailableError: There is no trtexec there, or one of a version that elat does not know.
        MeasurementError: Its condition is another one.
    """
    options = parse(TrtexecOptions, dict(runtime_section(device).options), "trtexec options")
    with hold(device, sleep) as held:
        tool = find_far_trtexec(held.transport, held.patience, options.path)
        note_condition(device, Condition.of_version(device, str(tool)), condition)
        words = (*default_command("tensorrt.trtexec.far_worker"), json.dumps(card_of(device)))
        yield Claimed(words, held.claim)
