"""Putting a phone's cable back."""

from __future__ import annotations

from elat.devices.transports import Link, LinkState

from .adbd import Phone
from .phone import AdbServer


def plug_in(link: Link, phone: Phone, server: AdbServer) -> None:
    """Put the cable of `phone` back, until adb has noticed: it may have given the phone up."""
    phone.plug_in()
    for _ in range(50):
        server.connect(phone)
        if link.look().state is LinkState.DEVICE:
            return
    raise AssertionError("adb does not see the phone any more")
