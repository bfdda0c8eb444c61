"""`elat exam networks`: how well few measured networks teach the latency of others."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from . import options
from .console import print_json, print_table


def networks(
    device: options.Device,
    space: options.Space,
    store: options.Store = None,
    latency: options.Latency = None,
    count: Annotated[
        int, typer.Option("--networks", min=12, help="Measured by elat calibrate --networks.")
    ] = 120,
    learnt: Annotated[
        int, typer.Option("--learnt", min=6, help="Networks that a draw learns from.")
    ] = 20,
    draws: Annotated[int, typer.Option("--draws", min=1, help="Random choices of these.")] = 40,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Judge sums of operators, calibrated and corrected, on whole networks that were measured."""
    from ..devices.device import find_device
    from ..flows.fitting import find_latency
    from ..flows.measuring import default_store, space_table
    from ..flows.network_exam import LEVELS, PICKED_AT, examine_networks
    from ..latency.models.lookup import Lookup
    from ..latency.store import open_store
    from ..search.spaces import find_space

    found, where = find_device(device), find_space(space)
    with open_store(store or default_store()) as opened:
        if latency is not None:
            model = find_latency(latency, found.id, where).model
        else:
            model = Lookup.fit(space_table(opened, found, where), seed=0)
        exam = examine_networks(
            model, opened, found, where, networks=count, learnt=learnt, draws=draws, seed=seed
        )
    if json:
        print_json({**asdict(exam), "levels": LEVELS})
        return
    print_table(
        f"{exam.others} other networks of {exam.space} on {exam.device} ({exam.origin}) after "
        f"{exam.learnt}, {exam.draws} draws; best additive fit of all "
        f"{100 * exam.additive_mape:.2f} %, half-width {100 * exam.noise:.1f} %",
        ("way", "mean error", "± between draws", "within 5 %", "within 10 %",
         *(f"below the {level:.0%} limit" for level in LEVELS),
         "picks break", f"by {PICKED_AT:.0%} of all", f"by {PICKED_AT:.0%} of picks"),
        [
            (
                way.way, f"{100 * way.mape:.2f} %", f"{100 * way.mape_sd:.2f}",
                f"{100 * way.within_5:.1f} %", f"{100 * way.within_10:.1f} %",
                *map(_share, (*way.covered, way.broken, way.broken_limit, way.broken_pick)),
            )
            for way in exam.ways
        ],
        right=range(1, 8 + len(LEVELS)),
    )  # fmt: skip


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"
