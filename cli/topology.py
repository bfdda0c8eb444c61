"""`elat topology`: what layers aggregate, what that costs, and how far gradients travel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..search.aggregation.analysis import Analysis

_SHOWN = 12


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("topology")(topology)


def topology(
    name: Annotated[
        str | None,
        typer.Argument(
            help="plain, residual, dense or sparse; or a network of elat zoo. None with --figure: "
            "all four."
        ),
    ] = None,
    layers: Annotated[
        int | None, typer.Option("--layers", help="How many, 1 to 1024 [default: 64].")
    ] = None,
    base: Annotated[
        int | None, typer.Option("--base", help="Of sparse offsets: 1, base, ... [default: 2].")
    ] = None,
    width: Annotated[
        int | None, typer.Option("--width", help="Channels of every output [default: 16].")
    ] = None,
    how: Annotated[
        str | None,
        typer.Option(
            "--how", help="sum or concat [default: concat for dense and sparse, else sum]."
        ),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            "--resolution", help="Side of the image, pixels [default: 32, or published]."
        ),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            "--figure",
            help="Draw parameters and gradient paths of all four families against depth, up to "
            "--layers [default: 256], into this .png, .svg or .pdf.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Count links, costs and gradient paths in a built network, and check them by closed forms.

    A layer reads earlier outputs: that is a link. Paths are of gradients between any two outputs,
    in links. Memory traffic is what operators read and write for one image in float32.
    """
    from ..flows.topology import TopologyOrder, draw_topologies, run_topology

    order = TopologyOrder(name, layers, base, width, how, resolution)
    if figure is not None:
        draw_topologies(order, figure)
        if json:
            print_json({"figure": str(figure)})
        say(f"the figure is {figure}")
        return
    found = run_topology(order)
    if json:
        from ..flows.topology import described

        print_json(described(found))
        return
    _print(found)


def _print(found: Analysis) -> None:
    counted = found.counted
    t = counted.topology
    depths = [str(count) for count in t.aggregated[:_SHOWN]]
    more = f" ... {t.aggregated[-1]}" if t.layers > _SHOWN else ""
    rows = [
        ("layers", f"{t.layers:,}"),
        ("links", f"{t.links:,}"),
        ("parameters", f"{counted.parameters:,}"),
        ("multiply-adds", f"{counted.macs:,}"),
        ("memory traffic, bytes", f"{counted.traffic_bytes:,}"),
        ("of it sums and copies, bytes", f"{counted.join_traffic_bytes:,}"),
        ("additions, copied tensors", f"{counted.additions:,}, {counted.copies:,}"),
        ("longest shortest path, links", str(t.longest_shortest_path)),
        ("mean shortest path, links", f"{t.mean_shortest_path:.3f}"),
        ("pairs without a path", f"{t.unjoined_pairs:,}"),
        ("outputs read, by depth", f"{' '.join(depths)}{more}"),
    ]
    print_table(f"{counted.name}, {counted.resolution} pixels", ("counted", ""), rows)
    if found.checks:
        print_table(
            "against closed forms (N layers, width k, base c, r pixels)",
            ("quantity", "counted", "formula gives", "formula", "agrees"),
            [
                (
                    c.quantity, f"{c.found:,.6g}" if c.found % 1 else f"{int(c.found):,}",
                    f"{c.expected:,.6g}" if c.expected % 1 else f"{int(c.expected):,}",
                    c.formula, "yes" if c.agrees else "no",
                )
                for c in found.checks
            ],
            right=(1, 2),
        )  # fmt: skip
