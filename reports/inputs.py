"""What a report is made of: runs, models, sweeps, exams, studies: folders, each read once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.artefact import MANIFEST, read_json
from ..core.errors import ArtefactError
from ..latency.models.folder import KIND as MODEL
from ..search.exams import KIND as EXAM
from ..search.exams import SUMMARY
from ..search.result import HISTORY, RESULT, Run, read_run
from .aggregation import COSTS, AggregationCosts, read_aggregation_costs
from .exams import ReadExam, read_exam
from .measuring_exam import MEASURING, MeasuringExam, read_measuring_exam
from .method_comparison import COMPARISON, MethodComparison, read_method_comparison
from .models import ModelFolder, read_model_folder
from .sweep import SWEEP, Sweep, read_sweep
from .wirings import WIRINGS, Wirings, read_wirings


@dataclass(frozen=True)
class Step:
    """One line of a search's history; what a strategy does not record is None or empty.

    Attributes:
        expected: E[LAT] for each limit of the search, in the limit's unit.
        lam: Lagrange multiplier of each limit.
        entropy: Mean entropy of the choice blocks, in nats.
        accuracy: Of the training batch, in [0, 1].
        validation_loss: Of the latest architecture step.
    """

    step: int
    phase: str
    loss: float | None
    accuracy: float | None
    validation_loss: float | None
    expected: tuple[float, ...]
    lam: tuple[float, ...]
    entropy: float | None


@dataclass(frozen=True)
class Manifest:
    """How one of the folders came to be, as its manifest tells."""

    folder: Path
    data: Mapping[str, Any]

    @property
    def kind(self) -> str:
        return str(self.data.get("kind", "artefact"))


@dataclass(frozen=True)
class ReportInputs:
    """Everything a figure or table may collect from.

    Attributes:
        histories: Parallel to `runs`.
        sweeps: Each stands for all its cells, whose run folders are not among `runs`.
        wirings: Each stands for all its networks, whose run folders are not among `runs`.
    """

    runs: tuple[Run, ...]
    histories: tuple[tuple[Step, ...], ...]
    models: tuple[ModelFolder, ...]
    manifests: tuple[Manifest, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    exams: tuple[ReadExam, ...] = ()
    aggregations: tuple[AggregationCosts, ...] = ()
    wirings: tuple[Wirings, ...] = ()
    methods: tuple[MethodComparison, ...] = ()
    measuring: tuple[MeasuringExam, ...] = ()


def read_inputs(folders: Iterable[Path]) -> ReportInputs:
    """What `folders` hold: runs, models, sweeps, exams, studies, or folders of such.

    Raises:
        ArtefactError: A folder is not there, nothing in it can be reported, or a file in it is
            cut short.
    """
    asked = [Path(folder) for folder in folders]
    found: dict[Path, None] = {}
    for folder in asked:
        if not folder.is_dir():
            raise ArtefactError(f"{folder} is no folder; give folders of elat search or elat fit.")
        found.update(dict.fromkeys(_usable(folder)))
    runs = tuple(read_run(path) for path in found if _is_run(path))
    models = tuple(read_model_folder(path) for path in found if _is_model(path))
    sweeps = tuple(read_sweep(path) for path in found if _is_sweep(path))
    exams = tuple(read_exam(path) for path in found if _is_exam(path))
    aggregations = tuple(read_aggregation_costs(path) for path in found if _is_aggregation(path))
    wirings = tuple(read_wirings(path) for path in found if _is_study(path))
    methods = tuple(read_method_comparison(path) for path in found if _is_comparison(path))
    measuring = tuple(read_measuring_exam(path) for path in found if _is_measuring(path))
    made = (runs, models, sweeps, exams, aggregations, wirings, methods, measuring)
    if not any(made):
        raise ArtefactError(
            f"{', '.join(map(str, asked)) or 'No folder'} holds neither a finished search nor a "
            "latency model, nor a sweep, an exam, a study or a comparison of methods; make one "
            "with: elat demo --out DIR (or elat search, elat fit, elat sweep, elat exam, "
            "elat study, elat compare-methods)."
        )
    return ReportInputs(
        runs,
        tuple(read_history(run.folder / HISTORY) for run in runs),
        models,
        tuple(_manifests(found)),
        sweeps,
        exams,
        aggregations,
        wirings,
        methods,
        measuring,
    )


def read_history(path: Path) -> tuple[Step, ...]:
    """The steps in the JSON-lines file at `path`, in order; none where there is no file.

    A last line without its end is left out: a search that was stopped may leave one.

    Raises:
        ArtefactError: A line before the last is not a JSON object with a `step`.
    """
    if not path.exists():
        return ()
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtefactError(f"{path} is not readable ({error}); resume the search.") from error
    steps: list[Step] = []
    for number, line in enumerate(lines, start=1):
        try:
            steps.append(_step(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            if number == len(lines):
                break
            raise ArtefactError(
                f"{path}, line {number} is no step of a search ({error}); "
                "it was edited: remove the run folder and search again."
            ) from error
    return tuple(steps)


def _usable(folder: Path) -> list[Path]:
    kinds = (
        _is_run, _is_sweep, _is_exam, _is_model, _is_aggregation, _is_study, _is_comparison,
        _is_measuring,
    )  # fmt: skip
    if any(is_one(folder) for is_one in kinds):
        return [folder]
    inner = sorted(path for path in folder.iterdir() if path.is_dir())
    return [usable for path in inner for usable in _usable(path)]


def _is_run(folder: Path) -> bool:
    return (folder / RESULT).is_file()


def _is_sweep(folder: Path) -> bool:
    return (folder / SWEEP).is_file()


def _is_exam(folder: Path) -> bool:
    return (folder / SUMMARY).is_file() and _has_kind(folder, EXAM)


def _is_model(folder: Path) -> bool:
    return _has_kind(folder, MODEL)


def _is_aggregation(folder: Path) -> bool:
    return (folder / COSTS).is_file()


def _is_study(folder: Path) -> bool:
    return (folder / WIRINGS).is_file()


def _is_comparison(folder: Path) -> bool:
    return (folder / COMPARISON).is_file()


def _is_measuring(folder: Path) -> bool:
    return (folder / MEASURING).is_file()


def _has_kind(folder: Path, kind: str) -> bool:
    path = folder / MANIFEST
    if not path.is_file():
        return False
    data = read_json(path)
    return isinstance(data, dict) and data.get("kind") == kind


def _manifests(folders: Iterable[Path]) -> list[Manifest]:
    found = []
    for folder in folders:
        path = folder / MANIFEST
        if path.is_file():
            data = read_json(path)
            if not isinstance(data, dict):
                raise ArtefactError(f"{path} is no manifest; make {folder} again.")
            found.append(Manifest(folder, data))
    return found


def _step(data: Mapping[str, Any]) -> Step:
    return Step(
        step=int(data["step"]),
        phase=str(data.get("phase", "")),
        loss=_number(data.get("loss")),
        accuracy=_number(data.get("accuracy")),
        validation_loss=_number(data.get("validation_loss")),
        expected=_numbers(data.get("expected")),
        lam=_numbers(data.get("lam")),
        entropy=_number(data.get("entropy")),
    )


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _numbers(value: Sequence[float] | float | None) -> tuple[float, ...]:
    if value is None:
        return ()
    return tuple(map(float, value)) if isinstance(value, list | tuple) else (float(value),)  # type: ignore[arg-type]
