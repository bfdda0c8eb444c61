"""Fresh processes of this machine that profile a model, and others that time it, in turn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...core.errors import MeasurementError, UnavailableError
from ...devices.state import fingerprint
from ..condition import Condition
from ..launcher import WorkerLostError, start_worker
from ..request import UNAVAILABLE
from .bench import Bench, Effort, Seen, Subject, probes
from .combine import Pass, Probe, Unprofiled
from .cover import model_name
from .model_file import ModelFile
from .profilers import profilers
from .raw import RawProfile
from .worker import INPUTS

_START_S, _SILENCE_S = 60.0, 600.0


@dataclass(frozen=True)
class HereBench(Bench):
    """This machine, through the profilers that its runtimes bring.

    Attributes:
        affinity: CPUs that the processes are pinned to; None leaves it to the scheduler.
        command: How to start a process; by default one in this Python.
    """

    affinity: Sequence[int] | None = None
    command: Sequence[str] | None = None
    group: ClassVar[int] = 1

    @property
    def environment(self) -> Mapping[str, Any]:
        return fingerprint()

    def unavailable_reason(self, condition: Condition) -> str | None:
        if condition.runtime not in profilers:
            return (
                f"Runtime {condition.runtime} has no profiler; these have: {', '.join(profilers)}."
            )
        return profilers[condition.runtime]().unavailable_reason()

    def see(
        self, subjects: Sequence[Subject], condition: Condition, effort: Effort
    ) -> Iterator[Seen | MeasurementError]:
        for subject in subjects:
            try:
                yield self._seen(subject, condition, effort)
            except MeasurementError as error:
                yield error

    def times_ms(self, subjects: Sequence[Subject], condition: Condition) -> list[float]:
        with tempfile.TemporaryDirectory(prefix="elat-") as name:
            folders = [
                _placed(Path(name) / str(index), subject.model)
                for index, subject in enumerate(subjects)
            ]
            asked = _Asked(f"{len(subjects)} models", str, folders, condition, 1, self)
            return [float(time_ms) for time_ms in asked.answer("time", "times_ms")]

    def _seen(self, subject: Subject, condition: Condition, effort: Effort) -> Seen:
        with tempfile.TemporaryDirectory(prefix="elat-") as name:
            models = (subject.model, *probes(condition))
            folders = [
                _placed(Path(name) / str(index), model) for index, model in enumerate(models)
            ]
            readable = partial(model_name, subject.model)
            asked = _Asked(subject.name, readable, folders, condition, effort.runs, self)
            passes: list[Pass] = []
            timed: list[Unprofiled] = []
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
    folders: Sequence[Path]
    condition: Condition
    runs: int
    bench: HereBench

    def answer(self, task: str, key: str) -> list[Any]:
        """What a fresh process answers.

        Raises:
            UnavailableError: It says that something is missing here.
            MeasurementError: It says that it failed, or it ended without a word.
        """
        command = self.bench.command or [sys.executable, "-P", "-m", f"{__package__}.worker"]
        affinity = self.bench.affinity
        request = {
            "task": task,
            "models": [str(folder) for folder in self.folders],
            "condition": self.condition.to_json(),
            "runs": self.runs,
            "affinity": None if affinity is None else list(affinity),
        }
        with start_worker(command, _START_S) as worker:
            worker.send(request)
            try:
                message = worker.receive(_SILENCE_S)
            except WorkerLostError as error:
                raise MeasurementError(
                    f"The process that should {task} {self.subject} was lost. {error}"
                ) from error
        if refusal := message.get("error"):
            kind = UnavailableError if refusal["class"] == UNAVAILABLE else MeasurementError
            raise kind(f"{self.subject}: {self.readable(refusal['message'])}")
        return list(message[key])


def _placed(folder: Path, model: ModelFile) -> Path:
    """`folder`, made, with `model` and made-up inputs in it."""
    folder.mkdir()
    (folder / f"model{model.suffix}").write_bytes(model.data)
    inputs = {f"input{index}": array for index, array in enumerate(model.seeded_inputs())}
    np.savez(folder / INPUTS, allow_pickle=False, **inputs)
    return folder
