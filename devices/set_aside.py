"""Which devices were set aside: since when and why, until something is measured there again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..core.artefact import elat_home, read_json, write_json
from ..core.errors import ArtefactError, DeviceInUseError, MeasurementError, UnavailableError

OWN_REASONS = (UnavailableError, MeasurementError)
"""What sets a device aside: errors that say nothing of other devices, or of the store."""

_SCHEMA = 1


@dataclass(frozen=True)
class SetAside:
    """Why nothing more was asked of a device.

    Attributes:
        since_utc: ISO time of the first failure since it last did what it was asked.
        error: Class of the last one, and
        reason: its sentence.
    """

    since_utc: str
    error: str
    reason: str

    def __str__(self) -> str:
        return f"set aside since {self.since_utc}, because {self.reason}"


def set_aside(device: str) -> SetAside | None:
    """What is noted of the device called `device`; None where nothing is.

    Raises:
        ArtefactError: The note is damaged.
    """
    path = _path(device)
    if not path.exists():
        return None
    try:
        data = read_json(path)
        if data.pop("schema") != _SCHEMA:
            raise ValueError("another schema")
        return SetAside(**data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"{path} is damaged ({error!r}); delete it: rm {path}") from error


@contextmanager
def noted(device: str) -> Iterator[None]:
    """Notes that `device` is set aside where the block fails for a reason of the device's own.

    A block that ends well clears the note. That somebody else uses the device is nothing to note:
    it will have passed.
    """
    try:
        yield
    except DeviceInUseError:
        raise
    except OWN_REASONS as error:
        _note(device, error)
        raise
    _path(device).unlink(missing_ok=True)


def _note(device: str, error: Exception) -> None:
    known = set_aside(device)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    since = now if known is None else known.since_utc
    path = _path(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    found = SetAside(since, type(error).__name__, str(error))
    write_json(path, {"schema": _SCHEMA, **asdict(found)})


def _path(device: str) -> Path:
    return elat_home() / "set-aside" / f"{device}.json"
