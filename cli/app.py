"""The command tree; each group of verbs is a file."""

from __future__ import annotations

import typer

from . import (
    building,
    calibrating,
    comparing,
    demo,
    devices,
    exam,
    exporting,
    fitting,
    fusing,
    importing,
    listing,
    measuring,
    methods,
    predicting,
    profiling,
    reporting,
    searching,
    study,
    sweep,
    tabling,
    topology,
    zoo,
)

app = typer.Typer(
    name="elat",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help=(
        "Measure what neural networks cost on real hardware, predict it, search under a hard "
        "latency bound, and prove the bound on the device.\n\n"
        "Exit codes: 0 done, 2 wrong input, 3 not available here or set aside, "
        "4 measuring failed, 5 no latency known, 6 bound cannot be met, "
        "7 corrupt or foreign file, 8 a result contradicts what it should show, 130 interrupted."
    ),
)

for group in (
    devices,
    listing,
    building,
    measuring,
    tabling,
    calibrating,
    fitting,
    comparing,
    importing,
    exporting,
    methods,
    predicting,
    profiling,
    fusing,
    searching,
    sweep,
    study,
    reporting,
    demo,
    exam,
    zoo,
    topology,
):
    group.register(app)
