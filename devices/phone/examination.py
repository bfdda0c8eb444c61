"""Identity and state together, as the doctor wants them."""

from __future__ import annotations

from typing import Any

from ..transports import Transport
from .identity import identity_of
from .programs import IDENTITY, STATE, ask
from .state import PhoneState, state_of


def examine_phone(transport: Transport, root: str = "") -> tuple[dict[str, Any], PhoneState]:
    """What `identify` and `read_phone` say of the device behind `transport`, in one round trip.

    Raises:
        UnavailableError: It does not answer.
    """
    told = ask(transport, IDENTITY + STATE, root)
    return identity_of(told), state_of(told)
