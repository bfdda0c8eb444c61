"""What was measured of the whole network of an architecture, as certificates state it."""

from __future__ import annotations

from ..core.errors import MeasurementError
from ..latency.measurement import Measurement
from ..search.architecture import Architecture
from ..search.result import MeasuredLatency
from ..search.spaces import SearchSpace
from .measuring import Campaign

LEVEL = 0.95


def measured_latency(
    campaign: Campaign, space: SearchSpace, architecture: Architecture
) -> MeasuredLatency:
    """What the store says of the whole network of `architecture` on the campaign's device.

    Raises:
        MeasurementError: The device gave no usable answer for it.
    """
    condition = campaign.condition.of_models
    found: Measurement | None = campaign.store.measurement(space.network(architecture), condition)
    if found is None:
        raise MeasurementError(
            f"{campaign.device.id} gave no measurement of the network "
            f"{space.text(architecture)}; look at it with: elat doctor {campaign.device.id}"
        )
    low_ms, high_ms = found.interval(LEVEL)
    return MeasuredLatency(
        device=campaign.device.id,
        condition=condition.to_json(),
        latency_ms=found.latency_ms,
        low_ms=low_ms,
        high_ms=high_ms,
        level=LEVEL,
        launches=found.count,
        flags=tuple(map(str, found.flags)),
        origin=found.origin,
    )
