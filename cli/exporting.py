"""`elat export`: latencies as files for spreadsheets, data frames and other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, say

if TYPE_CHECKING:
    from ..latency.exports import Source

_NAMED = 5


def register(app: typer.Typer) -> None:
    """Add this group's verb to `app`."""
    app.command("export")(export)


def export(
    kind: Annotated[
        str, typer.Option("--as", help="csv, parquet, jsonl, proxyless, ofa or pyperf.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    table: Annotated[
        Path | None, typer.Argument(help="A table file, instead of the store.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Of the store: a device card's name, or file.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option("--space", help="Of the store: only the operators of this search space."),
    ] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write latencies in the format of another program; what it cannot say is named."""
    from ..flows.exporting import export as write

    source = _source(table, device, space, store)
    made = write(source, kind, out)
    left_out = [str(operator) for operator in made.left_out]
    if json:
        print_json({"out": str(out), "as": kind, "count": made.count, "left_out": left_out})
        return
    say(f"{made.count} {'launches' if kind == 'jsonl' and source.records else 'operators'}: {out}")
    if left_out:
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        say(
            f"{len(left_out)} operators that {kind} cannot say were left out: "
            f"{'; '.join(left_out[:_NAMED])}{more}"
        )


def _source(
    table: Path | None, device: str | None, space: str | None, store: str | None
) -> Source:
    """A table file, or a device in a store; one of the two.

    Raises:
        ConfigError: Both were asked for, or neither.
    """
    from ..core.errors import ConfigError
    from ..devices.device import find_device
    from ..flows.exporting import store_source, table_source
    from ..flows.measuring import default_store
    from ..latency.store import open_store
    from ..search.spaces import find_space

    if (table is None) == (device is None):
        raise ConfigError("Name a table file or a device of the store (--device), one of the two.")
    if table is not None:
        if space is not None or store is not None:
            raise ConfigError("--space and --store go with --device, not with a table file.")
        return table_source(table)
    with open_store(store or default_store(), create=False) as opened:
        found = None if space is None else find_space(space)
        return store_source(opened, find_device(str(device)), found)
