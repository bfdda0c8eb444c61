"""What every inference runtime offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...core.errors import ConfigError
from ..precision import Precision
from ..sample import Interval, Sample

if TYPE_CHECKING:
    from ...devices.device import Device
    from ..condition import Condition
    from ..graph.ir import Array, Graph
    from ..graph.quantise import Quantisation

Options = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class Compiled:
    """What a runtime made of an artefact for one kind of device.

    Attributes:
        size: In bytes.
        seconds: What it took when it was made.
        facts: What else is to be said of it.
    """

    size: int
    seconds: float
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)


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

    def facts(self) -> dict[str, Any]:
        """What is to be noted of the loaded artefact with every launch."""
        return {}


class Runtime(ABC):
    """Writes graphs as artefacts and opens artefacts as sessions. Its constructor does nothing.

    Attributes:
        origin: What its numbers are: `measured`, or `simulated` where no device was timed.
        precisions: The number formats that it writes and runs.
        launch: How a launch comes to be: in a worker `process`, or by another program's name.
        worker: The module below `elat.latency` whose process takes its launches.
        needs_gpu: Whether it works on the GPU that a card names.
        is_driven_from_here: Whether a process of this machine takes its launches, wherever the
            device is; `is_driven_on` says it of one device.
    """

    origin: ClassVar[str] = "measured"
    precisions: ClassVar[frozenset[Precision]] = frozenset({Precision.FP32, Precision.INT8})
    launch: ClassVar[str] = "process"
    worker: ClassVar[str] = "worker"
    needs_gpu: ClassVar[bool] = False
    is_driven_from_here: ClassVar[bool] = False

    @property
    @abstractmethod
    def suffix(self) -> str:
        """File suffix of its artefacts, with the dot; runtimes that share one share artefacts."""

    @abstractmethod
    def unavailable_reason(self) -> str | None:
        """Why this runtime cannot run here, with the repair, or None if it can."""

    @abstractmethod
    def version(self, options: Mapping[str, Any] | None = None) -> str:
        """Name and version of the installed package, for the condition.

        Args:
            options: Which of several packages, where the runtime has an option for it.

        Raises:
            UnavailableError: It is not installed.
        """

    @abstractmethod
    def options(self, given: Mapping[str, Any]) -> Options:
        """All options with their values: `given`, defaults for the rest.

        Raises:
            ConfigError: A name or value is unknown.
        """

    @classmethod
    def is_driven_on(cls, device: Device) -> bool:
        """Whether a process of this machine takes its launches on `device`."""
        return cls.is_driven_from_here

    def version_on(self, device: Device, options: Options) -> str:
        """Name and version of what runs on `device`, for the condition.

        Raises:
            UnavailableError: It is not there.
        """
        return self.version(options)

    def options_on(self, device: Device) -> Mapping[str, Any]:
        """What the card of `device` adds to the options of its runtime section."""
        return {}

    def check(self, options: Options, precision: Precision) -> None:
        """Refuse `options` that do not go with `precision`.

        Raises:
            ConfigError: They do not.
        """
        return

    def interval(self, options: Mapping[str, Any]) -> Interval:
        """Between which two moments its clock runs under `options`."""
        return Interval.HOST_TO_HOST

    def environment(self, condition: Condition) -> dict[str, Any]:
        """What besides the machine's fingerprint a latency under `condition` depends on."""
        return {}

    def state(self, condition: Condition) -> dict[str, Any]:
        """What is to be noted of the moment besides the machine's state."""
        return {}

    def compile(self, artefact: Path, condition: Condition, target: str | None) -> Compiled:
        """What this runtime makes of `artefact` before it runs, kept beside it.

        Args:
            artefact: The model file.
            condition: Under which it will run.
            target: A kind of device, such as the compute capability `sm86`, to compile for ahead
                of time; None for the device that is here.

        Raises:
            ConfigError: It compiles nothing ahead of time, or not for `target`.
            UnsupportedOperatorError: It refuses the model.
            MeasurementError: It fails.
        """
        if target is not None:
            raise ConfigError(
                f"{condition.runtime} compiles nothing ahead of time; leave {target} out."
            )
        return Compiled(artefact.stat().st_size, 0.0)

    @property
    def empties_caches(self) -> bool:
        """Whether its sessions empty the caches by themselves where the condition wants it."""
        return False

    @abstractmethod
    def write(
        self, graph: Graph, precision: Precision, quantisation: Quantisation | None = None
    ) -> bytes:
        """The artefact of `graph` in `precision`, which is int8 where `quantisation` is given.

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
