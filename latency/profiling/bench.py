"""Where models are profiled, and timed without: this machine, or a device elsewhere."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...core.errors import ConfigError, MeasurementError
from ..condition import Condition
from ..graph.ir import Activation, Graph, GraphBuilder
from ..precision import Precision
from ..runtimes import runtimes
from .combine import Pass, Unprofiled
from .model_file import ModelFile, read_model

_SHORT, _LONG = 4, 28
_JOINED = 8


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


@dataclass(frozen=True)
class Subject:
    """A model, and what it is called in messages."""

    name: str
    model: ModelFile


@dataclass(frozen=True)
class Seen:
    """What was found of one model, profiling it and timing it without in turn."""

    passes: tuple[Pass, ...]
    timed: tuple[Unprofiled, ...]


class Bench(ABC):
    """A machine on which models are profiled.

    Attributes:
        group: How many models are best handed over at once.
    """

    group: ClassVar[int]

    @property
    @abstractmethod
    def environment(self) -> Mapping[str, Any]:
        """What the machine is, as it is stored beside a profile."""

    @abstractmethod
    def unavailable_reason(self, condition: Condition) -> str | None:
        """Why nothing can be profiled under `condition`, with what could, or None if it can."""

    @abstractmethod
    def see(
        self, subjects: Sequence[Subject], condition: Condition, effort: Effort
    ) -> Iterator[Seen | MeasurementError]:
        """What is found of each of `subjects`, or why nothing is, in their order.

        Raises:
            UnavailableError: Something is missing on the machine, or it is out of reach.
            ConfigError: The condition, or an input of a model, cannot be had there.
        """

    @abstractmethod
    def times_ms(self, subjects: Sequence[Subject], condition: Condition) -> list[float]:
        """Time of one run of each of `subjects`, without profiling, in milliseconds.

        Raises:
            UnavailableError: Something is missing on the machine, or it is out of reach.
            MeasurementError: One of them does not run there.
        """


def probes(condition: Condition) -> tuple[ModelFile, ...]:
    """A short and a long chain of tiny nodes with few tensors each, then both with many."""
    return tuple(
        _probe(graph(length), condition) for graph in (_few, _many) for length in (_SHORT, _LONG)
    )


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
