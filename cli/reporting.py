"""`elat report`: tables and figures of finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .console import print_json, say


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("report")(report)


def report(
    folders: Annotated[
        list[Path], typer.Argument(help="Run folders, model folders, or folders that hold such.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Where the report goes.")],
    json: options.Json = False,
) -> None:
    """Make the page, figures and tables of finished runs; never measures, trains or predicts."""
    from ..reports.inputs import read_inputs
    from ..reports.page import write_report

    page = write_report(read_inputs(folders), out)
    if json:
        print_json({"page": str(page)})
    else:
        say(f"the report is {page}")
