"""A device held among all machines and ways that reach it, for as long as a campaign lasts.

There is nobody on the device whom a kernel's lock could be left to: it is driven by single
commands, and a connection may break without an end. So a file in the work folder says who
measures, and who does so renews it now and then. One that is not renewed any more is void after a
while, by the device's own time since its start, and at once where it was restarted meanwhile.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ...core.errors import DeviceInUseError, UnavailableError
from ...devices.device import Device, DeviceKind
from ...devices.host import host_identity
from ...devices.lock import device_lock
from ...devices.reach import transport_to, way_to
from ...devices.transports import Transport
from ..place import Here
from .patience import Patience

VOID_S = 15 * 60
"""Seconds after which a claim that nobody renews is void."""

_RENEW_S = 60.0
_ASK_S, _LAST_S = 60.0, 10.0
_IN_USE = 75
_SAID = 200

_READ = r"""
owner=$1 token=$2 limit=$3
tries=0
until mkdir claim.busy 2>/dev/null; do
    if [ ! -e claim.busy ] && [ ! -h claim.busy ]; then
        mkdir claim.busy && break
        [ -d claim.busy ] || exit 1
    fi
    tries=$((tries + 1))
    if [ "$tries" -gt 5 ]; then
        rm -rf claim.busy
        tries=0
    fi
    sleep 1
done
trap 'rmdir claim.busy 2>/dev/null' EXIT
boot=none now=-
{ read -r boot </proc/sys/kernel/random/boot_id; } 2>/dev/null
{ read -r now rest </proc/uptime; } 2>/dev/null
now=${now%%.*}
rm -rf claim.new || exit 1
if [ -h claim ] || [ ! -f claim ]; then rm -rf claim || exit 1; fi
when= since= holder= holds=
[ ! -f claim ] || { read -r when since; IFS= read -r holder; IFS= read -r holds; } <claim
is_live() {
    [ "$when" = "$boot" ] || return 1
    case $since in - | 0) ;; '' | 0* | *[!0-9]* | ??????????*) return 1 ;; esac
    [ "$since" != - ] && [ "$now" != - ] || return 0
    age=$((now - since))
    [ "$age" -ge 0 ] && [ "$age" -le "$limit" ]
}
write() {
    printf '%s %s\n%s\n%s\n' "$boot" "$now" "$owner" "$token" >claim.new &&
        mv -f claim.new claim && return
    rm -f claim.new
    exit 1
}
if is_live && [ "$holder" != "$owner" ]; then
    printf '%s' "$holder"
    exit 75
fi
"""
# One command at a time reads and writes: each holds a folder meanwhile, for no longer than that
# takes, so that one which is still there after five seconds was left by a command that was killed.
# The claim is the boot's id (random(4)) and whole seconds since the start, the owner, the token.

TAKE = _READ + "write\n"
"""Arguments: owner, token, seconds after which a claim is void. Exit code 75: another owner has
the device, whose name is printed.
"""

_IS_ANOTHERS = r"""
if is_live && [ "$holds" != "$token" ]; then
    printf '%s' "$holder"
    exit 75
fi
"""
RENEW = _READ + _IS_ANOTHERS + "write\n"
"""As `TAKE`; exit code 75 also where another process of the same owner has it."""

GIVE_UP = _READ + '[ "$holder" != "$owner" ] || [ "$holds" != "$token" ] || rm -f claim\n'
"""As `TAKE`; deletes the claim if it is this process's own."""


class Claim:
    """What this process holds on a device; made by `claimed`."""

    def __init__(self, device: str, transport: Transport, owner: str) -> None:
        self._device = device
        self._transport = transport
        self._words = (owner, secrets.token_hex(8), str(VOID_S))
        self._is_taken = False
        self._holder: str | None = None

    def check(self) -> None:
        """Refuse to go on where another one has taken the device over meanwhile.

        Raises:
            DeviceInUseError: One has, as this one gave no sign of life for too long.
        """
        if not self._is_taken:
            return
        # A machine that slept does not know for how long: it asks. A device that is away is
        # waited for by whoever asks it next.
        with suppress(UnavailableError, OSError):
            self.renew(_LAST_S)
        if self._holder is not None:
            raise DeviceInUseError(
                f"{self._device} was out of reach for so long that it is in use from "
                f"{self._holder} now. What was measured is stored; wait until that has ended, "
                "then give the same command again."
            )

    def take(self, patience: Patience) -> None:
        """Take the device.

        Raises:
            DeviceInUseError: Another machine, or this one by another way, measures on it.
            TransportError: It does not answer, or has no room.
        """
        ended = patience.persist(lambda: self._transport.run(self._command(TAKE), _ASK_S))
        if ended.exit_code == _IN_USE:
            raise DeviceInUseError(
                f"{self._device} is in use from {_name(ended.text)}; wait until that has ended, "
                "then give the command again. If nothing of elat runs there any more, it is free "
                f"{VOID_S // 60} min after its last sign of life, or when the device is restarted."
            )
        ended.checked()
        self._is_taken = True

    def renew(self, limit_s: float = _ASK_S) -> None:
        """Give a sign of life, or find that another one has the device now.

        Args:
            limit_s: How long that may take.

        Raises:
            TransportError: It does not answer.
        """
        ended = self._transport.run(self._command(RENEW), limit_s)
        if ended.exit_code == _IN_USE:
            self._holder = _name(ended.text)

    def give_up(self) -> None:
        """Let others have the device; as well as that can be done."""
        with suppress(UnavailableError, OSError):
            self._transport.run(self._command(GIVE_UP), _LAST_S)

    def _command(self, script: str) -> list[str]:
        return ["sh", "-c", script, "elat", *self._words]


@dataclass(frozen=True)
class Claimed(Here):
    """This machine, whose workers drive a device that is claimed."""

    claim: Claim

    def ensure_held(self) -> None:
        self.claim.check()


@contextmanager
def claimed(
    device: Device, transport: Transport, patience: Patience, *, renew_s: float = _RENEW_S
) -> Iterator[Claim]:
    """Hold `device` among all that reach it.

    Whoever comes from the same machine by the same way takes it over at once: a lock of this
    machine (`devices/lock.py`) has told them apart, and one that was killed must not lose it.

    Args:
        device: This machine needs no claim, and gets one that nobody else sees.
        transport: To the device; commands of others may run over it meanwhile.
        patience: Decides how often the device is asked at first.
        renew_s: Seconds between two renewals.

    Raises:
        DeviceInUseError: Another machine, or this one by another way, measures on it.
        TransportError: It does not answer, or has no room.
    """
    claim = Claim(device.id, transport, f"{host_identity()} by {way_to(device)}")
    if device.ssh is None and device.kind is not DeviceKind.ANDROID_ADB:
        yield claim
        return
    claim.take(patience)
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(renew_s):
            # Whatever was in the way, the next time it may be gone.
            with suppress(Exception):
                claim.renew()

    renewing = threading.Thread(target=renew, daemon=True)
    try:
        renewing.start()
        yield claim
    finally:
        is_over.set()
        renewing.join(_LAST_S)
        claim.give_up()


@dataclass(frozen=True)
class Hold:
    """A device that this process alone uses, among all users and machines.

    Attributes:
        transport: To the device.
        patience: Decides how often it is asked again.
        claim: What holds it among all machines.
    """

    transport: Transport
    patience: Patience
    claim: Claim


@contextmanager
def hold(device: Device, sleep: Callable[[float], None]) -> Iterator[Hold]:
    """Hold `device` among all users of this machine, and among all machines.

    Args:
        device: Its card.
        sleep: Waits for seconds.

    Raises:
        DeviceInUseError: Another process or machine measures on it.
        TransportError: It does not answer, or has no room.
    """
    transport = transport_to(device)
    with device_lock(way_to(device)):
        try:
            patience = Patience(device.id, sleep)
            with claimed(device, transport, patience) as claim:
                yield Hold(transport, patience, claim)
        finally:
            transport.close()


def _name(said: str) -> str:
    """What another one has written, who may be anybody, for a terminal."""
    return "".join(c for c in said[:_SAID] if c.isprintable())
