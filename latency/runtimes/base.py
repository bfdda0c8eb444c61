"""What every inference runtime offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ..sample import Sample

if TYPE_CHECKING:
    from ..condition import Condition
    from ..graph.ir import Array, Graph
    from ..graph.quantise import Quantisation

Options = dict[str, str | int | float | bool]


class Loop(ABC):
    """What can be run back to back."""

    @abstractmethod
    def time_loops(self, loops: int) -> Sample:
        """Time `loops` back-to-back runs, device synchronised at both ends, copies outside."""


class Session(Loop):
    """One loaded artefact with its inputs in place."""

    @abstractmethod
    def output(self) -> Array:
        """Run once, untimed, and return the output as float32 in torch's layout (NCHW or NC)."""


class Runtime(ABC):
    """Writes graphs as artefacts and opens artefacts as sessions. Its constructor does nothing.

    `origin` is what its numbers are: `measured`, or `simulated` where no device was timed.
    """

    origin: ClassVar[str] = "measured"

    @property
    @abstractmethod
    def suffix(self) -> str:
        """File suffix of its artefacts, with the dot; runtimes that share one share artefacts."""

    @abstractmethod
    def unavailable_reason(self) -> str | None:
        """Why this runtime cannot run here, with the repair, or None if it can."""

    @abstractmethod
    def version(self) -> str:
        """Name and version of the installed package, for the condition.

        Raises:
            UnavailableError: It is not installed.
        """

    @abstractmethod
    def options(self, given: Mapping[str, Any]) -> Options:
        """All options with their values: `given`, defaults for the rest.

        Raises:
            ConfigError: A name or value is unknown.
        """

    @abstractmethod
    def write(self, graph: Graph, quantisation: Quantisation | None) -> bytes:
        """The artefact of `graph`: float32, or full-integer int8 where `quantisation` is given.

        Raises:
            UnsupportedOperatorError: A node has no counterpart in this runtime.
        """

    @abstractmethod
    def open(
        self, artefact: Path, inputs: Sequence[Array], condition: Condition
    ) -> AbstractContextManager[Session]:
        """Load `artefact`, place `inputs` (float32, NCHW or NC), yield a session, free all.

        Raises:
            MeasurementError: The runtime refuses the artefact.
        """
