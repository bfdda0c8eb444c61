"""What a meter of energy tells."""

from __future__ import annotations

from abc import ABC, abstractmethod


class EnergyMeter(ABC):
    """Counts energy from when it was opened. Final kinds are files beside this one."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What counts, and which parts of the machine it adds up."""

    @property
    @abstractmethod
    def resolution_uj(self) -> int | None:
        """Least step of the counter in microjoules; None where power is integrated instead."""

    @property
    def wraps(self) -> int:
        """How often a counter began anew at zero, which `read_uj` has made up for."""
        return 0

    @abstractmethod
    def read_uj(self) -> int:
        """Microjoules so far; it never falls.

        Raises:
            MeasurementError: The meter answers no more.
        """
