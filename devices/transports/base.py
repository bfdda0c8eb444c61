"""How a command is run on a device that is not this machine."""

from __future__ import annotations

from abc import ABC, abstractmethod


class Transport(ABC):
    """A way to a device. Its constructor does nothing."""

    @property
    @abstractmethod
    def prefix(self) -> str:
        """What people type ahead of a command for the device, for repairs."""

    @abstractmethod
    def run(self, *command: str, timeout_s: float = 10.0) -> str:
        """What `command` prints on the device.

        Raises:
            UnavailableError: The device is not reached, is silent for `timeout_s`, or the command
                fails; says which, with the repair.
        """
