"""`elat import`: latencies that other tools measured, from their own files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..core.errors import ElatError
    from ..latency.imports import Imported

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add this group's verb to `app`."""
    app.command("import")(import_files)


def import_files(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of other tools.")],
    unit: Annotated[
        str | None,
        typer.Option("--unit", help="Of files that do not say it: ns, us, ms or s."),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--as", help="The importer to use [default: told by the content]."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            "--table", help="Also write the one FILE, whose rows name operators, as this table."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="On which device the table was measured, if you know."),
    ] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Read latencies from files of other tools, show what was found, and keep it in the store."""
    from ..core.errors import ConfigError, ElatError
    from ..flows.importing import keep, read_import, table_of
    from ..flows.measuring import default_store
    from ..latency.store import open_store
    from ..latency.table import write_table

    if table is not None and len(files) > 1:
        raise ConfigError(f"--table takes one FILE, found {len(files)}; import them one by one.")
    shown: list[dict[str, Any]] = []
    refused: list[ElatError] = []
    with open_store(store or default_store()) as opened:
        for path in files:
            try:
                imported = read_import(path, unit, kind)
                made = None if table is None else table_of(imported, device)
                is_new = keep(opened, imported)
            except ElatError as error:
                refused.append(error)
                continue
            if table is not None and made is not None:
                write_table(made, table)
            shown.append({"file": str(path), "is_new": is_new, **_document(imported)})
            if not json:
                _show(path, imported)
                say(f"{path}: {'kept' if is_new else 'was kept before'} in {opened.location}")
    if json and shown:
        print_json(shown[0] if len(files) == 1 else shown)
    for other in refused[1:]:
        say(f"refused: {other}")
    if refused:
        raise refused[0]


def _document(imported: Imported) -> dict[str, Any]:
    """What `imported` says for machines, with the number of its rows."""
    from ..latency.imports.serial import to_json

    return {**to_json(imported), "count": len(imported.rows)}


def _show(path: Path, imported: Imported) -> None:
    """What `imported` says for people: where its numbers come from, and the first rows."""
    raised = Counter(flag for row in imported.rows for flag in row.flags)
    flags = ", ".join(f"{flag} ({count})" for flag, count in sorted(raised.items()))
    resolution = "not known" if imported.resolution is None else f"{imported.resolution:g}"
    facts = ", ".join(f"{name} {value}" for name, value in imported.facts.items())
    lines = [
        ("kind", imported.kind),
        ("tool", imported.tool),
        ("variant", imported.variant),
        ("unit in the file", f"{imported.unit} ({imported.unit_source})"),
        ("resolution", resolution),
        ("origin", imported.origin),
        ("facts", facts or "none"),
        ("flags", flags or "none"),
        *(("note", note) for note in imported.notes),
    ]
    print_table(str(path), ("", ""), lines)
    rows = [
        (row.name, f"{row.value:.6g}", row.statistic, "" if row.count is None else row.count)
        for row in imported.rows[:_SHOWN]
    ]
    print_table("", ("name", imported.quantity, "statistic", "runs"), rows, right=(1, 3))
    if len(imported.rows) > _SHOWN:
        say(f"{len(imported.rows) - _SHOWN} more rows: --json lists all")
