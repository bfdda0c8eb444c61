"""The condition of a board's card, which only the board can tell; kept for when it is off."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from ...core.artefact import elat_home, read_json, write_json
from ...core.errors import ArtefactError, MeasurementError
from ...devices.device import Device, card_there
from ..condition import Condition, runtime_section
from ..runtimes import runtimes

_SCHEMA = 1


def known_condition(device: Device) -> Condition | None:
    """What the board said when it was last asked about this card; None where it never was."""
    path = _path(device)
    if not path.exists():
        return None
    try:
        data = read_json(path)
        if data["schema"] != _SCHEMA or data["card"] != card_there(device):
            return None
        return Condition.from_json(data["condition"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtefactError(f"{path} is damaged ({error!r}); delete it: rm {path}") from error


def keep_condition(device: Device, condition: Condition) -> None:
    """Note what the board says of the card of `device`."""
    path = _path(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(
        path,
        {"schema": _SCHEMA, "card": card_there(device), "condition": condition.to_json()},
    )


def note_condition(device: Device, found: Condition, wanted: Condition | None) -> None:
    """Note that the board's condition is `found`.

    Raises:
        MeasurementError: A campaign took it for `wanted`, which is another one.
    """
    keep_condition(device, found)
    if wanted is not None and found.of_models != wanted.of_models:
        raise MeasurementError(
            f"{device.id} is {found} now and was {wanted} when it was last asked: give the same "
            "command again, and it measures what is there now."
        )


def condition_of(device: Device) -> Condition:
    """The condition of the card of `device`: as it was last told, else the board is asked.

    Raises:
        TransportError: It does not answer.
        UnavailableError: The runtime is not installed there.
    """
    known = known_condition(device)
    if known is not None:
        return known
    with _opened(device):
        told = known_condition(device)
    if told is None:
        raise ArtefactError(f"{_path(device)} has just been removed; give the command again.")
    return told


def _opened(device: Device) -> AbstractContextManager[object]:
    """The board, which is asked for its condition when it is opened."""
    if runtimes[runtime_section(device).name].is_driven_on(device):
        from ..tensorrt.trtexec.place import open_trtexec

        return open_trtexec(device)
    from .board import open_board

    return open_board(device)


def _path(device: Device) -> Path:
    return elat_home() / "boards" / f"{device.id}.json"
