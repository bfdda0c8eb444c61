"""This machine as a bench: fresh processes that profile, through the runtimes' own profilers."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...core.errors import MeasurementError
from ...devices.state import fingerprint
from ..condition import Condition
from ..launcher import WorkerLostError
from .bench import Bench, Effort, Seen, Subject
from .processes import Desk, no_profiler_reason, see, time_ms
from .profilers import profilers


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
        reason = no_profiler_reason(condition)
        return reason or profilers[condition.runtime]().unavailable_reason()

    def see(
        self, subjects: Sequence[Subject], condition: Condition, effort: Effort
    ) -> Iterator[Seen | MeasurementError]:
        return see(subjects, condition, effort, self.affinity, self._desk)

    def times_ms(self, subjects: Sequence[Subject], condition: Condition) -> list[float]:
        return time_ms(subjects, condition, self.affinity, self._desk)

    @property
    def _desk(self) -> Desk:
        return _HereDesk(self.command or [sys.executable, "-P", "-m", f"{__package__}.worker"])


class _HereDesk(Desk):
    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    def command(self) -> Sequence[str]:
        return self._words

    @contextmanager
    def lent(self, folders: Sequence[Path]) -> Iterator[list[str]]:
        yield [str(folder) for folder in folders]

    def is_cut_off(self, error: WorkerLostError) -> bool:
        return False
