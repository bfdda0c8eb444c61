"""A board as a bench: its own processes profile there what is lent to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from ...core.errors import MeasurementError
from ...devices.device import Device
from ..condition import Condition
from ..launcher import WorkerLostError
from ..place import Loss
from ..profiling.bench import Bench, Effort, Seen, Subject
from ..profiling.processes import Desk, no_profiler_reason, see, time_ms
from .board import Board, open_board

_WORKER = "profiling.worker"


class BoardBench(Bench):
    """A board, through the profilers that its runtimes bring. Made by `open_board_bench`."""

    group: ClassVar[int] = 1

    def __init__(
        self, board: Board, affinity: Sequence[int] | None, environment: Mapping[str, Any]
    ) -> None:
        self._desk = _BoardDesk(board)
        self._affinity = affinity
        self._environment = environment

    @property
    def environment(self) -> Mapping[str, Any]:
        return self._environment

    def unavailable_reason(self, condition: Condition) -> str | None:
        # Whether the profiler is there, the first process says.
        return no_profiler_reason(condition)

    def see(
        self, subjects: Sequence[Subject], condition: Condition, effort: Effort
    ) -> Iterator[Seen | MeasurementError]:
        return see(subjects, condition, effort, self._affinity, self._desk)

    def times_ms(self, subjects: Sequence[Subject], condition: Condition) -> list[float]:
        return time_ms(subjects, condition, self._affinity, self._desk)


class _BoardDesk(Desk):
    def __init__(self, board: Board) -> None:
        self._board = board

    def command(self) -> list[str]:
        self._board.ensure_held()
        return self._board.command_of(_WORKER)

    @contextmanager
    def lent(self, folders: Sequence[Path]) -> Iterator[list[str]]:
        with self._board.lent(folders) as there:
            yield there
        self._board.has_answered()

    def is_cut_off(self, error: WorkerLostError) -> bool:
        return self._board.recover(error) is Loss.CUT_OFF


@contextmanager
def open_board_bench(device: Device) -> Iterator[Bench]:
    """The board of `device` as a bench, held for this process alone.

    Raises:
        UnavailableError, MeasurementError: As `open_board`.
    """
    with open_board(device) as board:
        told = board.ask("environment")
        if not isinstance(told, dict):
            raise board.no_answer("environment", told)
        yield BoardBench(board, device.affinity, told)
