"""One cell of a sweep: a search, its verification and its training, in one run folder.

The stages are the flows of the verbs. Beside what these write, the folder holds `cell.json`, what
was asked for; `effort.json`, what the stages took; and `failed.json`, why the last one failed.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..core.artefact import canonical_json, read_json, write_json
from ..core.errors import ArtefactError, ConfigError, ElatError
from ..reports.sweep import Effort, SweepRow
from ..search.result import CERTIFICATE, RESULT, TRAINING, Run, read_run
from .searching import SearchOrder, run_search
from .sweep_settings import Cell, Training, Verification
from .train import TrainOrder, train_run
from .verify import VerifyOrder, verify_run

CELL = "cell.json"
EFFORT = "effort.json"
FAILED = "failed.json"
_SAVE_EVERY_S = 5.0


class Stage(StrEnum):
    """What is done with a cell, in this order."""

    SEARCH = "search"
    VERIFY = "verify"
    TRAIN = "train"

    @property
    def record(self) -> str:
        """The file that says that the stage is done."""
        return {Stage.SEARCH: RESULT, Stage.VERIFY: CERTIFICATE, Stage.TRAIN: TRAINING}[self]


@dataclass(frozen=True)
class CellOrder:
    """A cell and where its files are; it travels to the worker that does it.

    Attributes:
        search_settings: YAML file of the strategy's settings.
        train_settings: YAML file of the training's settings.
        also: Further devices to measure on.
    """

    cell: Cell
    folder: Path
    search_settings: Path
    train_settings: Path
    verify: Verification | None
    train: Training | None
    also: tuple[str, ...]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that were asked for."""
        wanted = ((Stage.VERIFY, self.verify), (Stage.TRAIN, self.train))
        return (Stage.SEARCH, *(stage for stage, asked in wanted if asked is not None))

    def is_done(self, stage: Stage) -> bool:
        """Whether the record of `stage` is there."""
        return (self.folder / stage.record).exists()

    @property
    def search(self) -> SearchOrder:
        """The search, as `elat search` is asked for it."""
        target, bound = self.cell.target, self.cell.bound
        is_timed = target is not None and bound.is_on_latency
        return SearchOrder(
            space=self.cell.space,
            out=self.folder,
            devices=(target.device,) if target is not None and is_timed else (),
            latency=(target.latency,) if target and is_timed and target.latency else (),
            bound_ms=() if bound.ms is None else (bound.ms,),
            bound_quantile=() if bound.quantile is None else (bound.quantile,),
            bound_macs=bound.macs,
            data=self.cell.data,
            strategy=self.cell.method.name,
            seed=self.cell.seed,
            config=self.search_settings,
        )

    @property
    def verification(self) -> VerifyOrder:
        """The verification, as `elat verify` is asked for it."""
        target = self.cell.target
        return VerifyOrder(
            folder=self.folder,
            device=None if target is None else target.device,
            also=self.also,
            latency=(target.latency,) if target is not None and target.latency else (),
            store=None,
            protocol=self.verify.protocol if self.verify else "",
            seed=self.cell.seed,
        )

    @property
    def training(self) -> TrainOrder:
        """The training, as `elat train` is asked for it; cells of one seed train alike."""
        seeds = self.train.seeds if self.train else 0
        return TrainOrder(
            folder=self.folder,
            data=self.cell.data,
            seeds=seeds,
            seed=self.cell.seed * seeds,
            config=self.train_settings,
            overrides=(),
            compared=False,
        )


def run_search_cell(order: CellOrder) -> None:
    """Search, or go on with it; leaves `result.json`."""
    _run(order, Stage.SEARCH, lambda: run_search(order.search).steps)


def run_verify_cell(order: CellOrder) -> None:
    """Measure and repair; leaves `certificate.json`. To be alone on the machine."""
    _run(order, Stage.VERIFY, lambda: verify_run(order.verification))


def run_train_cell(order: CellOrder) -> None:
    """Train, or go on with it; leaves `training.json`."""
    _run(order, Stage.TRAIN, lambda: train_run(order.training))


def claim(order: CellOrder) -> None:
    """Write down what is asked of the cell, or check that its folder was begun for the same.

    Raises:
        ConfigError: The folder holds a cell with other settings.
    """
    path = order.folder / CELL
    wanted = _identity(order)
    if path.exists():
        found = read_json(path)
        done = [stage.value for stage in order.stages if order.is_done(stage)]
        for name in (Stage.SEARCH.value, *done):
            if canonical_json(found.get(name)) != canonical_json(wanted[name]):
                raise ConfigError(
                    f"{order.folder} was begun with other settings of its {name} than the sweep "
                    "has now; choose another --out, or delete the folder to do the cell again."
                )
    write_json(path, wanted)


def record_failure(order: CellOrder, stage: Stage, error: ElatError) -> None:
    """Leave `failed.json`, which says why `stage` failed."""
    said = {"stage": stage.value, "error": type(error).__name__, "message": str(error)}
    write_json(order.folder / FAILED, said)


def row_of(order: CellOrder) -> SweepRow:
    """What is known of the cell by now."""
    cell = order.cell
    failed = order.folder / FAILED
    empty = SweepRow(
        cell=cell.name,
        space=cell.space,
        data=cell.data,
        device=None if cell.target is None else cell.target.label or cell.target.device,
        bound=cell.bound.text,
        method=cell.method.title,
        strategy=cell.method.name,
        seed=cell.seed,
        effort=efforts_of(order.folder),
        failure=read_json(failed)["message"] if failed.exists() else None,
    )
    return _with_records(empty, order) if order.is_done(Stage.SEARCH) else empty


def _with_records(row: SweepRow, order: CellOrder) -> SweepRow:
    """`row` with what the run folder's records say of the network that was settled on."""
    run = read_run(order.folder)
    certificate, best = run.certificate, run.result.best
    chosen = best.architecture if certificate is None else certificate.architecture
    candidates = [c for c in run.result.candidates if c.architecture == chosen]
    trained = None if run.training is None else run.training.network
    return replace(
        row,
        limit=run.result.limits[0],
        predicted=_predicted(run),
        supernet_accuracy=candidates[0].accuracy if candidates else None,
        macs=best.macs if certificate is None else certificate.macs,
        params=best.params if certificate is None else certificate.params,
        measured=None if certificate is None else certificate.measured[0],
        is_met=None if certificate is None else certificate.is_met,
        test_accuracy=() if trained is None else trained.test_accuracy,
        weight_steps=run.result.steps,
    )


def _predicted(run: Run) -> float | None:
    """Cost of the network by the model, in the unit of the bound."""
    limit, certificate = run.result.limits[0], run.certificate
    if certificate is None:
        return run.result.best.predicted[0]
    if limit.unit == "ms":
        return certificate.predicted_ms.get(limit.name)
    return float(certificate.macs)


def _identity(order: CellOrder) -> dict[str, Any]:
    """What decides the cell's numbers, by stage."""
    cell = order.cell
    search = {
        "space": cell.space,
        "target": None if cell.target is None else cell.target.model_dump(mode="json"),
        "bound": cell.bound.model_dump(mode="json"),
        "strategy": cell.method.model_dump(mode="json"),
        "seed": cell.seed,
        "data": cell.data,
    }
    verify = None if order.verify is None else order.verify.model_dump(mode="json")
    train = None if order.train is None else order.train.model_dump(mode="json")
    return {Stage.SEARCH.value: search, Stage.VERIFY.value: verify, Stage.TRAIN.value: train}


def _run(order: CellOrder, stage: Stage, start: Callable[[], Iterator[Any]]) -> None:
    """Iterate what `start` returns to its end, adding up what it takes."""
    order.folder.mkdir(parents=True, exist_ok=True)
    with held(order.folder), metered(order.folder, stage) as save:
        (order.folder / FAILED).unlink(missing_ok=True)
        for _ in start():
            save()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps other processes out of the cell; the system lets go when this one dies.

    A worker that its scheduler lost may still be at work when another one takes the item up.

    Raises:
        ArtefactError: Another process is at work in the folder.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtefactError(
                f"Another process is at work in {folder}; let it finish, then run the same "
                "command again."
            ) from None
        yield


@contextmanager
def metered(folder: Path, stage: Stage) -> Iterator[Callable[[], None]]:
    """Adds the time of the block to that of `stage`; call what it yields now and then.

    A process that is killed loses at most the seconds since that was called.
    """
    before = dict(efforts_of(folder))
    base = before.get(stage.value, Effort(0.0, 0.0))
    wall, cpu = time.monotonic(), time.process_time()
    saved = wall

    def write() -> None:
        now = Effort(
            round(base.wall_s + time.monotonic() - wall, 3),
            round(base.cpu_s + time.process_time() - cpu, 3),
        )
        efforts = {**before, stage.value: now}
        write_json(folder / EFFORT, {name: asdict(effort) for name, effort in efforts.items()})

    def save() -> None:
        nonlocal saved
        if time.monotonic() - saved >= _SAVE_EVERY_S:
            saved = time.monotonic()
            write()

    try:
        yield save
    finally:
        write()


def efforts_of(folder: Path) -> tuple[tuple[str, Effort], ...]:
    """What each stage in `folder` has taken by now."""
    path = folder / EFFORT
    found = read_json(path) if path.exists() else {}
    return tuple((name, Effort(**effort)) for name, effort in sorted(found.items()))
