"""`elat build`: what a device's runtime makes of models before it runs them."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .console import print_json, print_table, progress


def register(app: typer.Typer) -> None:
    """Add this group's verb to `app`."""
    app.command("build")(build)


def build(
    device: options.Device,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...", help="ONNX files, zoo names, run folders, net.config files."
        ),
    ] = None,
    space: Annotated[
        str | None, typer.Option("--space", help="All operators of a search space, as well.")
    ] = None,
    ahead_of_time: Annotated[
        str | None,
        typer.Option(
            "--ahead-of-time",
            metavar="TARGET",
            help="For a kind of device that is not here, such as the compute capability sm86.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Build engines of operators, networks or files; says what is refused, and why."""
    from ..core.errors import MeasurementError
    from ..flows.building import BuildOrder, subjects_of
    from ..flows.building import build as build_all

    order = BuildOrder(device, space, tuple(models or ()), ahead_of_time)
    subjects = subjects_of(order)
    found = []
    with progress() as bars:
        task = bars.add_task("build", total=len(subjects))
        for built in build_all(order, subjects):
            found.append(built)
            bars.advance(task)
    if json:
        print_json([built.to_json() for built in found])
    else:
        rows = [
            (
                built.subject.name,
                "-" if built.size is None else f"{built.size:,}",
                "-" if built.seconds is None else f"{built.seconds:.2f}",
                built.refusal or "built",
            )
            for built in found
        ]
        print_table("", ("operator", "bytes", "seconds", "state"), rows, right=(1, 2))
    refused = [built for built in found if built.refusal is not None]
    if refused:
        raise MeasurementError(
            f"{len(refused)} of {len(found)} were refused, {refused[0].subject.name} among them."
        )
