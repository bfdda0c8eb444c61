"""`elat compare-methods`: how latencies of operators add up to networks, by how they are timed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .campaigns import campaign, draw_measuring
from .console import print_json, say

if TYPE_CHECKING:
    from ..flows.method_comparison import Comparison


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("compare-methods")(compare_methods)


def compare_methods(
    device: options.Device,
    space: options.Space,
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the store, the figures and the tables.")
    ],
    networks: Annotated[
        int, typer.Option("--networks", min=6, help="How many random whole networks.")
    ] = 30,
    protocol: options.Protocol = "screen",
    seed: options.Seed = 0,
    tune: options.Tune = False,
    json: options.Json = False,
) -> None:
    """Time operators by every method and hold the sums against whole networks; resumes by itself.

    All methods' models and the networks are timed in the same shuffled rounds, into a store of
    their own.
    """
    from ..flows.method_comparison import STORE, Comparison, write_comparison
    from ..reports.inputs import read_inputs
    from ..reports.page import write_parts
    from ..reports.parts import table_text
    from ..search.spaces import find_space

    with campaign(device, protocol, str(out / STORE), seed, tune=tune) as run:
        comparison = Comparison.of(run, find_space(space), networks)
        if comparison.left_out is not None:
            say(f"Methods that profile are left out: {comparison.left_out}")
        say(_plan(comparison))
        draw_measuring(comparison.measure(), f"{run.device.id} {comparison.space.name}")
        result = write_comparison(out, comparison)
    inputs = read_inputs([out])
    files = write_parts(inputs, out, ("method_comparison", "methods"))
    if json:
        print_json(result.to_json())
        return
    print(table_text(inputs, "methods"))
    say(f"written: {', '.join(str(path) for path in files)}")


def _plan(comparison: Comparison) -> str:
    models, profiles = len(comparison.cases), len(comparison.profiled)
    return (
        f"{models} models to time and {profiles} to profile; with nothing measured yet about "
        f"{comparison.estimated_s / 60:.0f} minutes on a desktop core"
    )
