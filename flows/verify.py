"""Where the prediction meets the device: measure, repair, certify.

A latency model's error becomes a broken bound through selection: of the architectures that the
model allows, the search prefers those it underestimates. So the derived network is measured. If
its upper confidence limit is over the bound, or it leaves more than a tenth of the bound unused,
the exact projection is solved again with the model corrected by what was measured so far, until a
network holds, nothing else comes out, or the attempts are spent. The weights do not matter for
the time, so this comes before any training.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..core.errors import ConfigError, InfeasibleError, MeasurementError, MissingLatencyError
from ..core.seeding import torch_generator
from ..devices.device import Device, DeviceKind, card_paths, find_device
from ..latency.condition import runtime_section
from ..latency.export import Format, export_checked
from ..latency.measure import Progress
from ..latency.measurement import Measurement
from ..latency.models.folder import LoadedModel, read_model
from ..latency.network import NetworkPrediction
from ..latency.operators.weights import initialise
from ..latency.protocol import find_protocol
from ..latency.runtimes import runtimes
from ..latency.store import MeasurementStore, open_store
from ..search.architecture import Architecture
from ..search.bound import Bound
from ..search.derive import indistinct, read_scores
from ..search.expected_latency import ExpectedLatency, counted_cost
from ..search.projection import project
from ..search.result import (
    Certificate,
    DeviceBound,
    Limit,
    MeasuredLatency,
    Run,
    UpperLimit,
    read_run,
    unit_of,
    write_record,
)
from ..search.spaces import SearchSpace, space_from_description
from .fitting import find_latency
from .measuring import Campaign, default_cache, default_store, measure_cases

logger = logging.getLogger(__name__)

LEVEL = 0.95
WANTED_SHARE = 0.9
_TOGETHER = 3
_ROUNDS = 4
# Aimed a little below the bound: the next network has an error of its own.
_MARGIN = 0.99

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


@dataclass(frozen=True, eq=False)
class Target:
    """One latency bound of the search, the device it is about, and the model that promised it."""

    campaign: Campaign
    limit: Limit
    cost: ExpectedLatency


@dataclass(frozen=True)
class Attempt:
    """An architecture, and for each target what the model said of it and what the device said."""

    architecture: Architecture
    predicted_ms: tuple[float, ...]
    measured: tuple[MeasuredLatency, ...]

    def shares(self, targets: Sequence[Target]) -> Iterator[float]:
        """The upper confidence limit over the bound, for each target."""
        for measured, target in zip(self.measured, targets, strict=True):
            yield measured.high_ms / target.limit.promise

    def holds(self, targets: Sequence[Target]) -> bool:
        """Whether every upper confidence limit is within its bound."""
        pairs = zip(self.measured, targets, strict=True)
        return all(measured.high_ms <= target.limit.promise for measured, target in pairs)


def verify_run(order: VerifyOrder) -> Iterator[Verified]:
    """Measure, repair, measure elsewhere; yields progress, and the certificate last.

    Raises:
        ArtefactError: The folder holds no finished search.
        ConfigError: No device is named and the search was bounded on none.
    """
    run = read_run(order.folder)
    space = space_from_description(run.result.space)
    asked = None if order.device is None else find_device(order.device)
    limits = _limits(run, asked)
    if asked is None and not limits:
        raise ConfigError(
            f"{order.folder} was searched under no latency bound; say where to measure it, "
            "with --device."
        )
    devices = [find_device(limit.name) for limit in limits] if asked is None else [asked]
    also = _others(devices) if order.also is None else [find_device(name) for name in order.also]
    with ExitStack() as stack:
        store = stack.enter_context(open_store(order.store or default_store()))
        campaigns = {d.id: _campaign(d, store, order) for d in (*devices, *also)}
        models = _given_models(order)
        targets = [
            Target(campaigns[limit.name], limit, _cost(limit.name, space, models))
            for limit in limits
        ]
        tried: list[Attempt] = []
        note = ""
        chosen = run.result.best.architecture
        if targets:
            names = {limit.name for limit in limits}
            others = [other for other in run.result.limits if other.name not in names]
            fixed = [(other, _cost(other.name, space, models)) for other in others]
            repair = Repair(run, space, targets, fixed)
            yield from repair.attempts(tried)
            best = repair.best(tried)
            chosen, note = best.architecture, repair.note(best)
        measured = []
        for campaign in campaigns.values():
            yield from measure_cases(campaign, (space.network(chosen),))
            measured.append(measured_latency(campaign, space, chosen))
        predicted = _predictions(models, space, chosen, tuple(campaigns))
    levels = {limit.name: limit.level or LEVEL for limit in limits}
    certificate = Certificate(
        architecture=chosen,
        bounds=tuple(
            DeviceBound(limit.name, limit.promise, found.high_ms <= limit.promise)
            for limit, found in zip(limits, measured, strict=False)
        ),
        predicted_ms={device: found.latency_ms for device, found in predicted.items()},
        measured=tuple(measured),
        tried=tuple((a.architecture, found) for a in tried for found in a.measured),
        macs=space.network(chosen).macs,
        params=space.network(chosen).params,
        files=_export(run.folder, space, chosen, order.seed),
        note=note,
        upper=_uppers(predicted, levels),
        unsure=_unsure(predicted, levels),
    )
    write_record(run.folder, certificate)
    yield certificate


class Repair:
    """Proposes architectures under the latency bounds, learning from what was measured.

    Args:
        targets: The bounds that are measured.
        fixed: The search's other bounds, each with its cost: they are kept by the models.
    """

    def __init__(
        self,
        run: Run,
        space: SearchSpace,
        targets: Sequence[Target],
        fixed: Sequence[tuple[Limit, ExpectedLatency]] = (),
    ) -> None:
        self._run = run
        self._space = space
        self._targets = tuple(targets)
        self._scores = read_scores(run.folder)
        self._others = [other for other, _ in fixed]
        self._costs = [target.cost for target in targets] + [cost for _, cost in fixed]

    def attempts(self, tried: list[Attempt]) -> Iterator[Progress]:
        """Measure proposals until one holds and uses a bound; appends them to `tried`."""
        for _ in range(_ROUNDS):
            proposed = self.propose(tried)
            if not proposed:
                return
            networks = tuple(map(self._space.network, proposed))
            for target in self._targets:
                yield from measure_cases(target.campaign, networks)
            for architecture in proposed:
                measured = tuple(
                    measured_latency(t.campaign, self._space, architecture) for t in self._targets
                )
                predicted = tuple(t.cost.of(architecture) for t in self._targets)
                tried.append(Attempt(architecture, predicted, measured))
            if any(self._is_good(attempt) for attempt in tried):
                return

    def propose(self, tried: list[Attempt]) -> tuple[Architecture, ...]:
        """The next architectures to measure: first the search's own, then re-projected ones.

        Each model is corrected by the mean ratio of measured upper limits to predictions of the
        latest round, so networks over a bound move the projection down and networks far below
        it move it up. Some are measured together: they share the worker processes.
        """
        if not tried:
            return tuple(c.architecture for c in self._run.result.candidates[:_TOGETHER])
        known = {attempt.architecture for attempt in tried}
        bounds = self._corrected(tried[-_TOGETHER:])
        count = len(known) + _TOGETHER
        try:
            projected = indistinct(self._scores, self._costs, bounds, count)
        except InfeasibleError:
            return ()  # the corrected bounds exclude each other: nothing is left to propose
        found = [p.architecture for p in projected]
        if found[0] in known and any(a.holds(self._targets) for a in tried):
            return ()
        fresh = (a for a in found if a not in known)
        return tuple(islice(fresh, _TOGETHER))

    def _corrected(self, latest: Sequence[Attempt]) -> list[Bound]:
        """The bounds in the models' milliseconds, by what was measured lately."""
        bounds = []
        for index, target in enumerate(self._targets):
            ratios = [a.measured[index].high_ms / a.predicted_ms[index] for a in latest]
            ratio = sum(ratios) / len(ratios)
            limit = target.limit
            bounds.append(Bound(limit.name, max(_MARGIN * limit.promise / ratio, limit.fastest)))
        return bounds + [Bound(other.name, other.limit) for other in self._others]

    def note(self, chosen: Attempt) -> str:
        """Why `chosen` leaves more than a tenth of every bound unused, if it does."""
        if not chosen.holds(self._targets) or self._is_good(chosen):
            return ""
        bounds = [Bound(t.limit.name, t.limit.limit) for t in self._targets]
        bounds += [Bound(other.name, other.limit) for other in self._others]
        try:
            best = project(self._scores.values, self._costs, bounds)[0]
        except InfeasibleError:
            return "by the models of today no network keeps the bounds"
        gained = best.score - self._score_of(chosen.architecture)
        if gained > self._scores.tolerance:
            return "the networks measured nearer to the bound broke it"
        if self._scores.tolerance == 0:
            return "no network nearer to the bound scores better"
        return (
            f"the best score within the bound, that of a network of "
            f"{self._costs[0].of(best.architecture):.4g} ms by the model, is {gained:.3g} nats "
            f"higher; the search cannot tell less than {self._scores.tolerance:.3g} nats apart, "
            "so the faster network was taken"
        )

    def _score_of(self, architecture: Architecture) -> float:
        return self._scores.of_choices(architecture.choices)

    def best(self, tried: list[Attempt]) -> Attempt:
        """The attempt to certify.

        The first in the search's order that holds, one that uses a bound before others; else
        the one nearest to holding.
        """
        if good := [a for a in tried if self._is_good(a)]:
            return good[0]
        if held := [a for a in tried if a.holds(self._targets)]:
            return held[0]
        return min(tried, key=lambda a: max(a.shares(self._targets)))

    def _is_good(self, attempt: Attempt) -> bool:
        """Whether it holds and leaves little of one bound unused."""
        pairs = zip(attempt.measured, self._targets, strict=True)
        used = max(measured.latency_ms / target.limit.promise for measured, target in pairs)
        return attempt.holds(self._targets) and used >= WANTED_SHARE


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


def _campaign(device: Device, store: MeasurementStore, order: VerifyOrder) -> Campaign:
    return Campaign(device, find_protocol(order.protocol), store, default_cache(), order.seed)


def _limits(run: Run, device: Device | None) -> list[Limit]:
    """The latency bounds of the search that are verified: all, or the one on `device`."""
    timed = [limit for limit in run.result.limits if limit.unit == "ms"]
    return timed if device is None else [limit for limit in timed if limit.name == device.id]


def _cost(name: str, space: SearchSpace, models: Mapping[str, LoadedModel]) -> ExpectedLatency:
    """What the bound called `name` is about, by the given model of the device or the newest."""
    if unit_of(name) != "ms":
        return counted_cost(space, name)
    model = models.get(name) or find_latency(None, name, space)
    return ExpectedLatency.from_network_latency(space, name, model.network)


def _given_models(order: VerifyOrder) -> dict[str, LoadedModel]:
    """The models that the order names, by the device they are of."""
    models = [read_model(path) for path in order.latency]
    return {model.condition.device: model for model in models}


def _others(devices: Sequence[Device]) -> list[Device]:
    """Available devices that differ from the only one of `devices` in the runtime alone.

    None for a board: what it has besides is not asked.
    """
    if len(devices) > 1:
        return []
    (device,) = devices
    if device.kind is DeviceKind.SSH:
        return []
    own = runtime_section(device)
    found = []
    for name in card_paths():
        other = find_device(name)
        section = runtime_section(other)
        if (
            other.id != device.id
            and other.kind == device.kind
            and section.name != own.name
            and (section.precision, section.batch, section.threads)
            == (own.precision, own.batch, own.threads)
            and runtimes[section.name]().unavailable_reason() is None
        ):
            found.append(other)
    return found


def _predictions(
    models: Mapping[str, LoadedModel],
    space: SearchSpace,
    chosen: Architecture,
    devices: tuple[str, ...],
) -> dict[str, NetworkPrediction]:
    """What the given models, or the newest ones, say of the network, where there are any."""
    found = {}
    for device in devices:
        try:
            model = models.get(device) or find_latency(None, device, space)
        except MissingLatencyError:
            continue
        found[device] = model.network.predict(space.operators(chosen))
    return found


def _uppers(
    predicted: Mapping[str, NetworkPrediction], levels: Mapping[str, float]
) -> dict[str, UpperLimit]:
    """The upper limits of `predicted`: of what was picked where the calibration tells them.

    Else of all networks, if it tells these; a device of which it tells neither is left out.

    Args:
        predicted: By device.
        levels: By device; `LEVEL` for the others.
    """
    unsure = _unsure(predicted, levels)
    found = {}
    for device, prediction in predicted.items():
        level = levels.get(device, LEVEL)
        if device not in unsure:
            found[device] = UpperLimit(prediction.upper_of_pick(level), level, is_of_pick=True)
        elif prediction.tells(level):
            found[device] = UpperLimit(prediction.upper(level), level)
    return found


def _unsure(
    predicted: Mapping[str, NetworkPrediction], levels: Mapping[str, float]
) -> dict[str, str]:
    """Why no limit of what was picked is known, by device, where none is."""
    found = {}
    for device, prediction in predicted.items():
        if prediction.calibration is None:
            found[device] = (
                "the predictions were never held against whole networks: elat calibrate --device "
                f"{device}"
            )
        elif reason := prediction.calibration.why_no_picks(levels.get(device, LEVEL)):
            found[device] = reason
    return found


def _export(
    folder: Path, space: SearchSpace, architecture: Architecture, seed: int
) -> dict[str, str]:
    """Write the network as ONNX and TFLite with seeded weights, as it was timed.

    Each file is run and compared with torch first; a format whose runtime is not here is left out.
    """
    network = space.network(architecture)
    module = network.build()
    initialise(module, torch_generator(seed, "verify"))
    module.eval()
    files = {}
    for kind in Format:
        if reason := runtimes[kind.runtime]().unavailable_reason():
            logger.warning("The network is not written as %s: %s", kind, reason)
            continue
        path = folder / f"network.{kind}"
        export_checked(network, module, kind, path)
        files[str(kind)] = path.name
    return files
