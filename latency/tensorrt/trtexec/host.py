"""Where trtexec runs: this machine, or a device that is driven from here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ....core.errors import MeasurementError
from ...artefacts import Artefact
from ...condition import Condition
from ..tensors import TensorInfo
from .engines import Workshop
from .process import Finished
from .tool import Tool


@dataclass(frozen=True)
class LaidOut:
    """An engine and its inputs, where trtexec runs; all paths are of that machine.

    Attributes:
        folder: Commands run in it, and write there.
        plan: The engine as a command names it, and `inputs`: the file of each input by its name.
        where: The folder that holds the engine, as people find it.
        description: How the engine came to be, as `StoredEngine.description`.
        layers: What TensorRT told of its layers; None where it told nothing readable.
    """

    folder: Path
    plan: Path
    inputs: Mapping[str, str] = field(hash=False)
    where: str
    description: Mapping[str, Any] = field(hash=False)
    layers: Any | None = field(hash=False)


class Host(ABC):
    """A machine that trtexec runs on.

    Attributes:
        is_here: Whether it is this one.
    """

    is_here: ClassVar[bool] = False

    @abstractmethod
    def tool(self, name: str) -> Tool:
        """The program `name` there.

        Raises:
            UnavailableError: There is none, it does not run, or its version is not known.
        """

    @abstractmethod
    def identity(self, gpu: int) -> dict[str, Any]:
        """What the driver there tells of the GPU number `gpu`; nothing where it is not asked."""

    @abstractmethod
    def pin(self, affinity: tuple[int, ...] | None) -> None:
        """Keep trtexec on the CPUs `affinity`; None leaves it to the scheduler.

        Raises:
            ConfigError: There are no such CPUs.
        """

    @abstractmethod
    def signs_of_life(self, beat: Callable[[], None]) -> AbstractContextManager[None]:
        """Has `beat` called every few seconds by all that waits for the machine."""

    @abstractmethod
    def lay_out(
        self, artefact: Artefact, ends: Sequence[TensorInfo], workshop: Workshop
    ) -> AbstractContextManager[LaidOut]:
        """The engine of `artefact`, built unless it was built before, ready to be run.

        Args:
            artefact: Its inputs are those that the engine is given.
            ends: Of its model.
            workshop: What builds the engine.

        Raises:
            UnsupportedOperatorError: TensorRT refuses a node.
            ConfigError: The version of trtexec has no such engines.
            MeasurementError: No engine comes out, or it takes other inputs.
            ArtefactError: The engine that is there was changed.
        """

    @abstractmethod
    def run(
        self, command: Sequence[str], folder: Path, limit_s: float, beat: Callable[[], None]
    ) -> Finished:
        """Run `command` in `folder` there, as `run_trtexec`; outputs of earlier runs go."""

    @abstractmethod
    def content(self, path: Path) -> bytes:
        """Content of the file `path` there.

        Raises:
            FileNotFoundError: There is none.
        """

    @abstractmethod
    def state(self, condition: Condition) -> dict[str, Any]:
        """The machine's state now that a case has been timed."""

    @abstractmethod
    def environment(self, condition: Condition) -> dict[str, Any]:
        """What a latency there depends on; of this machine, besides its fingerprint."""


def encoded_inputs(artefact: Artefact, ends: Sequence[TensorInfo]) -> dict[str, bytes]:
    """The bytes that trtexec reads for each input of `artefact`, by its name.

    Raises:
        MeasurementError: The model takes another number of inputs.
    """
    given = ends[:-1]
    if len(given) != len(artefact.inputs):
        raise MeasurementError(
            f"{artefact.model_path} takes {len(given)} inputs, got {len(artefact.inputs)}."
        )
    return {
        info.name: info.encoded(array).tobytes()
        for info, array in zip(given, artefact.inputs, strict=True)
    }
