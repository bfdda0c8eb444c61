"""Topologies counted: a family by its sizes, or a network of the zoo; and the figure of all."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..core.errors import CheckError, ConfigError, UnknownNameError
from ..search.aggregation.analysis import Analysis, analyse
from ..search.aggregation.counting import count
from ..search.aggregation.wiring import Family, Wiring, family_named, how_named
from ..search.zoo import networks

_DEPTH = 256


@dataclass(frozen=True)
class TopologyOrder:
    """What `elat topology` was asked for; None where nothing was said.

    Attributes:
        name: A family, or a network of the zoo.
        layers: Of a family; of the figure, the greatest number.
    """

    name: str | None = None
    layers: int | None = None
    base: int | None = None
    width: int | None = None
    how: str | None = None
    resolution: int | None = None


def run_topology(order: TopologyOrder) -> Analysis:
    """What is counted, for a family beside its closed forms.

    Raises:
        UnknownNameError: The name is neither a family nor a network, or `how` is no way to join.
        ConfigError: A number is out of range, or said of a network that has its own.
        CheckError: A closed form gives something else than was counted.
    """
    if order.name is None:
        raise ConfigError(
            f"Name a topology: {', '.join(Family)}, or a network of elat zoo; or give --figure."
        )
    if order.name in networks:
        return _of_zoo(order, order.name)
    try:
        family = family_named(order.name)
    except UnknownNameError:
        known = (*(family.value for family in Family), *networks)
        repair = "List networks with: elat zoo."
        raise UnknownNameError("topology", order.name, known, repair) from None
    found = analyse(_wiring(order, family))
    if not found.agrees:
        wrong = ", ".join(check.quantity for check in found.checks if not check.agrees)
        raise CheckError(f"The closed forms of {order.name} give something else for: {wrong}.")
    return found


def _of_zoo(order: TopologyOrder, name: str) -> Analysis:
    said = {
        "--layers": order.layers,
        "--base": order.base,
        "--width": order.width,
        "--how": order.how,
    }
    if given := [option for option, value in said.items() if value is not None]:
        raise ConfigError(
            f"{name} has its own sizes: leave out {', '.join(given)}, or name one of "
            f"{', '.join(Family)}."
        )
    return Analysis(count(name, networks[name].operator(resolution=order.resolution)))


def _wiring(order: TopologyOrder, family: Family) -> Wiring:
    """The family with what was said of it, else with the defaults of `Wiring`."""
    sizes = {
        key: value
        for key in ("layers", "base", "width", "resolution")
        if (value := getattr(order, key)) is not None
    }
    how = None if order.how is None else how_named(order.how)
    return Wiring(family, how=how, **sizes)


def described(found: Analysis) -> dict[str, Any]:
    """An analysis for machines."""
    counted = found.counted
    topology = counted.topology
    return {
        "name": counted.name,
        "resolution": counted.resolution,
        "layers": topology.layers,
        "links": topology.links,
        "parameters": counted.parameters,
        "macs": counted.macs,
        "traffic_bytes": counted.traffic_bytes,
        "join_traffic_bytes": counted.join_traffic_bytes,
        "additions": counted.additions,
        "copies": counted.copies,
        "longest_shortest_path": topology.longest_shortest_path,
        "mean_shortest_path": topology.mean_shortest_path,
        "unjoined_pairs": topology.unjoined_pairs,
        "aggregated": list(topology.aggregated),
        "closed_forms": [{**asdict(check), "agrees": check.agrees} for check in found.checks],
        "agrees": found.agrees if found.checks else None,
    }


def draw_topologies(order: TopologyOrder, path: Path) -> None:
    """Write the figure of all families against depth.

    Raises:
        ConfigError: A name or a way to join was said, which the figure has all of; or the suffix
            is of no known format.
    """
    from ..reports.figure_file import check_figure, write_figure
    from ..reports.figures import topology as figure

    if order.name is not None or order.how is not None:
        raise ConfigError("The figure shows all families: leave out the name and --how.")
    check_figure(path)
    sizes = _wiring(order, Family.SPARSE)
    most = _DEPTH if order.layers is None else order.layers
    info = figure.collect(most, base=sizes.base, width=sizes.width, resolution=sizes.resolution)
    write_figure(path, lambda style: figure.draw(info, style))
