"""What a worker is asked, and the classes of what it may answer instead of a launch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ..core.config import parse
from ..core.errors import (
    ConfigError,
    ElatError,
    UnavailableError,
    UnsupportedOperatorError,
    WrongOutputError,
)
from .condition import Condition
from .energy import EnergyOrder
from .protocol import Protocol

UNSUPPORTED, WRONG_OUTPUT, UNAVAILABLE = "UNSUPPORTED", "WRONG_OUTPUT", "UNAVAILABLE"
RUNTIME, BAD_REQUEST = "RUNTIME", "BAD_REQUEST"

CASE_ERRORS = (ElatError, RuntimeError, ValueError, OSError, MemoryError)
"""What a runtime may raise for one case; anything else ends the process, not its parent."""


def error_class(error: Exception) -> str:
    """The class of failure under which `error` is stored."""
    kinds: dict[type[Exception], str] = {
        UnsupportedOperatorError: UNSUPPORTED,
        WrongOutputError: WRONG_OUTPUT,
        UnavailableError: UNAVAILABLE,
    }
    return next((name for kind, name in kinds.items() if isinstance(error, kind)), RUNTIME)


@dataclass(frozen=True)
class Request:
    """One group to time, as the parent asked for it.

    Attributes:
        cases: Name, folder of the artefact, and slices in each pass.
        sentinel: Folder of its artefact, or None for none.
        affinity: CPUs that the worker is to run on, or None for any.
        energy: The meter to read in a pass of its own, or None.
    """

    cases: tuple[tuple[str, Path, int], ...]
    sentinel: Path | None
    condition: Condition
    protocol: Protocol
    seed: int
    affinity: tuple[int, ...] | None
    energy: EnergyOrder | None

    @classmethod
    def parse(cls, line: str) -> Request:
        """The request on `line`.

        Raises:
            ConfigError: It is none.
        """
        try:
            data = json.loads(line)
            sentinel, affinity = data["sentinel"], data["affinity"]
            energy = data.get("energy")
            return cls(
                tuple(
                    (str(c["case"]), Path(c["artefact"]), int(c["slices"])) for c in data["group"]
                ),
                None if sentinel is None else Path(sentinel),
                Condition.from_json(data["condition"]),
                Protocol.from_json(data["protocol"]),
                int(data["seed"]),
                None if affinity is None else tuple(int(cpu) for cpu in affinity),
                None if energy is None else parse(EnergyOrder, energy, "energy"),
            )
        except (ValueError, TypeError, KeyError, ElatError) as error:
            raise ConfigError(
                f"Not a request: {type(error).__name__} {error}: {line[:200]!r}"
            ) from error


def described(error: Exception) -> dict[str, str]:
    """`error` as workers answer it: its class and its sentence."""
    return {"class": error_class(error), "message": str(error) or type(error).__name__}
