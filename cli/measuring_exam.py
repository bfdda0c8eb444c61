"""`elat exam measuring`: whether the meter's intervals and verdicts hold what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, progress, say

if TYPE_CHECKING:
    from ..reports.measuring_exam import Outcome, Share


def measuring(
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="A simulated machine; repeatable [default: all]."),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option("--protocol", help="screen, standard, reference; repeatable [default: all]."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=2, help="Machines a scenario.")] = 40,
    store: Annotated[
        list[Path] | None,
        typer.Option(
            "--store",
            help="A store with a complete measurement; repeatable: those of one condition are "
            "compared with each other.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Machines side by side.")] = 1,
    out: Annotated[Path, typer.Option("--out", help="Where rows are kept.")] = Path(
        "out/exam-measuring"
    ),
    json: options.Json = False,
) -> None:
    """Judge the meter on simulated machines of known truth, and on repeated real measurements.

    The figure: elat report OUT. Resumes by itself.
    """
    from ..flows.measuring_exam import MeasuringExamRun, MeasuringOrder

    order = MeasuringOrder(
        tuple(scenario or ()), tuple(protocol or ()), seeds, workers, tuple(store or ()), out
    )
    run = MeasuringExamRun(order)
    with progress() as bars:
        task = bars.add_task("machines", total=None)
        for kept in run.run():
            bars.update(task, completed=kept.done, total=kept.total, description=kept.name)
    exam = run.conclude()
    if json:
        print_json(exam.to_json())
        return
    print_table(
        "of 95 % intervals, verdicts on A against A, and slowdowns found in the same rounds",
        (
            "machine", "protocol", "launches", "half-width", "covered", "A - A", "false apart",
            "false together", *_heads(exam.outcomes),
        ),
        [_row(outcome) for outcome in exam.outcomes],
        right=range(2, 12),
    )  # fmt: skip
    say(f"rows and figures' data are in {out}; draw them with: elat report {out} --out DIR")


def _heads(outcomes: Sequence[Outcome]) -> list[str]:
    longest = max((outcome.slowdowns for outcome in outcomes), key=len, default=())
    return [f"{slowdown.effect:.0%} slower" for slowdown in longest]


def _row(outcome: Outcome) -> tuple[str, ...]:
    return (
        f"{outcome.scenario} ({outcome.origin})",
        outcome.protocol,
        f"{outcome.launches:.1f}",
        f"{outcome.half_width:.1%}",
        _percent(outcome.covered),
        _percent(outcome.differences),
        _percent(outcome.apart),
        _percent(outcome.together),
        *(_percent(slowdown.slower) for slowdown in outcome.slowdowns),
    )


def _percent(share: Share | None) -> str:
    if share is None:
        return "-"
    error = "" if share.error is None else f" ± {100 * share.error:.1f}"
    return f"{100 * share.value:.1f}{error}"
