"""Whole networks measured against the sum of their operators."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..core.seeding import torch_generator
from ..latency.measure import Progress
from ..latency.measurement import Measurement
from ..latency.models.folder import LoadedModel, write_calibration
from ..latency.network import NetworkLatency
from ..latency.network import calibrate as fit_calibration
from ..latency.table import check_device
from ..search.architecture import Architecture
from ..search.spaces import SearchSpace
from .measuring import Campaign, measure_cases


@dataclass(frozen=True)
class Measured:
    """A sampled network and what the device said of it."""

    architecture: Architecture
    measurement: Measurement


def sample_networks(space: SearchSpace, count: int, seed: int) -> tuple[Architecture, ...]:
    """`count` distinct architectures drawn uniformly from `space`."""
    generator = torch_generator(seed, "calibration", space.name)
    found: dict[Architecture, None] = {}
    while len(found) < min(count, space.size):
        found[space.sample(generator)] = None
    return tuple(found)


def measure_networks(
    campaign: Campaign, space: SearchSpace, architectures: tuple[Architecture, ...]
) -> Iterator[Progress]:
    """Measure whole networks; what the store already holds is not measured again."""
    yield from measure_cases(campaign, tuple(space.network(a) for a in architectures))


def measured_networks(
    campaign: Campaign, space: SearchSpace, architectures: tuple[Architecture, ...]
) -> tuple[Measured, ...]:
    """Those of `architectures` that the store has a measurement of."""
    condition = campaign.condition.of_models
    found = {m.operator: m for m in campaign.store.measurements(condition)}
    pairs = ((a, found.get(space.network(a))) for a in architectures)
    return tuple(Measured(a, m) for a, m in pairs if m is not None)


def calibrate(
    model: LoadedModel, device_id: str, space: SearchSpace, networks: tuple[Measured, ...]
) -> LoadedModel:
    """`model` with a calibration fitted to measured whole networks, written into its folder.

    Raises:
        ArtefactError: The model is of another device.
        ConfigError: It is a bare table, or there are too few networks.
    """
    check_device(model.condition, device_id)
    operators = [space.operators(n.architecture) for n in networks]
    measured = [n.measurement.latency_ms for n in networks]
    calibration = fit_calibration(model.model, operators, measured)
    sums = NetworkLatency(model.model).predict_many(operators)
    predictions = NetworkLatency(model.model, calibration).predict_many(operators)
    rows = [
        _row(space, network, total.latency_ms, predicted.latency_ms)
        for network, total, predicted in zip(networks, sums, predictions, strict=True)
    ]
    return write_calibration(model, calibration, rows)


def _row(
    space: SearchSpace, network: Measured, sum_ms: float, predicted_ms: float
) -> dict[str, Any]:
    low_ms, high_ms = network.measurement.interval()
    return {
        "choices": list(network.architecture.choices),
        "macs": space.network(network.architecture).macs,
        "sum_ms": sum_ms,
        "predicted_ms": predicted_ms,
        "measured_ms": network.measurement.latency_ms,
        "low_ms": low_ms,
        "high_ms": high_ms,
    }
