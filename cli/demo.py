"""`elat demo`: the whole flow on this machine, small, in minutes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from . import options
from .console import print_json, progress, say


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Where everything goes.")] = Path("out/demo"),
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Measure, fit, search, verify, train and report on this machine; resumes by itself."""
    os.environ["ELAT_HOME"] = str(out.resolve())
    from ..flows.demo import Demo

    run = Demo(out.resolve(), seed)
    with progress() as bars:
        for stage in run.stages():
            task = bars.add_task(stage.title, total=None)
            started = time.monotonic()
            for tick in stage.ticks:
                bars.update(task, completed=tick.done, total=tick.total)
            if not bars.console.is_terminal:
                say(f"{stage.title}: done in {time.monotonic() - started:.0f} s")
    if json:
        print_json({"page": str(run.page), "summary": run.summary()})
    else:
        print(run.summary())
    run.check()
    say(f"the report is {out / 'index.html'}")
