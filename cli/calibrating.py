"""`elat calibrate`: a latency model's sum against whole networks."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .campaigns import campaign, draw_measuring
from .console import print_json, say


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("calibrate")(calibrate)


def calibrate(
    device: options.Device,
    space: options.Space,
    latency: options.Latency = None,
    store: options.Store = None,
    protocol: options.Protocol = "screen",
    networks: Annotated[
        int, typer.Option("--networks", min=6, help="How many whole networks to sample.")
    ] = 24,
    seed: options.Seed = 0,
    tune: options.Tune = False,
    json: options.Json = False,
) -> None:
    """Measure whole networks and calibrate a latency model's sum to them."""
    from ..devices.device import find_device
    from ..flows.calibrate import calibrate as fit_calibration
    from ..flows.calibrate import measure_networks, measured_networks, sample_networks
    from ..flows.fitting import find_latency
    from ..latency.table import check_device
    from ..search.spaces import find_space

    found = find_space(space)
    card = find_device(device)
    model = find_latency(latency, card.id, found)
    check_device(model.condition, card.id)
    sampled = sample_networks(found, networks, seed)
    with campaign(device, protocol, store, seed, tune=tune) as run:
        draw_measuring(measure_networks(run, found, sampled), f"{device} whole networks")
        measured = measured_networks(run, found, sampled)
        calibrated = fit_calibration(model, card.id, found, measured)
    made = calibrated.calibration
    if made is None:
        raise AssertionError("a calibrated model has a calibration")
    if json:
        print_json({"out": str(calibrated.folder), **made.to_json()})
        return
    say(
        f"{len(measured)} networks of {found.name} on {device}: mean error {made.mape_before:.1%} "
        f"as a plain sum, {made.loo_mape:.1%} calibrated ({made.form}), each network left out in "
        f"turn: {calibrated.folder}"
    )
    level = 0.95 if made.tells(0.95) else 0.8
    if made.tells(level):
        say(
            f"of networks drawn like these, {level:.0%} take less than "
            f"{made.upper_factor(level):.3f} times their prediction"
        )
