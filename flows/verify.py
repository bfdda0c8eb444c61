"""Where the prediction meets the device again: measure, repair, certify.

A latency model's error becomes a broken bound through selection: of the architectures that the
model allows, the search prefers those it underestimates. So the derived network is measured, and
repaired (`repair.py`) until its measured latency keeps the bounds. The weights do not matter for
the time, so this comes before any training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..devices.device import Device
from ..latency.measure import Progress
from ..latency.protocol import find_protocol
from ..latency.store import MeasurementStore, open_store
from ..search.result import Certificate, Run, read_run
from ..search.spaces import space_from_description
from .certifying import Outcome, certify
from .measured_latency import measured_latency
from .measuring import Campaign, default_cache, default_store, measure_cases
from .repair import Attempt, Repair, Target
from .verified_devices import Where, where_to_verify
from .verified_models import SpaceModels, read_models

Verified = Progress | Certificate


@dataclass(frozen=True)
class VerifyOrder:
    """What `elat verify` was asked for.

    Attributes:
        device: None for all devices that the search was bounded on.
        also: Further devices; None for those that differ from `device` in the runtime alone.
        latency: Latency models, each for the device it is of; the newest ones for the others.
    """

    folder: Path
    device: str | None
    also: tuple[str, ...] | None
    latency: tuple[Path, ...]
    store: Path | str | None
    protocol: str
    seed: int


def verify_run(order: VerifyOrder) -> Iterator[Verified]:
    """Measure, repair, measure elsewhere; yields progress, and the certificate last.

    Raises:
        ArtefactError: The folder holds no finished search.
        ConfigError: No device is named and the search was bounded on none.
    """
    run = read_run(order.folder)
    space = space_from_description(run.result.space)
    where = where_to_verify(run, order.device, order.also)
    with open_store(order.store or default_store()) as store:
        campaigns = {d.id: _campaign(d, store, order) for d in where.devices}
        models = read_models(space, order.latency)
        tried: list[Attempt] = []
        chosen, note = run.result.best.architecture, ""
        if where.limits:
            repair = _repair(run, where, campaigns, models)
            yield from repair.attempts(tried)
            best = repair.best(tried)
            chosen, note = best.architecture, repair.note(best)
        measured = []
        for campaign in campaigns.values():
            yield from measure_cases(campaign, (space.network(chosen),))
            measured.append(measured_latency(campaign, space, chosen))
        predicted = models.predictions(chosen, campaigns)
    outcome = Outcome(chosen, note, where.limits, tuple(measured), predicted, tuple(tried))
    yield certify(run, space, outcome, order.seed)


def _campaign(device: Device, store: MeasurementStore, order: VerifyOrder) -> Campaign:
    return Campaign(device, find_protocol(order.protocol), store, default_cache(), order.seed)


def _repair(
    run: Run, where: Where, campaigns: Mapping[str, Campaign], models: SpaceModels
) -> Repair:
    """The repair of `run` by its measured bounds; its other ones are kept by the models."""
    targets = [
        Target(campaigns[limit.name], limit, models.cost(limit.name)) for limit in where.limits
    ]
    fixed = [(other, models.cost(other.name)) for other in where.others]
    return Repair(run, models.space, targets, fixed)
