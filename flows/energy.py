"""Whether a device's energy can be read, and what was read."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import ConfigError
from ..devices.device import Device
from ..devices.energy.detect import open_meter
from ..latency.condition import Cache, Condition
from ..latency.energy import Energy, EnergyOrder, energy_of
from ..latency.operators import Operator
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
    """The meter of `device`.

    Raises:
        ConfigError: The card asks for cold caches: sweeping them would be counted, too.
        UnavailableError: The card's meter is not here, or this user cannot read it.
    """
    if not device.is_here:
        return Metering(None, None)
    if Condition.of(device).cache is Cache.COLD:
        raise ConfigError(
            f"{device.id} measures with cold caches, and a meter would count the sweeping of "
            "caches, too; measure energy with cache: hot in the card."
        )
    with open_meter(device.power, device.gpu) as meter:
        if meter is None:
            return Metering(None, None)
        return Metering(EnergyOrder(power=device.power, gpu=device.gpu), meter.name)


def known_energies(store: MeasurementStore, device: Device) -> dict[Operator, Energy]:
    """The energy of every case of `device` that was metered: hosts where it measures in situ."""
    found = {
        m.operator: energy_of(m.launches)
        for m in store.measurements(Condition.of(device).of_models)
    }
    return {operator: energy for operator, energy in found.items() if energy is not None}
