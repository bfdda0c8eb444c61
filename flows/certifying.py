"""The certificate of a verified network: what was measured of it, what was promised, its files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..core.seeding import torch_generator
from ..latency.export import Format, export_checked
from ..latency.network import NetworkPrediction
from ..latency.operators import Operator
from ..latency.operators.weights import initialise
from ..latency.runtimes import runtimes
from ..search.architecture import Architecture
from ..search.result import (
    Certificate,
    DeviceBound,
    Limit,
    MeasuredLatency,
    Run,
    UpperLimit,
    write_record,
)
from ..search.spaces import SearchSpace
from .measured_latency import LEVEL
from .repair import Attempt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a verification came to.

    Attributes:
        note: Why `chosen` leaves much of every bound unused, if it does.
        limits: The latency bounds that were measured.
        measured: Of `chosen`, on the devices of `limits` in their order, then on others.
        predicted: Of `chosen`, by device, where there is a model.
        tried: All attempts at keeping `limits`.
    """

    chosen: Architecture
    note: str
    limits: tuple[Limit, ...]
    measured: tuple[MeasuredLatency, ...]
    predicted: Mapping[str, NetworkPrediction]
    tried: tuple[Attempt, ...]


def certify(run: Run, space: SearchSpace, outcome: Outcome, seed: int) -> Certificate:
    """Write the network's files and its certificate into the folder of `run`; the certificate.

    Args:
        run: The search that was verified.
        space: Of `run`.
        outcome: Of the verification.
        seed: Of the weights in the files.
    """
    network = space.network(outcome.chosen)
    levels = {limit.name: limit.level or LEVEL for limit in outcome.limits}
    unsure = _unsure(outcome.predicted, levels)
    pairs = zip(outcome.limits, outcome.measured, strict=False)
    certificate = Certificate(
        architecture=outcome.chosen,
        bounds=tuple(
            DeviceBound(limit.name, limit.promise, found.high_ms <= limit.promise)
            for limit, found in pairs
        ),
        predicted_ms={device: found.latency_ms for device, found in outcome.predicted.items()},
        measured=outcome.measured,
        tried=tuple((a.architecture, found) for a in outcome.tried for found in a.measured),
        macs=network.macs,
        params=network.params,
        files=_export(run.folder, network, seed),
        note=outcome.note,
        upper=_uppers(outcome.predicted, levels, unsure),
        unsure=unsure,
    )
    write_record(run.folder, certificate)
    return certificate


def _uppers(
    predicted: Mapping[str, NetworkPrediction],
    levels: Mapping[str, float],
    unsure: Mapping[str, str],
) -> dict[str, UpperLimit]:
    """The upper limits of `predicted`: of what was picked where the calibration tells them.

    Else of all networks, if it tells these; a device of which it tells neither is left out.

    Args:
        predicted: By device.
        levels: By device; `LEVEL` for the others.
        unsure: Why no limit of what was picked is known, by device, where none is.
    """
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


def _export(folder: Path, network: Operator, seed: int) -> dict[str, str]:
    """Write `network` as ONNX and TFLite with seeded weights, as it was timed; file by format.

    Each file is run and compared with torch first; a format whose runtime is not here is left out.
    """
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
