"""Whether a device's energy can be read, and what was read."""

from __future__ import annotations

import json
from dataclasses import dataclass

from ..core.errors import ConfigError
from ..devices.device import Device, card_there
from ..devices.energy.detect import open_meter
from ..latency.condition import Cache, Condition
from ..latency.energy import Energy, EnergyOrder, energy_of
from ..latency.operators import Operator
from ..latency.profiling.opening import is_on_board
from ..latency.store import MeasurementStore


@dataclass(frozen=True)
class Metering:
    """What `elat measure --energy` can do on a device.

    Attributes:
        order: What workers are asked to read; None where the machine exposes no energy.
        meter: Its name, or None.
    """

    order: EnergyOrder | None
    meter: str | None


def find_metering(device: Device) -> Metering:
    """The meter of `device`; a board is asked for its own.

    Raises:
        ConfigError: The card asks for cold caches: sweeping them would be counted, too.
        UnavailableError: The card's meter is not there, or this user cannot read it; or the board
            does not answer.
    """
    is_there = is_on_board(device)
    if not device.is_here and not is_there:
        return Metering(None, None)
    if Condition.of(device).cache is Cache.COLD:
        raise ConfigError(
            f"{device.id} measures with cold caches, and a meter would count the sweeping of "
            "caches, too; measure energy with cache: hot in the card."
        )
    name = _named_there(device) if is_there else _named_here(device)
    if name is None:
        return Metering(None, None)
    return Metering(EnergyOrder(power=device.power, gpu=device.gpu), name)


def _named_here(device: Device) -> str | None:
    with open_meter(device.power, device.gpu) as meter:
        return None if meter is None else meter.name


def _named_there(device: Device) -> str | None:
    from ..latency.remote.board import open_board

    with open_board(device) as board:
        told = board.ask("meter", json.dumps(card_there(device)))
        if told is None or isinstance(told, str):
            return told
        raise board.no_answer("meter", told)


def known_energies(store: MeasurementStore, device: Device) -> dict[Operator, Energy]:
    """The energy of every case of `device` that was metered: hosts where it measures in situ."""
    found = {
        m.operator: energy_of(m.launches)
        for m in store.measurements(Condition.of(device).of_models)
    }
    return {operator: energy for operator, energy in found.items() if energy is not None}
