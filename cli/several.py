"""`elat measure` on several devices: a bar for each, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from . import metering
from .campaigns import campaign
from .console import print_json, print_table, progress, say

if TYPE_CHECKING:
    from ..flows.fleet import Done, FleetOrder, Step
    from ..flows.wanted import Wanted


def measure(
    devices: Sequence[str],
    wanted: Wanted,
    protocol: str,
    store: str | None,
    seed: int,
    *,
    energy: bool,
    json: bool,
) -> None:
    """Measure `wanted` on `devices`, and say what became of each.

    Raises:
        UnavailableError: Some were set aside.
        MissingLatencyError: None was, and some operators could not be measured.
    """
    from ..flows.fleet import measure_fleet

    order = _order(devices, wanted, protocol, store, seed, energy)
    done = _draw(measure_fleet(order), order)
    rows = [_row(order, found) for found in done]
    if energy:
        for found, row, name in zip(done, rows, devices, strict=True):
            row["energy"] = []
            # One that is out of reach may not even say under which condition it measures.
            if not found.is_set_aside:
                with campaign(name, protocol, order.store, seed) as run:
                    row["energy"] = metering.found(run)
    if json:
        print_json({"devices": rows})
    else:
        _print(rows)
    _fail(done)


def _order(
    devices: Sequence[str],
    wanted: Wanted,
    protocol: str,
    store: str | None,
    seed: int,
    energy: bool,
) -> FleetOrder:
    """The campaign, its names looked up before anything is measured.

    Raises:
        UnknownNameError: A device, the space or the protocol is not known.
        ConfigError: Two cards have one id.
    """
    from ..core.errors import ConfigError
    from ..devices.device import find_device
    from ..flows.fleet import FleetOrder
    from ..flows.measuring import default_store
    from ..latency.protocol import find_protocol

    found = tuple(find_device(name) for name in devices)
    if len({device.id for device in found}) < len(found):
        raise ConfigError(
            f"Two of the cards {', '.join(devices)} have one id, by which launches are told "
            "apart; give them different ids."
        )
    careful, where = find_protocol(protocol), str(store or default_store())
    say(f"{wanted.name} on {', '.join(device.id for device in found)}")
    return FleetOrder(found, wanted, careful, where, seed, energy)


def _draw(steps: Iterator[Step | Done], order: FleetOrder) -> list[Done]:
    """Draw the progress on every device; what became of each, in the order's order."""
    from ..flows.fleet import Step

    done: dict[str, Done] = {}
    with progress() as bars:
        tasks = {d.id: bars.add_task(f"{d.id}: waits", total=None) for d in order.devices}
        for found in steps:
            task = tasks[found.device]
            if isinstance(found, Step):
                text = f"{found.device}: {found.stage}"
                bars.update(task, completed=found.done, total=found.total, description=text)
                if found.failure is not None:
                    say(f"{found.device}: {found.failure}")
            else:
                done[found.device] = found
                bars.update(task, description=f"{found.device}: {_state(found)}")
                bars.stop_task(task)
    return [done[device.id] for device in order.devices]


def _state(found: Done) -> str:
    if found.error is None:
        return "done"
    return "set aside" if found.is_set_aside else "incomplete"


def _row(order: FleetOrder, found: Done) -> dict[str, Any]:
    """What became of a device, as JSON."""
    error = found.error
    row: dict[str, Any] = {
        "device": found.device,
        "space": None if order.wanted.space is None else order.wanted.name,
        "protocol": order.protocol.name,
        "operators": found.operators,
        "new_launches": found.launches,
        "failures": found.failures,
        "store": found.store,
        "state": _state(found),
        "error": None if error is None else type(error).__name__,
        "reason": None if error is None else str(error),
        "repair": None,
    }
    if found.is_set_aside:
        row["repair"] = f"elat doctor {found.device}"
    return row


def _print(rows: list[dict[str, Any]]) -> None:
    heads = ("device", "operators", "launches", "failures", "state", "reason", "then")
    cells = [
        (
            row["device"],
            row["operators"],
            row["new_launches"],
            row["failures"],
            row["state"],
            row["reason"] or "",
            row["repair"] or "",
        )
        for row in rows
    ]
    print_table("", heads, cells, right=(1, 2, 3))
    for row in rows:
        if row.get("energy"):
            say(f"{row['device']}:")
            metering.print_found(row["energy"])


def _fail(done: list[Done]) -> None:
    """End with an error where a device was set aside, or lacks operators.

    Raises:
        UnavailableError: The first; exit code 3.
        MissingLatencyError: The second alone; exit code 5.
    """
    from ..core.errors import MissingLatencyError, UnavailableError

    aside = [found.device for found in done if found.is_set_aside]
    lacking = [found.device for found in done if found.error is not None]
    if aside:
        raise UnavailableError(
            f"{len(aside)} of {len(done)} devices were set aside: {', '.join(aside)}; what was "
            "measured is stored, and the same command goes on."
        )
    if lacking:
        raise MissingLatencyError(
            f"{len(lacking)} of {len(done)} devices lack operators: {', '.join(lacking)}."
        )
