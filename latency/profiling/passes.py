"""Fresh processes that profile a model, and others that time it without, in turn."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...core.errors import ConfigError, MeasurementError, UnavailableError
from ..condition import Cache, Condition
from ..graph.ir import Activation, Graph, GraphBuilder
from ..launcher import WorkerLostError, start_worker
from ..precision import Precision
from ..request import UNAVAILABLE
from ..runtimes import runtimes
from .combine import Pass, Probe, Unprofiled, combine
from .cover import model_name
from .model_file import ModelFile, read_model
from .profile import Profile
from .profilers import profilers
from .raw import RawProfile
from .worker import INPUTS

_SHORT, _LONG = 4, 28
_JOINED = 8
_START_S, _SILENCE_S = 60.0, 600.0


@dataclass(frozen=True)
class Effort:
    """How much to profile.

    Attributes:
        runs: Profiled runs of each process.
        processes: Processes that profile, and as many that time without; they alternate, so that
            what changes with the machine's speed changes for both.
    """

    runs: int = 40
    processes: int = 3

    def __post_init__(self) -> None:
        if self.runs < 1 or self.processes < 1:
            raise ConfigError(
                f"At least one run and one process are needed, found {self.runs} and "
                f"{self.processes}."
            )


def unavailable_reason(condition: Condition) -> str | None:
    """Why nothing can be profiled under `condition`, with what could, or None if it can."""
    if condition.cache is not Cache.HOT:
        return f"Profiles are of runs with warm caches; the condition has {condition.cache} ones."
    if condition.runtime not in profilers:
        return f"Runtime {condition.runtime} has no profiler; these have: {', '.join(profilers)}."
    return profilers[condition.runtime]().unavailable_reason()


def profile_file(
    path: Path,
    condition: Condition,
    *,
    effort: Effort = Effort(),
    affinity: Sequence[int] | None = None,
    worker_command: Sequence[str] | None = None,
) -> tuple[ModelFile, Profile]:
    """The model at `path`, and where its time goes under `condition`.

    Sizes that the file leaves open are fixed to the condition's batch, and inputs are made up.

    Args:
        path: Of a model file of the condition's runtime, whoever wrote it.
        condition: Under which; its precision says nothing of a file that is not made here.
        effort: How much to profile.
        affinity: CPUs that the processes are pinned to; None leaves it to the scheduler.
        worker_command: How to start a process; by default one in this Python.

    Raises:
        UnavailableError: The runtime has no profiler, or it is not reachable here.
        ArtefactError: The file is missing or no whole model.
        ConfigError: The file is of another format, or nothing can be made up for an input.
        MeasurementError: The runtime refuses the model, or its profiler crashed on it.
    """
    if reason := unavailable_reason(condition):
        raise UnavailableError(reason)
    model = read_model(path, runtimes[condition.runtime]().suffix, condition.batch)
    with tempfile.TemporaryDirectory(prefix="elat-") as name:
        folders = [
            _placed(Path(name) / "model", model),
            *(
                _placed(Path(name) / f"{graph.__name__}{length}", _probe(graph(length), condition))
                for graph in (_few, _many)
                for length in (_SHORT, _LONG)
            ),
        ]
        passes: list[Pass] = []
        timed: list[Unprofiled] = []
        asked = _Asked(
            str(path),
            partial(model_name, model),
            folders,
            condition,
            effort.runs,
            affinity,
            worker_command,
        )
        for _ in range(effort.processes):
            raw = [RawProfile.from_json(data) for data in asked.answer("profile", "profiles")]
            passes.append(Pass(raw[0], Probe(*raw[1:3]), Probe(*raw[3:5])))
            timed.append(Unprofiled(*asked.answer("time", "times_ms")))
    return model, combine(model, passes, timed, condition)


def ask_times_ms(
    paths: Sequence[Path], condition: Condition, *, affinity: Sequence[int] | None = None
) -> list[float]:
    """Time of one run of each model at `paths` in a fresh process, without profiling, in ms.

    Raises:
        UnavailableError, ArtefactError, ConfigError, MeasurementError: As `profile_file`.
    """
    if reason := unavailable_reason(condition):
        raise UnavailableError(reason)
    suffix = runtimes[condition.runtime]().suffix
    with tempfile.TemporaryDirectory(prefix="elat-") as name:
        folders = [
            _placed(Path(name) / str(index), read_model(path, suffix, condition.batch))
            for index, path in enumerate(paths)
        ]
        asked = _Asked(f"{len(paths)} models", str, folders, condition, 1, affinity, None)
        return [float(time_ms) for time_ms in asked.answer("time", "times_ms")]


@dataclass(frozen=True)
class _Asked:
    """What processes are asked about, what it is called, and how a message is to be read."""

    subject: str
    readable: Callable[[str], str]
    folders: Sequence[Path]
    condition: Condition
    runs: int
    affinity: Sequence[int] | None
    command: Sequence[str] | None

    def answer(self, task: str, key: str) -> list[Any]:
        """What a fresh process answers.

        Raises:
            UnavailableError: It says that something is missing here.
            MeasurementError: It says that it failed, or it ended without a word.
        """
        command = self.command or [sys.executable, "-P", "-m", f"{__package__}.worker"]
        request = {
            "task": task,
            "models": [str(folder) for folder in self.folders],
            "condition": self.condition.to_json(),
            "runs": self.runs,
            "affinity": None if self.affinity is None else list(self.affinity),
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


def _probe(graph: Graph, condition: Condition) -> ModelFile:
    """`graph` as the condition's runtime has it written, in float32."""
    runtime = runtimes[condition.runtime]()
    with tempfile.TemporaryDirectory(prefix="elat-") as name:
        path = Path(name) / f"model{runtime.suffix}"
        path.write_bytes(runtime.write(graph, Precision.FP32))
        return read_model(path, runtime.suffix, 1)


def _few(length: int) -> Graph:
    """A chain of nodes that do next to nothing, none of which can be fused: two tensors each."""
    builder = GraphBuilder()
    value = builder.input((1, 8))
    for _ in range(length):
        value = builder.activate(value, Activation.SIGMOID)
    return builder.finish(value)


def _many(length: int) -> Graph:
    """The same of pairs of nodes that join a tensor with itself many times, and cut one out."""
    builder = GraphBuilder()
    value = builder.input((1, 1, 2, 2))
    for _ in range(length // 2):
        joined = builder.concat((value,) * _JOINED)
        value = builder.slice(joined, (0, 0, 0), (1, 2, 2))
    return builder.finish(value)
