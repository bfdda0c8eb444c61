"""`elat table`: the latencies of a space on a device as a file, and tables checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import linting, options
from .console import print_json, say


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("table")(table)


def table(
    device: Annotated[
        str | None, typer.Option("--device", help="A device card's name, or its YAML file.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            help="A search space's name, or its YAML file; with --lint also a network of the zoo.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The table file: .yaml or .parquet.")
    ] = None,
    lint: Annotated[
        Path | None,
        typer.Option("--lint", help="Check this table, ours or one that elat import reads."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="With --lint: a table that rows may be copied from."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", help="With --lint, of files that do not say it: ns, us, ms or s."),
    ] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write the latency table of a space on a device from the store, or check a table."""
    from ..core.errors import ConfigError

    if lint is not None:
        if device is not None or out is not None or store is not None:
            raise ConfigError("--lint checks a file; leave --device, --out and --store out.")
        linting.lint(lint, space, against, unit, json)
        return
    if against is not None or unit is not None:
        raise ConfigError("--against and --unit go with --lint FILE.")
    if device is None or space is None or out is None:
        raise ConfigError(
            "A table is made with --device DEVICE --space SPACE --out FILE, all three; a table "
            "that is there is checked with --lint FILE."
        )
    _write_table(device, space, out, store, json)


def _write_table(device: str, space: str, out: Path, store: str | None, json: bool) -> None:
    from ..devices.device import find_device
    from ..flows.measuring import default_store, space_table
    from ..latency.store import open_store
    from ..latency.table import write_table
    from ..search.spaces import find_space

    found = find_device(device)
    with open_store(store or default_store(), create=False) as opened:
        made = space_table(opened, found, find_space(space))
    write_table(made, out)
    linting.warn_of_errors(made, found)
    if json:
        print_json({"operators": len(made), "sha256": made.sha256, "out": str(out)})
    else:
        say(f"{len(made)} operators of {space} on {made.condition}: {out}")
