"""How well few measured networks teach the latency of others: an exam on whole networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import numpy_generator
from ..devices.device import Device
from ..latency.additive_fit import best_additive_fit
from ..latency.calibration import Calibration
from ..latency.counts import busy_operators, operator_counts
from ..latency.models import LatencyModel
from ..latency.network import NetworkLatency, NetworkPrediction
from ..latency.operators import Operator
from ..latency.protocol import find_protocol
from ..latency.store import MeasurementStore
from ..search.spaces import SearchSpace
from .calibrate import measured_networks, sample_networks
from .measuring import Campaign, default_cache

PLAIN, CALIBRATED, CORRECTED = "plain sum", "calibrated", "with correction"
LEVELS = (0.9, 0.95)
PICKED_AT = 0.95
_SPARE = 10
_BOUNDS = 25
_QUANTILES = (0.2, 0.8)

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class NetworkAccuracy:
    """Errors on networks that were not learnt from, over all draws; shares lie in [0, 1].

    Attributes:
        mape: Mean absolute relative error, and `mape_sd` its deviation between draws.
        broken: Share of bounds that the network of most MACs predicted within them breaks: a worth
            that goes with latency, which is what makes picks pass their prediction.
        broken_limit: The same where the upper limit of level `PICKED_AT` is to be within, and
        broken_pick: where that is which holds for picks, too; None as in `covered`.
        covered: For each of `LEVELS` the share of networks below their upper limit; None where
            the way states none, or so few networks cannot tell it.
    """

    way: str
    mape: float
    mape_sd: float
    within_5: float
    within_10: float
    covered: tuple[float | None, ...]
    broken: float | None
    broken_limit: float | None
    broken_pick: float | None


@dataclass(frozen=True)
class NetworkExam:
    """The accuracies of every way on the networks of one device and space.

    Attributes:
        learnt: Networks that each draw learns from, and `others` those that it is judged on.
        additive_mape: Of the best fit of one number per operator to all networks, each left out
            in turn: a yardstick of what any sum can do.
        noise: Median relative half-width of the measured networks' 95 % intervals.
    """

    device: str
    space: str
    origin: str
    learnt: int
    others: int
    draws: int
    additive_mape: float
    noise: float
    ways: tuple[NetworkAccuracy, ...]


@dataclass(frozen=True, eq=False)
class _Networks:
    """Measured networks and what a model says of their operators."""

    parts: tuple[tuple[Operator, ...], ...]
    measured: Vector
    macs: Vector
    known: Mapping[Operator, float]

    def calibration(self, chosen: NDArray[np.intp]) -> tuple[Calibration, Calibration]:
        """The calibration of the networks `chosen`, without a correction and with."""
        parts = [self.parts[i] for i in chosen]
        measured = self.measured[chosen].tolist()
        plain = Calibration.of_networks(parts, self.known, measured)
        return plain, plain.corrected(parts, self.known, measured)


def examine_networks(
    model: LatencyModel,
    store: MeasurementStore,
    device: Device,
    space: SearchSpace,
    *,
    networks: int,
    learnt: int,
    draws: int,
    seed: int,
) -> NetworkExam:
    """Judge sums, calibrations and corrections on measured networks.

    Args:
        model: Answers for the operators of the space.
        store: Holds the networks that `elat calibrate --networks N` measured, by its seed 0.
        device: Whose measurements.
        space: Of the networks.
        networks: Of the sample, which were measured.
        learnt: Networks to learn from in each draw.
        draws: Random choices of these.
        seed: Decides them.

    Raises:
        ConfigError: Too few networks are measured.
    """
    campaign = Campaign(device, find_protocol("screen"), store, default_cache(), seed)
    found = measured_networks(campaign, space, sample_networks(space, networks, 0))
    if len(found) < learnt + _SPARE:
        raise ConfigError(
            f"{len(found)} networks of {space.name} are measured on {device.id} in "
            f"{store.location}; an exam that learns from {learnt} takes {learnt + _SPARE}. "
            f"Measure them with: elat calibrate --device {device.id} --space {space.name} "
            f"--networks {networks}."
        )
    parts = tuple(tuple(space.operators(n.architecture)) for n in found)
    distinct = busy_operators(parts)
    known = dict(zip(distinct, model.predict(distinct).latency_ms.tolist(), strict=True))
    measured = np.array([n.measurement.latency_ms for n in found])
    macs = np.array([sum(o.macs for o in part) for part in parts], np.float64)
    data = _Networks(parts, measured, macs, known)
    return NetworkExam(
        device=device.id,
        space=space.name,
        origin=found[0].measurement.origin,
        learnt=learnt,
        others=len(found) - learnt,
        draws=draws,
        additive_mape=best_additive_fit(
            operator_counts(parts, distinct), measured.tolist()
        ).loo_mape,
        noise=float(np.median([n.measurement.relative_half_width for n in found])),
        ways=_ways(model, data, learnt, draws, numpy_generator(seed, "network exam")),
    )


@dataclass(eq=False)
class _Judged:
    """What a way was worth in every draw: an array or a share each, None where it states none."""

    errors: list[Vector] = field(default_factory=list)
    covered: list[list[float | None]] = field(default_factory=list)
    broken: list[float | None] = field(default_factory=list)
    broken_limit: list[float | None] = field(default_factory=list)
    broken_pick: list[float | None] = field(default_factory=list)


def _ways(
    model: LatencyModel, data: _Networks, learnt: int, draws: int, random: np.random.Generator
) -> tuple[NetworkAccuracy, ...]:
    judged = {way: _Judged() for way in (PLAIN, CALIBRATED, CORRECTED)}
    for _ in range(draws):
        order = random.permutation(len(data.parts))
        chosen, others = order[:learnt], order[learnt:]
        true, macs = data.measured[others], data.macs[others]
        bounds = np.quantile(true, random.uniform(*_QUANTILES, _BOUNDS))
        calibrations = (None, *data.calibration(chosen))
        for found, calibration in zip(judged.values(), calibrations, strict=True):
            network = NetworkLatency(model, calibration)
            predictions = network.predict_many([data.parts[i] for i in others])
            predicted = np.array([p.latency_ms for p in predictions])
            limits = [_limits(predictions, level) for level in LEVELS]
            picked_by = (_limits(predictions, PICKED_AT), _pick_limits(predictions, PICKED_AT))
            found.errors.append(predicted / true - 1)
            found.covered.append(
                [None if v is None else float(np.mean(true <= v)) for v in limits]
            )
            found.broken.append(broken_share(predicted, true, macs, bounds))
            for kept, by in zip((found.broken_limit, found.broken_pick), picked_by, strict=True):
                kept.append(None if by is None else broken_share(by, true, macs, bounds))
    return tuple(_accuracy(way, found) for way, found in judged.items())


def broken_share(limits: Vector, true: Vector, worth: Vector, bounds: Vector) -> float | None:
    """Share of `bounds` that the most worthy network with its limit within them breaks.

    Args:
        limits: What must be within a bound, `(networks,)`.
        true: What does break it or not.
        worth: The greatest is picked.
        bounds: Those that no limit is within count neither way.

    Returns:
        None where no limit is within any.
    """
    found = []
    for bound in bounds:
        within = np.flatnonzero(limits <= bound)
        if len(within):
            found.append(true[within[np.argmax(worth[within])]] > bound)
    return float(np.mean(found)) if found else None


def _limits(predictions: Sequence[NetworkPrediction], level: float) -> Vector | None:
    """The upper limit of each network at `level`, where there are any."""
    if not predictions[0].tells(level):
        return None
    return np.array([p.upper(level) for p in predictions])


def _pick_limits(predictions: Sequence[NetworkPrediction], level: float) -> Vector | None:
    """The upper limit of each network if it is picked, where there are any."""
    if not predictions[0].tells(level):
        return None
    return np.array([p.upper_of_pick(level) for p in predictions])


def _accuracy(way: str, found: _Judged) -> NetworkAccuracy:
    sizes = np.abs(np.array(found.errors))
    return NetworkAccuracy(
        way,
        mape=float(sizes.mean()),
        mape_sd=float(sizes.mean(axis=1).std(ddof=1)) if len(sizes) > 1 else 0.0,
        within_5=float(np.mean(sizes <= 0.05)),
        within_10=float(np.mean(sizes <= 0.10)),
        covered=tuple(_mean(column) for column in zip(*found.covered, strict=True)),
        broken=_mean(found.broken),
        broken_limit=_mean(found.broken_limit),
        broken_pick=_mean(found.broken_pick),
    )


def _mean(shares: Iterable[float | None]) -> float | None:
    """The mean of what there is."""
    found = [share for share in shares if share is not None]
    return float(np.mean(found)) if found else None
