"""Every exception this package raises on purpose.

ElatError                       exit code 1
├── ConfigError                 2  what the user wrote is wrong
│   └── UnknownNameError           a name that no registry, card or space knows
├── UnavailableError            3  a package, driver or device is not here
│   └── TransportError             a device did not do what it was asked; says if to retry
│       ├── DeviceMissingError     nothing of that name is there
│       ├── DeviceOfflineError     it is known and does not answer
│       ├── DeviceUnauthorisedError  it answers and lets nobody in
│       ├── DeviceHangError        it was silent until the time limit
│       ├── ConnectionLostError    it was gone in the middle
│       ├── StorageFullError       it has no room left
│       ├── WrongArchitectureError  a program is built for another processor
│       ├── DeviceSetAsideError    it failed too often in a row
│       │   └── DeviceInUseError       another process or person uses it
│       └── CommandFailedError     a command ended with another exit code than 0
├── MeasurementError            4  the device was asked and gave no usable answer
│   ├── UnsupportedOperatorError   the runtime cannot compile or run the operator
│   └── WrongOutputError           the artefact computes something else than torch
├── MissingLatencyError         5  a table or model cannot answer
│   └── MissingOperatorError       for this operator
├── InfeasibleError             6  no architecture meets the bound
├── ArtefactError               7  a file is corrupt, truncated, of another kind or device
└── CheckError                  8  a result contradicts what it is meant to show
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import ClassVar


class ElatError(Exception):
    """Base of every exception raised on purpose; `exit_code` is what the command line returns."""

    exit_code: ClassVar[int] = 1


class ConfigError(ElatError):
    """What the user wrote is wrong."""

    exit_code = 2


class UnknownNameError(ConfigError):
    """A name on the command line or in YAML that nobody knows."""

    def __init__(self, noun: str, name: str, known: Iterable[str], repair: str = "") -> None:
        self.noun = noun
        self.name = name
        self.known = sorted(known)
        close = get_close_matches(name, self.known, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        tail = f" {repair}" if repair else ""
        super().__init__(f"Unknown {noun} {name!r}.{hint} Known: {', '.join(self.known)}.{tail}")


class UnavailableError(ElatError):
    """A package, driver or device is not on this machine."""

    exit_code = 3


class Retry(StrEnum):
    """Whether to ask a device again what it did not do."""

    AT_ONCE = "at once"
    LATER = "later"
    NEVER = "never"


class TransportError(UnavailableError):
    """A device that is not this machine did not do what it was asked.

    `retry` says what asking again is worth: `LATER` once the device may be back, and `NEVER` where
    somebody has to act first.
    """

    retry: ClassVar[Retry] = Retry.NEVER


class DeviceMissingError(TransportError):
    """Nothing of that name is connected or known to the network."""

    retry = Retry.LATER


class DeviceOfflineError(TransportError):
    """The device is known and does not answer."""

    retry = Retry.LATER


class DeviceUnauthorisedError(TransportError):
    """The device answers and does not let this machine in."""


class DeviceHangError(TransportError):
    """The device was reached, and was silent until the time limit."""

    retry = Retry.AT_ONCE


class ConnectionLostError(TransportError):
    """The connection broke before the device had said how the command ended."""

    retry = Retry.AT_ONCE


class StorageFullError(TransportError):
    """The device has no room left for what is written."""


class WrongArchitectureError(TransportError):
    """A program is built for another processor than the device has."""


class DeviceSetAsideError(TransportError):
    """The device failed too often in a row, or cannot be had: nothing more is asked of it."""


class DeviceInUseError(DeviceSetAsideError):
    """Another process, maybe of another person, uses the device."""


class CommandFailedError(TransportError):
    """A command on the device ended with another exit code than 0."""

    def __init__(self, message: str, exit_code: int) -> None:
        self.command_exit_code = exit_code
        super().__init__(message)


class MeasurementError(ElatError):
    """The device was asked and gave no usable answer."""

    exit_code = 4


class UnsupportedOperatorError(MeasurementError):
    """The runtime cannot compile or run the operator."""


class WrongOutputError(MeasurementError):
    """The compiled artefact computes something else than torch does; it is never timed."""


class MissingLatencyError(ElatError):
    """A table or model cannot answer; it never guesses."""

    exit_code = 5


class MissingOperatorError(MissingLatencyError):
    """The table or model has no latency for an operator."""


class InfeasibleError(ElatError):
    """No architecture of the space meets the bound."""

    exit_code = 6


class ArtefactError(ElatError):
    """A file is corrupt, truncated, of another kind, or of another device."""

    exit_code = 7


class CheckError(ElatError):
    """A result contradicts what it is meant to show."""

    exit_code = 8
