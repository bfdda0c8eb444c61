"""How well few measured networks teach the latency of others: an exam on whole networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import ConfigError
from ..core.seeding import numpy_generator
from ..devices.device import Device
from ..latency.calibration import Calibration, best_additive_fit
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
_SPARE = 10

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class NetworkAccuracy:
    """Errors on networks that were not learnt from, over all draws; shares lie in [0, 1].

    Attributes:
        mape: Mean absolute relative error, and `mape_sd` its deviation between draws.
        covered: For each of `LEVELS` the share of networks below their upper limit; None where
            the way states none, or so few networks cannot tell it.
    """

    way: str
    mape: float
    mape_sd: float
    within_5: float
    within_10: float
    covered: tuple[float | None, ...]


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
    known: Mapping[Operator, float]

    def calibration(self, chosen: NDArray[np.intp]) -> tuple[Calibration, Calibration]:
        """The calibration of the networks `chosen`, without a correction and with."""
        parts = [self.parts[i] for i in chosen]
        busy = [[o for o in part if not o.is_free] for part in parts]
        sums = [sum(self.known[o] for o in part) for part in busy]
        measured = self.measured[chosen].tolist()
        plain = Calibration.fit(sums, list(map(len, busy)), measured)
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
    distinct = list(dict.fromkeys(o for part in parts for o in part if not o.is_free))
    known = dict(zip(distinct, model.predict(distinct).latency_ms.tolist(), strict=True))
    measured = np.array([n.measurement.latency_ms for n in found])
    data = _Networks(parts, measured, known)
    return NetworkExam(
        device=device.id,
        space=space.name,
        origin=found[0].measurement.origin,
        learnt=learnt,
        others=len(found) - learnt,
        draws=draws,
        additive_mape=best_additive_fit(_counts(parts, distinct), measured.tolist()).loo_mape,
        noise=float(np.median([n.measurement.relative_half_width for n in found])),
        ways=_ways(model, data, learnt, draws, numpy_generator(seed, "network exam")),
    )


def _ways(
    model: LatencyModel, data: _Networks, learnt: int, draws: int, random: np.random.Generator
) -> tuple[NetworkAccuracy, ...]:
    errors: dict[str, list[Vector]] = {PLAIN: [], CALIBRATED: [], CORRECTED: []}
    covered: dict[str, list[list[float | None]]] = {way: [] for way in errors}
    for _ in range(draws):
        order = random.permutation(len(data.parts))
        chosen, others = order[:learnt], order[learnt:]
        plain, corrected = data.calibration(chosen)
        for way, calibration in ((PLAIN, None), (CALIBRATED, plain), (CORRECTED, corrected)):
            network = NetworkLatency(model, calibration)
            predicted = network.predict_many([data.parts[i] for i in others])
            true = data.measured[others]
            errors[way].append(np.array([p.latency_ms for p in predicted]) / true - 1)
            covered[way].append([_covered(predicted, true, level) for level in LEVELS])
    return tuple(_accuracy(way, errors[way], covered[way]) for way in errors)


def _covered(predicted: Sequence[NetworkPrediction], true: Vector, level: float) -> float | None:
    """The share of networks below their upper limit of `level`, where there is one."""
    calibration = predicted[0].calibration
    if calibration is None or calibration.networks < level / (1 - level) - 1e-9:
        return None
    return float(np.mean(true <= [p.upper(level) for p in predicted]))


def _accuracy(
    way: str, errors: Sequence[Vector], covered: Sequence[Sequence[float | None]]
) -> NetworkAccuracy:
    sizes = np.abs(np.array(errors))
    shares = [[s for s in column if s is not None] for column in zip(*covered, strict=True)]
    return NetworkAccuracy(
        way,
        mape=float(sizes.mean()),
        mape_sd=float(sizes.mean(axis=1).std(ddof=1)) if len(sizes) > 1 else 0.0,
        within_5=float(np.mean(sizes <= 0.05)),
        within_10=float(np.mean(sizes <= 0.10)),
        covered=tuple(float(np.mean(found)) if found else None for found in shares),
    )


def _counts(parts: Sequence[Sequence[Operator]], distinct: Sequence[Operator]) -> NDArray[Any]:
    """How often each network holds each operator, `(networks, operators)`."""
    place = {operator: index for index, operator in enumerate(distinct)}
    counts = np.zeros((len(parts), len(distinct)))
    for row, part in zip(counts, parts, strict=True):
        np.add.at(row, [place[o] for o in part if not o.is_free], 1.0)
    return counts
