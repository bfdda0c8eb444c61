"""The condition of a board's card, which only the board can tell; kept for when it is off."""

from __future__ import annotations

from pathlib import Path

from ...core.artefact import elat_home, read_json, write_json
from ...core.errors import ArtefactError
from ...devices.device import Device, card_there
from ..condition import Condition

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


def condition_of(device: Device) -> Condition:
    """The condition of the card of `device`: as it was last told, else the board is asked.

    Raises:
        TransportError: It does not answer.
        UnavailableError: The runtime is not installed there.
    """
    known = known_condition(device)
    if known is not None:
        return known
    from .board import open_board

    with open_board(device):
        told = known_condition(device)
    if told is None:
        raise ArtefactError(f"{_path(device)} has just been removed; give the command again.")
    return told


def _path(device: Device) -> Path:
    return elat_home() / "boards" / f"{device.id}.json"
