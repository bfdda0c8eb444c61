"""A device without elat on it, held among all machines and ways that reach it.

There is nobody on the device whom a kernel's lock could be left to: it is driven by single
commands, and a connection may break without an end. So the work folder says who measures, and who
does so renews that now and then. What is not renewed any more is void after a while, and at once
where the device was restarted meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...core.errors import DeviceInUseError, TransportError
from ...devices.device import Device, DeviceKind
from ...devices.host import host_identity
from ...devices.reach import way_to
from ...devices.transports import Transport
from .patience import Patience

VOID_MIN = 15
"""Minutes after which a claim that nobody renews is void: longer than a device is waited for."""

_RENEW_S = 60.0
_ASK_S, _LAST_S = 60.0, 10.0
_IN_USE = 75
_SAID = 200

TAKE = r"""
owner=$1 minutes=$2
boot=none
read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id
is_younger() { [ -n "$(find claim -maxdepth 0 -mmin "-$1" 2>/dev/null)" ]; }
if ! mkdir claim 2>/dev/null; then
    when= holder='another machine'
    if [ -e claim/by ]; then
        { read -r when; read -r holder; } <claim/by
    elif is_younger 1; then
        when=$boot
    fi
    if [ "$when" = "$boot" ] && [ "$holder" != "$owner" ] && is_younger "$minutes"; then
        printf '%s' "$holder"
        exit 75
    fi
    mv claim "claim-$$" 2>/dev/null
    rm -rf "claim-$$"
    mkdir claim || exit 1
fi
printf '%s\n%s\n' "$boot" "$owner" >claim/new && mv claim/new claim/by && exit 0
rm -rf claim
exit 1
"""
"""Arguments: who takes the device, minutes after which a claim is void. Exit code 75: another one
has it, whose name is printed. `by` holds the id of the boot (random(4)) and the name.
"""

_IS_OURS = r"""
{ read -r boot && read -r holder; } 2>/dev/null <claim/by && [ "$holder" = "$1" ] || exit 0
"""

RENEW = _IS_OURS + "touch -c claim\n"
"""Argument: who has the device."""

GIVE_UP = _IS_OURS + "rm -rf claim\n"
"""Argument: who has the device."""


@contextmanager
def claimed(
    device: Device, transport: Transport, patience: Patience, *, renew_s: float = _RENEW_S
) -> Iterator[None]:
    """Hold `device` among all that reach it.

    Whoever comes from the same machine by the same way takes it over at once: a lock of this
    machine (`devices/lock.py`) has told them apart, and one that was killed must not lose it.

    Args:
        device: This machine needs no claim.
        transport: To the device; commands of others may run over it meanwhile.
        patience: Decides how often the device is asked at first.
        renew_s: Seconds between two renewals.

    Raises:
        DeviceInUseError: Another machine, or this one by another way, measures on it.
        TransportError: It does not answer, or has no room.
    """
    if device.ssh is None and device.kind is not DeviceKind.ANDROID_ADB:
        yield
        return
    owner = f"{host_identity()} by {way_to(device)}"
    _take(device, transport, patience, owner)
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(renew_s):
            with suppress(TransportError):
                transport.run(["sh", "-c", RENEW, "elat", owner], _ASK_S)

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        is_over.set()
        renewing.join(_LAST_S)
        with suppress(TransportError):
            transport.run(["sh", "-c", GIVE_UP, "elat", owner], _LAST_S)


def _take(device: Device, transport: Transport, patience: Patience, owner: str) -> None:
    words = ["sh", "-c", TAKE, "elat", owner, str(VOID_MIN)]
    ended = patience.persist(lambda: transport.run(words, _ASK_S))
    if ended.exit_code == _IN_USE:
        # Another one wrote that, who may be anybody.
        holder = "".join(c for c in ended.text[:_SAID] if c.isprintable())
        raise DeviceInUseError(
            f"{device.id} is in use from {holder}; wait until that has ended, then give the "
            f"command again. If nothing of elat runs there any more, it is free {VOID_MIN} min "
            "after its last sign of life, or when the device is restarted."
        )
    ended.checked()
