"""One way to a device: what differs between this machine, adb and ssh."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Self

from ...core.errors import TransportError


class LinkState(StrEnum):
    """What there is at the other end."""

    DEVICE = "device"
    OFFLINE = "offline"
    UNAUTHORISED = "unauthorised"
    MISSING = "missing"


class Seen(NamedTuple):
    """What a look at the other end found, and what the program that looked said."""

    state: LinkState
    said: str


class Link(ABC):
    """A way to one device. Its constructor does nothing; `Transport` checks all it is given."""

    @classmethod
    @abstractmethod
    def of(cls, section: Mapping[str, Any], where: str) -> Self:
        """The link that the card section `section` describes; `where` is its name in messages.

        Raises:
            ConfigError: A key is unknown, missing or out of range.
        """

    @property
    @abstractmethod
    def prefix(self) -> str:
        """What people type ahead of a command for the device, for repairs; may be empty."""

    @property
    @abstractmethod
    def folder(self) -> str:
        """The work folder on the device."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What the device is called in messages."""

    @abstractmethod
    def unavailable_reason(self) -> str | None:
        """What this machine lacks for such links, with the repair; None where it lacks nothing."""

    @abstractmethod
    def words_here(self, words: Sequence[str]) -> list[str]:
        """The program of this machine whose standard streams are those of `words` on the device.

        Raises:
            ConfigError: `words` cannot be said.
            UnavailableError: This machine lacks the program, or cannot connect.
        """

    @abstractmethod
    def send_words(self, source: Path, target: str) -> list[str] | None:
        """The program of this machine that copies `source` to the device's path `target`.

        None where none does: then the file is written through the standard input of a command.
        """

    @abstractmethod
    def receive_words(self, source: str, target: Path) -> list[str] | None:
        """The program here that copies the device's path `source` to `target`, or None."""

    @abstractmethod
    def look(self) -> Seen:
        """Who is at the other end; takes a few seconds at most.

        Raises:
            UnavailableError: This machine lacks the program that looks.
        """

    @abstractmethod
    def refusal(self, seen: Seen) -> TransportError:
        """The error that says why nothing can be asked, where `seen` is no device."""

    @abstractmethod
    def reboot_words(self) -> list[str]:
        """The program of this machine that restarts the device.

        Raises:
            ConfigError: It is not restarted by elat.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of a connection that is kept; the next call makes a new one."""
