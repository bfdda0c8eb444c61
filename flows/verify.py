"""Where the prediction meets the device: measure, repair, certify.

A latency model's error becomes a broken bound through selection: of the architectures that the
model allows, the search prefers those it underestimates. So the derived network is measured. If
its upper confidence limit is over the bound, or it leaves more than a tenth of the bound unused,
the exact projection is solved again with the model corrected by what was measured so far, until a
network holds, nothing else comes out, or the attempts are spent. The weights do not matter for
the time, so this comes before any training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ..core.artefact import write_bytes
from ..core.errors import ConfigError, MeasurementError, MissingLatencyError
from ..core.seeding import torch_generator
from ..devices.device import Device, card_paths, find_device
from ..latency.artefacts import export
from ..latency.condition import runtime_section
from ..latency.in_situ import measured_under
from ..latency.measure import Progress
from ..latency.measurement import Measurement
from ..latency.models.folder import LoadedModel
from ..latency.operators.weights import initialise
from ..latency.protocol import find_protocol
from ..latency.runtimes import runtimes
from ..latency.store import MeasurementStore, open_store
from ..search.architecture import Architecture
from ..search.bound import Bound
from ..search.derive import indistinct, read_scores
from ..search.expected_latency import ExpectedLatency
from ..search.projection import project
from ..search.result import (
    Certificate,
    Limit,
    MeasuredLatency,
    Run,
    read_run,
    write_record,
)
from ..search.spaces import SearchSpace, space_from_description
from .fitting import find_latency
from .measuring import Campaign, default_cache, default_store, measure_cases

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
        device: None for the device that the search was bounded on.
        also: Further devices; None for those that differ from `device` in the runtime alone.
    """

    folder: Path
    device: str | None
    also: tuple[str, ...] | None
    latency: Path | None
    store: Path | None
    protocol: str
    seed: int


@dataclass(frozen=True)
class Attempt:
    """An architecture, what the model said of it, and what the device said."""

    architecture: Architecture
    predicted_ms: float
    measured: MeasuredLatency

    def holds(self, bound_ms: float) -> bool:
        """Whether the upper confidence limit is within the bound."""
        return self.measured.high_ms <= bound_ms


def verify_run(order: VerifyOrder) -> Iterator[Verified]:
    """Measure, repair, measure elsewhere; yields progress, and the certificate last.

    Raises:
        ArtefactError: The folder holds no finished search.
        ConfigError: No device is named and the search was bounded on none.
    """
    run = read_run(order.folder)
    space = space_from_description(run.result.space)
    limit = _limit(run, order.device)
    name = order.device or (limit.name if limit else None)
    if name is None:
        raise ConfigError(
            f"{order.folder} was searched under a bound on MACs alone; say where to measure it, "
            "with --device."
        )
    device = find_device(name)
    others = _others(device) if order.also is None else [find_device(n) for n in order.also]
    with ExitStack() as stack:
        store = stack.enter_context(open_store(order.store or default_store()))
        campaigns = {d.id: _campaign(d, store, order) for d in (device, *others)}
        tried: list[Attempt] = []
        note = ""
        if limit is None:
            chosen = run.result.best.architecture
        else:
            model = find_latency(order.latency, device.id, space)
            repair = Repair(run, space, model, limit)
            yield from repair.attempts(campaigns[device.id], tried)
            best = repair.best(tried)
            chosen, note = best.architecture, repair.note(best)
        measured = []
        for campaign in campaigns.values():
            yield from measure_cases(campaign, (space.network(chosen),))
            measured.append(measured_latency(campaign, space, chosen))
        predicted = _predictions(order, space, chosen, tuple(campaigns))
    certificate = Certificate(
        architecture=chosen,
        device=device.id if limit else None,
        bound_ms=limit.limit if limit else None,
        predicted_ms=predicted,
        measured=tuple(measured),
        tried=tuple((a.architecture, a.measured) for a in tried),
        is_met=measured[0].high_ms <= limit.limit if limit else None,
        macs=space.network(chosen).macs,
        params=space.network(chosen).params,
        files=_export(run.folder, space, chosen, order.seed),
        note=note,
    )
    write_record(run.folder, certificate)
    yield certificate


class Repair:
    """Proposes architectures under one device's bound, learning from what was measured.

    Args:
        model: The latency model of the device, with its calibration.
    """

    def __init__(self, run: Run, space: SearchSpace, model: LoadedModel, limit: Limit) -> None:
        self._run = run
        self._space = space
        self._limit = limit
        self._cost = ExpectedLatency.from_network_latency(space, limit.name, model.network)
        self._scores = read_scores(run.folder)
        self._others = [other for other in run.result.limits if other.name != limit.name]

    def attempts(self, campaign: Campaign, tried: list[Attempt]) -> Iterator[Progress]:
        """Measure proposals until one holds and uses the bound; appends them to `tried`."""
        for _ in range(_ROUNDS):
            proposed = self.propose(tried)
            if not proposed:
                return
            yield from measure_cases(campaign, tuple(map(self._space.network, proposed)))
            for architecture in proposed:
                measured = measured_latency(campaign, self._space, architecture)
                tried.append(Attempt(architecture, self._cost.of(architecture), measured))
            if any(self._is_good(attempt) for attempt in tried):
                return

    def propose(self, tried: list[Attempt]) -> tuple[Architecture, ...]:
        """The next architectures to measure: first the search's own, then re-projected ones.

        The model is corrected by the mean ratio of measured upper limits to predictions of the
        latest round, so networks over the bound move the projection down and networks far below
        it move it up. Some are measured together: they share the worker processes.
        """
        if not tried:
            return tuple(c.architecture for c in self._run.result.candidates[:_TOGETHER])
        known = {attempt.architecture for attempt in tried}
        latest = tried[-_TOGETHER:]
        ratio = sum(a.measured.high_ms / a.predicted_ms for a in latest) / len(latest)
        target = max(_MARGIN * self._limit.limit / ratio, self._limit.fastest)
        bounds = [Bound(self._limit.name, target)]
        count = len(known) + _TOGETHER
        found = [p.architecture for p in indistinct(self._scores, [self._cost], bounds, count)]
        if found[0] in known and any(a.holds(self._limit.limit) for a in tried):
            return ()
        fresh = (a for a in found if a not in known and self._is_allowed(a))
        return tuple(islice(fresh, _TOGETHER))

    def note(self, chosen: Attempt) -> str:
        """Why `chosen` leaves more than a tenth of the bound unused, if it does."""
        if not chosen.holds(self._limit.limit) or self._is_good(chosen):
            return ""
        best = project(self._scores.values, [self._cost], [self._bound])[0]
        gained = best.score - self._score_of(chosen.architecture)
        if gained > self._scores.tolerance:
            return "the networks measured nearer to the bound broke it"
        return (
            f"the best score within the bound, that of a network of "
            f"{self._cost.of(best.architecture):.4g} ms by the model, is {gained:.3g} nats "
            f"higher; the search cannot tell less than {self._scores.tolerance:.3g} nats apart, "
            "so the faster network was taken"
        )

    @property
    def _bound(self) -> Bound:
        return Bound(self._limit.name, self._limit.limit)

    def _score_of(self, architecture: Architecture) -> float:
        chosen = enumerate(architecture.choices)
        return float(sum(self._scores.values[block, choice] for block, choice in chosen))

    def best(self, tried: list[Attempt]) -> Attempt:
        """The attempt to certify.

        The first in the search's order that holds, one that uses the bound before others; else
        the one nearest to holding.
        """
        if good := [a for a in tried if self._is_good(a)]:
            return good[0]
        if held := [a for a in tried if a.holds(self._limit.limit)]:
            return held[0]
        return min(tried, key=lambda a: a.measured.high_ms)

    def _is_good(self, attempt: Attempt) -> bool:
        """Whether it holds and leaves little of the bound unused."""
        bound_ms = self._limit.limit
        return attempt.holds(bound_ms) and attempt.measured.latency_ms >= WANTED_SHARE * bound_ms

    def _is_allowed(self, architecture: Architecture) -> bool:
        """Whether the further bounds of the search hold; they are exact only on MACs."""
        macs = self._space.network(architecture).macs
        return all(macs <= other.limit for other in self._others if other.unit == "MACs")


def measured_latency(
    campaign: Campaign, space: SearchSpace, architecture: Architecture
) -> MeasuredLatency:
    """What the store says of the whole network of `architecture` on the campaign's device.

    Raises:
        MeasurementError: The device gave no usable answer for it.
    """
    condition = measured_under(campaign.condition)
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


def _limit(run: Run, device: str | None) -> Limit | None:
    """The bound of the search that verifying on `device` is about, if it has one."""
    timed = [limit for limit in run.result.limits if limit.unit == "ms"]
    if device is None:
        return timed[0] if timed else None
    return next((limit for limit in timed if limit.name == device), None)


def _others(device: Device) -> list[Device]:
    """Available devices that differ from `device` in the runtime alone."""
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
    order: VerifyOrder, space: SearchSpace, chosen: Architecture, devices: tuple[str, ...]
) -> dict[str, float]:
    """What the newest models say of the network, for the devices that have one."""
    found = {}
    for index, device in enumerate(devices):
        try:
            model = find_latency(order.latency if index == 0 else None, device, space)
        except MissingLatencyError:
            continue
        if model.condition.device == device:
            found[device] = model.network.predict(space.operators(chosen)).latency_ms
    return found


def _export(
    folder: Path, space: SearchSpace, architecture: Architecture, seed: int
) -> dict[str, str]:
    """Write the network as ONNX and TFLite with seeded weights, as it was timed."""
    network = space.network(architecture)
    module = network.build()
    initialise(module, torch_generator(seed, "verify"))
    module.eval()
    files = {}
    for runtime, suffix in (("onnxruntime", "onnx"), ("tflite", "tflite")):
        path = folder / f"network.{suffix}"
        write_bytes(path, export(network, module, runtime))
        files[suffix] = path.name
    return files
