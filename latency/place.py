"""Where workers run: how they are started there, and how they find artefacts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .launcher import WorkerLostError


class Loss(StrEnum):
    """How a worker was lost, and so what is to blame.

    `ENDED`: by itself, with what it ran. `CUT_OFF`: nobody can reach it any more, as where a cable
    was pulled, and nothing that it ran is to blame. `RESTARTED`: its machine was, by chance or by
    what it ran.
    """

    ENDED = "ended"
    CUT_OFF = "cut off"
    RESTARTED = "restarted"


class Place(ABC):
    """A machine that workers run on, for one campaign."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command of this machine that starts a fresh worker there.

        Raises:
            TransportError: The place is out of reach.
        """

    @abstractmethod
    def bring(self, folders: Sequence[Path]) -> None:
        """Have the artefacts in `folders` of this machine there, too.

        Raises:
            TransportError: The place is out of reach, or is full.
        """

    @abstractmethod
    def folder(self, folder: Path) -> str:
        """Where a worker finds the artefact of `folder`, which was brought."""

    @abstractmethod
    def recover(self, error: WorkerLostError) -> Loss:
        """How the worker was lost; returns when another one may be started.

        Raises:
            TransportError: The place stays out of reach, or does not stay within it.
        """

    def ensure_held(self) -> None:
        """Refuse to go on where it is not this campaign's any more; called before each group.

        Raises:
            DeviceInUseError: Another machine has taken it over.
        """
        return

    @abstractmethod
    def has_answered(self) -> None:
        """Note that a case was answered: earlier trouble is over."""


@dataclass(frozen=True)
class Here(Place):
    """This machine, where a worker is started by `words`."""

    words: tuple[str, ...]

    def command(self) -> list[str]:
        return list(self.words)

    def bring(self, folders: Sequence[Path]) -> None:
        return

    def folder(self, folder: Path) -> str:
        return str(folder)

    def recover(self, error: WorkerLostError) -> Loss:
        return Loss.ENDED

    def has_answered(self) -> None:
        return
