"""The latency of any model file on a device with a fitted latency model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..core.artefact import elat_home
from ..core.errors import ConfigError, MissingLatencyError, MissingOperatorError
from ..devices.device import Device
from ..latency.decompose import Part, Program, read_program, with_blocks
from ..latency.decompose.fused import with_fusion
from ..latency.fusion import FusionRules, rules_for
from ..latency.models.domain import Domain, Excess
from ..latency.models.folder import TABLE, TRANSFERRED, LoadedModel, newest_model, read_model
from ..latency.operators import Operator
from ..latency.operators.serial import kind_of
from ..latency.table import check_device, read_table
from ..latency.transfer.folder import SOURCES
from .fitting import ALL_OPERATORS

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class PredictedOperator:
    """One operator of the file.

    Attributes:
        kind: Its name in the registry.
        count: How often the file has it.
        latency_ms: Of all of them together; `low_ms` to `high_ms` is the interval, infinite or 0
            where the model cannot tell it at this level.
        share: Of the sum over all operators.
        nodes: Of the file, of all of them.
        beyond: What of it lies outside the operators that the model learnt from, if anything: the
            prediction is then a guess from smaller or larger ones.
    """

    operator: str
    kind: str
    count: int
    latency_ms: float
    low_ms: float
    high_ms: float
    share: float
    nodes: tuple[str, ...]
    beyond: tuple[Excess, ...]


@dataclass(frozen=True)
class FilePrediction:
    """What a model file is predicted to take.

    Attributes:
        latency_ms: Of one run with one image; `low_ms` to `high_ms` is its interval at `level`.
        sum_ms: Of the operators, before the model's calibration.
        calibration: Its form; None without one, when the sum is the prediction.
        operators: The most expensive first.
        nodes: Of the file, `covered` by operators and `free` of cost.
        fusion: Whether what is executed as one was detected on the device, or is assumed.
    """

    file: str
    device: str
    condition: str
    origin: str
    model: str
    latency_ms: float
    low_ms: float
    high_ms: float
    level: float
    sum_ms: float
    calibration: str | None
    macs: int
    operators: tuple[PredictedOperator, ...]
    nodes: int
    covered: int
    free: tuple[str, ...]
    fusion: str = ""

    @property
    def beyond(self) -> tuple[PredictedOperator, ...]:
        """The operators that are outside what the model learnt from, the most expensive first."""
        return tuple(row for row in self.operators if row.beyond)


def predict_file(path: Path, device: Device, latency: Path | None, level: float) -> FilePrediction:
    """Predict the ONNX or TFLite file at `path` on `device`.

    Args:
        path: A model of one image input with fixed sizes; an open batch is 1.
        device: With a fitted model.
        latency: The model's folder or a table; by default the newest one of all operators of the
            device, or else of one of its spaces, that can answer for the file.
        level: Of the intervals.

    Raises:
        MissingLatencyError: The device has no model, or none that can answer for all operators.
        UnsupportedOperatorError: Nodes of the file are no operators that are known.
        ConfigError: The model is of another precision, or `level` is none.
        ArtefactError: The file or the model is damaged.
    """
    program = read_program(path)
    refused: list[str] = []
    for folder in _folders(device, latency):
        loaded = read_model(folder)
        check_device(loaded.condition, device.id)
        _check_precision(program, loaded, path)
        known = rules_for(loaded.condition, loaded.origin, elat_home())
        try:
            parts = _answerable(program, loaded, known.rules)
        except MissingOperatorError as reason:
            refused.append(f"{folder}: {reason}")
            continue
        return replace(_predicted(path, program, parts, loaded, level), fusion=known.said)
    found = (
        f"None of {len(refused)} answers for all operators of {path}: {' '.join(refused)}"
        if refused
        else "There is none"
    )
    raise MissingLatencyError(
        f"A latency model of {device.id} is needed. {found}. One for operators of every kind is "
        f"made with: elat measure --device {device.id} --generate 300; elat fit --device "
        f"{device.id} --generated."
    )


def _folders(device: Device, latency: Path | None) -> Iterator[Path]:
    """Where to look for a model, in order."""
    if latency is not None:
        yield latency
        return
    home = elat_home()
    found = [newest_model(home, device.id, ALL_OPERATORS), newest_model(home, device.id)]
    yield from dict.fromkeys(folder for folder in found if folder is not None)


def _check_precision(program: Program, loaded: LoadedModel, path: Path) -> None:
    known = loaded.condition.precision
    if known is not program.precision:
        raise ConfigError(
            f"{path} is an {program.precision} model, the latencies of {loaded.condition} are of "
            f"{known}; take a device card of {program.precision}."
        )


def _answerable(
    program: Program, loaded: LoadedModel, rules: FusionRules | None
) -> tuple[Part, ...]:
    """The parts of `program` as the model knows them: as blocks if it can, else one by one.

    Raises:
        MissingOperatorError: It can answer for neither.
    """
    blocks = with_fusion(with_blocks(program), rules).parts
    try:
        loaded.model.predict([part.operator for part in blocks])
    except MissingOperatorError:
        parts = with_fusion(program, rules).parts
        loaded.model.predict([part.operator for part in parts])
        return parts
    return blocks


def _predicted(
    path: Path, program: Program, parts: Sequence[Part], loaded: LoadedModel, level: float
) -> FilePrediction:
    operators = [part.operator for part in parts]
    found = loaded.model.predict(operators)
    low, high = found.interval(level)
    total = float(found.latency_ms.sum())
    network = loaded.network.predict(operators)
    if loaded.calibration is None:
        whole = _whole_interval(operators, found.latency_ms, low, high)
    else:
        whole = network.interval(level)
    return FilePrediction(
        file=str(path),
        device=loaded.condition.device,
        condition=str(loaded.condition),
        origin=loaded.origin,
        model=f"{loaded.name} in {loaded.folder}" if loaded.folder else loaded.name,
        latency_ms=network.latency_ms,
        low_ms=whole[0],
        high_ms=whole[1],
        level=level,
        sum_ms=total,
        calibration=loaded.calibration.form if loaded.calibration else None,
        macs=sum(operator.macs for operator in operators),
        operators=_grouped(parts, found.latency_ms, low, high, _domain(loaded)),
        nodes=program.nodes,
        covered=sum(len(part.nodes) for part in parts),
        free=program.free,
    )


def _domain(loaded: LoadedModel) -> Domain:
    """What the model learnt from; one of a new device also from those of other devices."""
    learnt = list(loaded.table)
    if loaded.folder is not None and loaded.name.startswith(TRANSFERRED):
        for source in sorted((loaded.folder / SOURCES).iterdir()):
            learnt += read_table(source / TABLE)
    return Domain.of(learnt)


def _whole_interval(
    operators: Sequence[Operator], latency_ms: Vector, low: Vector, high: Vector
) -> tuple[float, float]:
    """The interval of a sum whose terms err together within a kind, and apart between kinds.

    A model that is too low for one convolution is too low for the next, so that errors of one
    kind are added as they are; those of different kinds as independent ones, by their squares.
    """
    below: dict[str, float] = defaultdict(float)
    above: dict[str, float] = defaultdict(float)
    for operator, ms, least, most in zip(operators, latency_ms, low, high, strict=True):
        below[kind_of(operator)] += float(ms - least)
        above[kind_of(operator)] += float(most - ms)
    total = float(latency_ms.sum())
    under, over = (float(np.sqrt(sum(v**2 for v in d.values()))) for d in (below, above))
    return max(0.0, total - under), total + over


def _grouped(
    parts: Sequence[Part], latency_ms: Vector, low: Vector, high: Vector, domain: Domain
) -> tuple[PredictedOperator, ...]:
    total = float(latency_ms.sum()) or 1.0
    places: dict[Operator, list[int]] = {}
    for index, part in enumerate(parts):
        places.setdefault(part.operator, []).append(index)
    rows = [
        PredictedOperator(
            str(operator),
            kind_of(operator),
            len(where),
            float(latency_ms[where].sum()),
            float(low[where].sum()),
            float(high[where].sum()),
            float(latency_ms[where].sum()) / total,
            tuple(node for index in where for node in parts[index].nodes),
            domain.beyond(operator),
        )
        for operator, where in places.items()
    ]
    return tuple(sorted(rows, key=lambda row: -row.latency_ms))
