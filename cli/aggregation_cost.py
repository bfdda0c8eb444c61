"""`elat exam aggregation-cost`: what sums and concatenations of earlier outputs cost."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .campaigns import campaign, draw_measuring
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..reports.aggregation import DeviceCosts, NetworkCost


def aggregation_cost(
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            help="A device card's name, or its YAML file; repeatable [default: local-ort].",
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            "--shape",
            help="LAYERSxWIDTHxRESOLUTION of the networks; repeatable "
            "[default: 64x12x16 and 32x12x32].",
        ),
    ] = None,
    protocol: options.Protocol = "screen",
    store: options.Store = None,
    seed: options.Seed = 0,
    out: Annotated[Path, typer.Option("--out", help="Where the costs are written.")] = Path(
        "out/aggregation-cost"
    ),
    json: options.Json = False,
) -> None:
    """Measure dense and sparse networks, by sum and by concatenation; resumes by itself.

    Joins, batch norms and convolutions are measured behind what runs before them in a layer, and
    summed over layers; whole networks are measured beside them.
    """
    from ..flows.aggregation_cost import device_costs, measure_costs, write_costs
    from ..flows.aggregation_study import SHAPES, shapes_of

    shapes = shapes_of(shape or SHAPES)
    found = []
    name_of_store = None
    for name in dict.fromkeys(device or ["local-ort"]):
        with campaign(name, protocol, store, seed) as run:
            draw_measuring(measure_costs(run, shapes), f"{run.device.id} aggregation")
            found.append(device_costs(run.store, run.device, run.protocol.name, shapes))
            name_of_store = run.store.name
    if name_of_store is None:
        raise AssertionError("there is at least one device")
    costs = write_costs(out, found, seed=seed, store=name_of_store)
    if json:
        print_json(costs.to_json())
        return
    for each in costs.devices:
        _print(each)
    say(f"costs are in {out}")


def _print(costs: DeviceCosts) -> None:
    print_table(
        f"time of all layers ({costs.source})",
        ("network", "layers", "join", "norm", "convolution", "layers, ms", "parts / whole"),
        [_row(network) for network in costs.networks],
        right=range(2, 7),
    )
    print_table(
        "1x1 convolution in slices, against copy and convolution",
        ("layers", "joined", "copy and 1x1, ms", "slices, ms", "ratio"),
        [
            (
                str(each.shape),
                each.degree,
                *(f"{t.ms:.4f}" for t in (each.plain, each.sliced)),
                f"{each.ratio:.2f}",
            )
            for each in costs.slices
        ],
        right=range(1, 5),
    )


def _row(network: NetworkCost) -> tuple[str, ...]:
    ratio = network.sum_over_whole
    parts = (network.join, network.norm, network.conv)
    return (
        network.name,
        str(network.shape),
        *(f"{network.share(part):.1%}" for part in parts),
        f"{network.layers.ms:.3f}",
        "-" if ratio is None else f"{ratio:.2f}",
    )
