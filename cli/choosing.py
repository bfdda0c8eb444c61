"""`elat measure --for` and `elat exam choosing`: what to measure when time is short."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..flows.choosing import Known
    from ..flows.measuring import Campaign
    from ..latency.measure import Progress


def measure_for(
    run: Campaign, space: str, duration: str, search: Path | None
) -> tuple[str, Known]:
    """Measure `space` for so long, with a bar; the space's name, and where that ended."""
    from ..flows.choosing import measure_for as measuring
    from ..flows.choosing import searched, seconds_in
    from ..search.spaces import find_space
    from .campaigns import draw_measuring

    found, seconds = find_space(space), seconds_in(duration)
    probabilities = None if search is None else searched(search, found)
    kept: list[Known] = []

    def steps() -> Generator[Progress, None, None]:
        kept.append((yield from measuring(run, found, seconds, probabilities)))

    draw_measuring(steps(), f"{run.device.id} {found.name} for {duration}")
    return found.name, kept[0]


def print_known(run: Campaign, space: str, known: Known, search: Path | None) -> None:
    """Say what is known now, and how the rest is predicted."""
    networks = "random networks" if search is None else f"networks drawn by {search}"
    say(
        f"{known.operators} of {known.of} operators of {space} are known on {run.device.id} after "
        f"{known.elapsed_s:.0f} s and {known.launches} new launches in {run.store.location} "
        f"({known.repeated} were measured again); {networks} are expected to be predicted within "
        f"{known.network_error:.1%} (one standard deviation, before any model is fitted)"
    )
    if known.operators < known.of:
        say(
            f"predict the others: elat fit --device {run.device.id} --generated; or go on with "
            "the same command"
        )


def choosing(
    device: options.Device,
    space: options.Space,
    store: options.Store = None,
    model: Annotated[
        str, typer.Option("--model", help="Fitted to what is measured; see elat models.")
    ] = "gaussian-process",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Random orders.")] = 5,
    noise: Annotated[
        float,
        typer.Option("--noise", min=0, help="Deviation of launches, times that which was seen."),
    ] = 1.0,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw the curves: .png, .pdf or .svg.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Replay a space that was measured whole: errors after so many minutes, chosen or random."""
    from ..devices.device import find_device
    from ..flows.choosing_exam import curves_of, examine_choosing
    from ..flows.measuring import default_store
    from ..latency.store import open_store
    from ..reports.figure_file import check_figure, write_figure
    from ..reports.figures.choosing import draw
    from ..search.spaces import find_space

    if figure is not None:
        check_figure(figure)
    with open_store(store or default_store()) as opened:
        exam = examine_choosing(
            opened, find_device(device), find_space(space), model=model, seeds=seeds, noise=noise
        )
    if figure is not None:
        write_figure(figure, partial(draw, curves_of(exam)))
    if json:
        print_json(asdict(exam))
        return
    print_table(
        f"{exam.space} on {exam.device} ({exam.origin}, replayed with {exam.noise:g} times the "
        f"noise): {exam.operators} operators, {exam.full_minutes:.2f} min for all; the rest by "
        f"{exam.model}, {exam.seeds} seeds",
        ("order", "of the time", "minutes", "operators", "again", "answered", "operators off by",
         "networks off by", "±"),
        [
            (
                p.order, f"{p.share:.0%}", f"{p.minutes:.2f}", f"{p.operators:.1f}",
                f"{p.repeats:.1f}", f"{p.answered:.0%}", _percent(p.operator_error),
                _percent(p.network_error), _percent(p.network_error_sd),
            )
            for p in exam.points
        ],
        right=range(1, 9),
    )  # fmt: skip
    if figure is not None:
        say(f"the curves are in {figure}")


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"
