"""`elat sweep`: every combination of what a file lists, searched, verified and trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..core.errors import ElatError
from . import options
from .console import print_json, progress, say

if TYPE_CHECKING:
    from ..flows.sweep import SweepStep
    from ..reports.sweep import Sweep

_NAMED = 3


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("sweep")(sweep)


def sweep(
    config: Annotated[Path, typer.Argument(help="YAML lists; configs/sweep/ holds ready ones.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The folder; resumes what is there [default: sweeps/CONFIG]."),
    ] = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    json: options.Json = False,
) -> None:
    """Search, verify and train every combination of what CONFIG lists; resumes by itself."""
    from ..flows.cluster import usable_cores
    from ..flows.sweep import SweepOrder, run_sweep

    folder = out or Path("sweeps") / config.stem
    order = SweepOrder(config, folder, workers or usable_cores(), scheduler)
    done = draw_sweep(run_sweep(order))
    if json:
        print_json({"out": str(folder), **done.to_json()})
    else:
        show_sweep(done)
        say(f"all cells are in {folder}; see them with: elat report {folder} --out report")
    if done.failed:
        names = ", ".join(row.cell for row in done.failed[:_NAMED])
        more = f" and {len(done.failed) - _NAMED} more" if len(done.failed) > _NAMED else ""
        raise ElatError(
            f"{len(done.failed)} of {len(done.rows)} cells failed: {names}{more}; failed.json in "
            "each folder says why, and the same command tries them again."
        )


def draw_sweep(steps: Iterator[SweepStep | Sweep]) -> Sweep:
    """Draw the course of a sweep, a bar a stage; returns its table."""
    from ..reports.sweep import Sweep

    with progress() as bars:
        tasks = {}
        for step in steps:
            if isinstance(step, Sweep):
                return step
            if step.stage not in tasks:
                tasks[step.stage] = bars.add_task(step.stage, total=step.total)
            bars.update(tasks[step.stage], completed=step.done)
            if step.failure is not None:
                bars.console.print(f"{step.cell}: {step.failure}", markup=False, soft_wrap=True)
    raise AssertionError("a sweep ends with its table")


def show_sweep(done: Sweep) -> None:
    """Print what each strategy reached, mean and spread over seeds."""
    from ..reports.renderers import to_text
    from ..reports.sweep import groups
    from ..reports.tables.sweep import SweepTable

    print(to_text(SweepTable().lay_out(groups([done]))), end="")
