"""`elat study`: networks of equal latency, wired by rules and by a search, trained alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, progress, say

if TYPE_CHECKING:
    from ..flows.wiring_study import StudyStep
    from ..reports.wirings import Wirings


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("study")(study)


def study(
    config: Annotated[Path, typer.Argument(help="YAML; configs/study/ holds a ready one.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="The folder; resumes what is there [default: studies/CONFIG]."),
    ] = None,
    workers: options.Workers = None,
    scheduler: options.Scheduler = None,
    json: options.Json = False,
) -> None:
    """Compare sparse, shuffled, learned and dense aggregation at equal latency; resumes."""
    from ..flows.cluster import usable_cores
    from ..flows.wiring_study import StudyOrder, run_study

    folder = out or Path("studies") / config.stem
    found = draw_study(run_study(StudyOrder(config, folder, workers or usable_cores(), scheduler)))
    if json:
        print_json({"out": str(folder), **found.to_json()})
        return
    from ..reports.inputs import read_inputs
    from ..reports.parts import table_text

    print(table_text(read_inputs([folder]), "wirings"))
    say(f"the study is in {folder}; see it with: elat report {folder} --out report")


def draw_study(steps: Iterator[StudyStep | Wirings]) -> Wirings:
    """Draw the course of a study, a bar a stage; returns its record."""
    from ..reports.wirings import Wirings

    with progress() as bars:
        tasks = {}
        for step in steps:
            if isinstance(step, Wirings):
                return step
            if step.stage not in tasks:
                tasks[step.stage] = bars.add_task(step.stage, total=step.total)
            bars.update(tasks[step.stage], completed=step.done, total=step.total)
    raise AssertionError("a study ends with its record")
