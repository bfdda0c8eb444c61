"""A latency-model folder as the report reads it; nothing is fitted or predicted here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.artefact import read_json, read_manifest
from ..core.errors import ArtefactError
from ..latency.additive_fit import AdditiveFit, best_additive_fit
from ..latency.calibration import Calibration
from ..latency.models.evaluate import HeldOut
from ..latency.models.folder import CALIBRATION, HELD_OUT, KIND, TABLE
from ..latency.table import read_table
from .source import Source


@dataclass(frozen=True)
class CalibrationNetwork:
    """A whole sampled network: sum of its operators, calibrated prediction, measurement.

    Attributes:
        choices: The chosen index of each choice block; empty where it was not recorded.
        macs: None where it was not recorded.
    """

    choices: tuple[int, ...]
    macs: int | None
    sum_ms: float
    predicted_ms: float
    measured_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class ModelFolder:
    """A fitted latency model and what was written beside it.

    Attributes:
        name: Of the model registry.
        space: The search space whose operators it was fitted to; empty where not recorded.
        calibration: None where the model was not calibrated.
        networks: The whole networks that the calibration rests on.
    """

    folder: Path
    name: str
    space: str
    source: Source
    held_out: HeldOut | None
    calibration: Calibration | None
    networks: tuple[CalibrationNetwork, ...]

    @property
    def device(self) -> str:
        return self.source.device


def read_model_folder(folder: Path) -> ModelFolder:
    """The model in `folder`: manifest, table, held-out errors and calibration as written.

    Raises:
        ArtefactError: It is no model folder, or a file of it is missing, damaged or cut short.
    """
    record = read_manifest(folder, KIND)
    config = record.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("model"), str):
        raise ArtefactError(f"{folder} does not name its model; fit again with: elat fit.")
    table = read_table(folder / TABLE)
    held = folder / HELD_OUT
    calibration, networks = _read_calibration(folder / CALIBRATION)
    return ModelFolder(
        folder=folder,
        name=config["model"],
        space=str(config.get("space") or ""),
        source=Source(table.origin, table.condition.device, table.condition),
        held_out=HeldOut.from_json(read_json(held)) if held.is_file() else None,
        calibration=calibration,
        networks=networks,
    )


def additive_yardstick(networks: tuple[CalibrationNetwork, ...]) -> AdditiveFit | None:
    """A sum of one latency a choice fitted to `networks`; None where choices are not recorded."""
    shapes = {len(network.choices) for network in networks}
    if len(networks) < 4 or len(shapes) != 1 or shapes == {0}:
        return None
    chosen = np.array([network.choices for network in networks])
    taken = [
        chosen[:, block] == choice
        for block in range(chosen.shape[1])
        for choice in range(int(chosen[:, block].max()) + 1)
    ]
    return best_additive_fit(
        np.stack(taken, axis=1).astype(float), [network.measured_ms for network in networks]
    )


def _read_calibration(path: Path) -> tuple[Calibration | None, tuple[CalibrationNetwork, ...]]:
    if not path.is_file():
        return None, ()
    data = read_json(path)
    try:
        return Calibration.from_json(data["calibration"]), tuple(map(_network, data["networks"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(
            f"{path} is no calibration ({error!r}); calibrate again with: elat calibrate "
            f"--latency {path.parent}."
        ) from error


def _network(row: Mapping[str, Any]) -> CalibrationNetwork:
    measured = float(row["measured_ms"])
    macs = row.get("macs")
    return CalibrationNetwork(
        choices=tuple(map(int, row.get("choices", ()))),
        macs=None if macs is None else int(macs),
        sum_ms=float(row["sum_ms"]),
        predicted_ms=float(row["predicted_ms"]),
        measured_ms=measured,
        low_ms=float(row.get("low_ms", measured)),
        high_ms=float(row.get("high_ms", measured)),
    )
