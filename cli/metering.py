"""`--energy`: which meter is read, and what it said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .console import print_table, say

if TYPE_CHECKING:
    from ..devices.device import Device
    from ..flows.measuring import Campaign
    from ..latency.energy import Energy, EnergyOrder


def order(device: Device) -> EnergyOrder | None:
    """What workers are asked to read, or None; says once which meter it is."""
    from ..flows.energy import find_metering

    found = find_metering(device)
    if found.meter is None:
        say(f"{device.id} exposes no energy: only latencies are measured")
    else:
        say(f"energy by {found.meter}")
    return found.order


def found(run: Campaign) -> list[dict[str, Any]]:
    """A row for every case of the device that was metered, now or before."""
    from ..flows.energy import known_energies

    known = known_energies(run.store, run.device)
    return [{"operator": str(operator), **_row(energy)} for operator, energy in known.items()]


def _row(energy: Energy) -> dict[str, Any]:
    return {
        "gross_mj": energy.gross_mj,
        "net_mj": energy.net_mj,
        "launches": energy.launches,
        "flags": sorted(energy.flags),
    }


def print_found(rows: list[dict[str, Any]]) -> None:
    """The rows of `found` as a table; nothing where nothing was metered."""
    if not rows:
        return
    heads = ("case", "mJ", "mJ net of idling", "launches", "flags")
    cells = [
        (
            row["operator"],
            _millijoules(row["gross_mj"]),
            _millijoules(row["net_mj"]),
            row["launches"],
            ", ".join(row["flags"]),
        )
        for row in rows
    ]
    print_table("energy of one inference", heads, cells, right=(1, 2, 3))


def _millijoules(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
