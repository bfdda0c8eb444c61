"""A latency-model folder as the report reads it: held-out predictions and calibration networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .source import Source

MODEL_KIND = "latency-model"


@dataclass(frozen=True)
class HeldOutPoint:
    """An operator that the model had not seen, predicted and measured."""

    kind: str
    predicted_ms: float
    measured_ms: float


@dataclass(frozen=True)
class CalibrationNetwork:
    """A whole sampled network: sum of its operators, calibrated prediction, measurement."""

    choices: tuple[int, ...]
    macs: int | None
    sum_ms: float
    predicted_ms: float
    measured_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True)
class ModelFolder:
    """A fitted latency model.

    Attributes:
        name: Of the model registry.
        space: The search space whose operators it was fitted to.
        held_out: Empty where no held-out error was written.
        calibration: Empty where the model was not calibrated.
    """

    folder: Path
    name: str
    space: str
    source: Source
    held_out: tuple[HeldOutPoint, ...]
    calibration: tuple[CalibrationNetwork, ...]

    @property
    def device(self) -> str:
        return self.source.device


def read_model_folder(folder: Path) -> ModelFolder:
    raise SystemExit("to be adapted")
