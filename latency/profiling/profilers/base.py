"""What every profiler offers: any model file of its runtime, timed, or profiled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtimes.base import Loop
from ..raw import RawProfile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...condition import Condition


class Profiler(ABC):
    """Runs model files whoever wrote them. Its constructor does nothing, and it needs no torch.

    Inputs are arrays exactly as the file declares them, in its order, layout and number format.
    """

    @abstractmethod
    def unavailable_reason(self) -> str | None:
        """Why it cannot run here, with the repair, or None if it can."""

    @abstractmethod
    def open(
        self, model: Path, inputs: Sequence[NDArray[Any]], condition: Condition
    ) -> AbstractContextManager[Loop]:
        """Load `model` without any profiling, place `inputs`, yield what to time, free all.

        Raises:
            MeasurementError: The runtime refuses the model or an input.
        """

    @abstractmethod
    def profile(
        self, model: Path, inputs: Sequence[NDArray[Any]], condition: Condition, runs: int
    ) -> RawProfile:
        """Load `model` with the runtime's profiler on, warm it up, and profile `runs` runs.

        Raises:
            MeasurementError: The runtime refuses the model or an input, or its profiler says
                something else than expected.
            UnavailableError: The condition has an option under which nothing can be profiled.
        """
