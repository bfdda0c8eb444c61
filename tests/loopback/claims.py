"""Another machine that measures on a device."""

from __future__ import annotations

import pytest

from elat.core.errors import DeviceInUseError
from elat.devices.device import Device
from elat.devices.reach import transport_to
from elat.latency.place import Place
from elat.latency.remote import claim

OWNER = "laptop"
_WORDS = (OWNER, "1", str(claim.VOID_S))


def take_over(device: Device) -> None:
    """Let the other machine have `device`, whoever has it now."""
    transport = transport_to(device)
    transport.run(["rm", "-f", "claim"], 30).checked()
    transport.run(["sh", "-c", claim.TAKE, "elat", *_WORDS], 30).checked()


def check_that_losing_it_is_noticed(place: Place, device: Device) -> None:
    """Take over `device`, which `place` holds: no further group is begun there."""
    place.ensure_held()
    take_over(device)
    with pytest.raises(DeviceInUseError, match=f"in use from {OWNER} now"):
        place.ensure_held()


def leave(device: Device) -> None:
    """Let the other machine give `device` up."""
    transport_to(device).run(["sh", "-c", claim.GIVE_UP, "elat", *_WORDS], 30).checked()
