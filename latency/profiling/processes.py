"""Fresh processes that profile a model, and others that time it, in turn, wherever they run."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import MeasurementError, UnavailableError
from ..condition import Condition
from ..launcher import NoWorkerError, WorkerLostError, start_worker
from ..request import UNAVAILABLE
from .bench import Effort, Seen, Subject, probes
from .combine import Pass, Probe, Unprofiled
from .cover import model_name
from .model_file import ModelFile
from .profilers import profilers
from .raw import RawProfile
from .worker import INPUTS

_START_S, _SILENCE_S = 60.0, 600.0


class Desk(ABC):
    """Where processes of `profiling/worker.py` run, and what they find there."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The command of this machine that starts a fresh process there.

        Raises:
            TransportError: It is out of reach.
        """

    @abstractmethod
    def lent(self, folders: Sequence[Path]) -> AbstractContextManager[Sequence[str]]:
        """Where the processes find `folders` of this machine, for as long as the block lasts.

        Raises:
            TransportError: It is out of reach, or is full.
        """

    @abstractmethod
    def is_cut_off(self, error: WorkerLostError) -> bool:
        """Whether a process was only cut off, so that another one may be asked the same.

        Raises:
            TransportError: It was, and the place stays out of reach.
        """


def no_profiler_reason(condition: Condition) -> str | None:
    """Why no process profiles under `condition`, wherever it runs; None where some may."""
    if condition.runtime in profilers:
        return None
    return f"Runtime {condition.runtime} has no profiler; these have: {', '.join(profilers)}."


def see(
    subjects: Sequence[Subject],
    condition: Condition,
    effort: Effort,
    affinity: Sequence[int] | None,
    desk: Desk,
) -> Iterator[Seen | MeasurementError]:
    """What processes at `desk` find of each of `subjects`, or why nothing, in their order.

    Raises:
        UnavailableError: Something is missing there, or it is out of reach.
    """
    for subject in subjects:
        try:
            yield _seen(subject, condition, effort, affinity, desk)
        except MeasurementError as error:
            yield error


def time_ms(
    subjects: Sequence[Subject],
    condition: Condition,
    affinity: Sequence[int] | None,
    desk: Desk,
) -> list[float]:
    """Time of one run of each of `subjects` in a process at `desk`, in milliseconds.

    Raises:
        UnavailableError: Something is missing there, or it is out of reach.
        MeasurementError: One of them does not run there.
    """
    with tempfile.TemporaryDirectory(prefix="elat-") as name:
        folders = _placed(Path(name), [subject.model for subject in subjects])
        with desk.lent(folders) as there:
            named = f"{len(subjects)} models"
            asked = _Asked(named, str, there, condition, 1, affinity, desk)
            return [float(time_ms) for time_ms in asked.answer("time", "times_ms")]


def _seen(
    subject: Subject,
    condition: Condition,
    effort: Effort,
    affinity: Sequence[int] | None,
    desk: Desk,
) -> Seen:
    passes: list[Pass] = []
    timed: list[Unprofiled] = []
    with tempfile.TemporaryDirectory(prefix="elat-") as name:
        folders = _placed(Path(name), (subject.model, *probes(condition)))
        with desk.lent(folders) as there:
            readable = partial(model_name, subject.model)
            asked = _Asked(subject.name, readable, there, condition, effort.runs, affinity, desk)
            for _ in range(effort.processes):
                raw = [RawProfile.from_json(data) for data in asked.answer("profile", "profiles")]
                passes.append(Pass(raw[0], Probe(*raw[1:3]), Probe(*raw[3:5])))
                timed.append(Unprofiled(*asked.answer("time", "times_ms")))
    return Seen(tuple(passes), tuple(timed))


@dataclass(frozen=True)
class _Asked:
    """What processes are asked about, what it is called, and how a message is to be read."""

    subject: str
    readable: Callable[[str], str]
    folders: Sequence[str]
    condition: Condition
    runs: int
    affinity: Sequence[int] | None
    desk: Desk

    def answer(self, task: str, key: str) -> list[Any]:
        """What a fresh process answers.

        Raises:
            UnavailableError: It says that something is missing there.
            MeasurementError: It says that it failed, or it ended without a word.
        """
        request = {
            "task": task,
            "models": list(self.folders),
            "condition": self.condition.to_json(),
            "runs": self.runs,
            "affinity": None if self.affinity is None else list(self.affinity),
        }
        while (message := self._answered(request)) is None:
            pass
        if refusal := message.get("error"):
            kind = UnavailableError if refusal["class"] == UNAVAILABLE else MeasurementError
            raise kind(f"{self.subject}: {self.readable(refusal['message'])}")
        return list(message[key])

    def _answered(self, request: dict[str, Any]) -> dict[str, Any] | None:
        """What one process answers; None where it was cut off."""
        try:
            with start_worker(self.desk.command(), _START_S) as worker:
                worker.send(request)
                return worker.receive(_SILENCE_S)
        except NoWorkerError as error:
            if not self.desk.is_cut_off(error.lost):
                raise
        except WorkerLostError as error:
            if not self.desk.is_cut_off(error):
                raise MeasurementError(
                    f"The process that should {request['task']} {self.subject} was lost. {error}"
                ) from error
        return None


def _placed(root: Path, models: Sequence[ModelFile]) -> list[Path]:
    """A folder in `root` for each of `models`, with made-up inputs beside it."""
    folders = [root / str(index) for index in range(len(models))]
    for folder, model in zip(folders, models, strict=True):
        folder.mkdir()
        (folder / f"model{model.suffix}").write_bytes(model.data)
        inputs = {f"input{index}": array for index, array in enumerate(model.seeded_inputs())}
        np.savez(folder / INPUTS, allow_pickle=False, **inputs)
    return folders
