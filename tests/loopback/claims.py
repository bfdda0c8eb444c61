"""Another machine that measures on a device."""

from __future__ import annotations

from elat.devices.device import Device
from elat.devices.reach import transport_to
from elat.latency.remote import claim

OWNER = "laptop"
_WORDS = (OWNER, "1", str(claim.VOID_S))


def take_over(device: Device) -> None:
    """Let the other machine have `device`, whoever has it now."""
    transport = transport_to(device)
    transport.run(["rm", "-f", "claim"], 30).checked()
    transport.run(["sh", "-c", claim.TAKE, "elat", *_WORDS], 30).checked()


def leave(device: Device) -> None:
    """Let the other machine give `device` up."""
    transport_to(device).run(["sh", "-c", claim.GIVE_UP, "elat", *_WORDS], 30).checked()
