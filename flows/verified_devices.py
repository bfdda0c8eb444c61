"""Where a search is verified: on the devices of its latency bounds, and on what is like them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..core.errors import ConfigError
from ..devices.device import Device, DeviceKind, card_paths, find_device
from ..latency.condition import runtime_section
from ..latency.runtimes import runtimes
from ..search.result import Limit, Run


@dataclass(frozen=True)
class Where:
    """Where to verify, and which of the search's bounds are about it.

    Attributes:
        limits: The latency bounds that are measured.
        others: The search's other bounds, on counts or on devices that were not asked for.
        devices: Those of `limits`, in their order, or the one asked for; then the further ones.
    """

    limits: tuple[Limit, ...]
    others: tuple[Limit, ...]
    devices: tuple[Device, ...]


def where_to_verify(run: Run, device: str | None, also: Sequence[str] | None) -> Where:
    """The bounds and devices that `run` is verified by.

    Args:
        run: A finished search.
        device: None for all devices that the search was bounded on.
        also: Further devices; None for those that differ from `device` in the runtime alone.

    Raises:
        ConfigError: No device is named and the search was bounded on none.
        UnknownNameError: A device is unknown.
    """
    asked = None if device is None else find_device(device)
    limits = _limits(run, asked)
    if asked is None and not limits:
        raise ConfigError(
            f"{run.folder} was searched under no latency bound; say where to measure it, "
            "with --device."
        )
    devices = [find_device(limit.name) for limit in limits] if asked is None else [asked]
    more = same_machine(devices) if also is None else [find_device(name) for name in also]
    names = {limit.name for limit in limits}
    others = tuple(limit for limit in run.result.limits if limit.name not in names)
    return Where(limits, others, (*devices, *more))


def same_machine(devices: Sequence[Device]) -> list[Device]:
    """Available devices that differ from the only one of `devices` in the runtime alone.

    None for a board: what it has besides is not asked.
    """
    if len(devices) > 1:
        return []
    (device,) = devices
    if device.kind is DeviceKind.SSH:
        return []
    own = runtime_section(device)
    found = []
    for name in card_paths():
        other = find_device(name)
        section = runtime_section(other)
        if (
            other.id != device.id
            and other.kind == device.kind
            and section.name != own.name
            and (section.precision, section.batch, section.threads)
            == (own.precision, own.batch, own.threads)
            and runtimes[section.name]().unavailable_reason() is None
        ):
            found.append(other)
    return found


def _limits(run: Run, device: Device | None) -> tuple[Limit, ...]:
    """The latency bounds of the search that are verified: all, or the one on `device`."""
    timed = tuple(limit for limit in run.result.limits if limit.unit == "ms")
    return timed if device is None else tuple(x for x in timed if x.name == device.id)
