"""`elat fit`: from a table to a latency model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options, transferring
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from ..flows.fitting import Fitted
    from ..latency.models.evaluate import HeldOut


def register(app: typer.Typer) -> None:
    """Add this group's verb to `app`."""
    app.command("fit")(fit)


def fit(
    device: options.Device,
    space: Annotated[
        str | None, typer.Option("--space", help="A search space's name, or its YAML file.")
    ] = None,
    generated: Annotated[
        bool,
        typer.Option(
            "--generated", help="All operators measured on the device in place of a space's."
        ),
    ] = False,
    model: Annotated[
        str, typer.Option("--model", help="A latency model, or auto; see elat models.")
    ] = "auto",
    candidates: Annotated[
        str,
        typer.Option("--candidates", help="What auto chooses from, with commas [default: five]."),
    ] = "",
    transfer_from: options.TransferFrom = "",
    samples: options.Samples = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The model's folder [default: in ELAT_HOME].")
    ] = None,
    store: options.Store = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Fit a latency model, with its held-out error and the noise ceiling beside it.

    It learns the operators of a space, or with --generated all that were measured on the device:
    elat measure --device D --generate 300 makes such ones for every network. With --transfer-from
    it starts from the newest models of other devices and learns how this one differs.
    """
    from ..core.errors import ConfigError
    from ..devices.device import find_device
    from ..flows.fitting import fit_table, operators_table
    from ..flows.measuring import default_store, space_table
    from ..latency.models.choose import AUTO, CANDIDATES
    from ..latency.store import open_store
    from ..search.spaces import find_space

    if (space is None) != generated:
        raise ConfigError(
            "elat fit takes either --space NAME or --generated, exactly one of them."
        )
    if transfer_from:
        if candidates or model != AUTO:
            raise ConfigError("--transfer-from chooses by itself; leave --model out.")
        transferring.fit(device, space, store, transfer_from, samples, out, seed, json)
        return
    if samples is not None:
        raise ConfigError("--samples is about --transfer-from DEVICE.")
    if candidates and model != AUTO:
        raise ConfigError("--candidates are what --model auto chooses from.")
    names = options.names_in(candidates)
    card = find_device(device)
    found = None if space is None else find_space(space)
    with open_store(store or default_store(), create=False) as opened:
        table = (
            operators_table(opened, card) if found is None else space_table(opened, card, found)
        )
    made = fit_table(
        table,
        model,
        out,
        seed,
        space=None if found is None else found.name,
        candidates=names or CANDIDATES,
    )
    if json:
        print_json(_document(made))
    else:
        _print(made)


def _document(made: Fitted) -> dict[str, Any]:
    held = made.loaded.held_out
    return {
        "out": str(made.loaded.folder),
        "model": made.loaded.name,
        "held_out": held.to_json(),
        "noise_ceiling": held.ceiling.to_json() if held.ceiling else None,
        "coverage": held.to_json()["coverage"],
        "choice": made.choice.to_json() if made.choice else None,
    }


def _print(made: Fitted) -> None:
    held = made.loaded.held_out
    rows = [
        (kind, e.operators, f"{e.mape:.1%}", f"{e.within_5:.0%}", f"{e.within_10:.0%}")
        for kind, e in {**held.by_kind, "all": held.overall}.items()
    ]
    heads = ("operator", "count", "mean error", "within 5 %", "within 10 %")
    title = f"{made.loaded.name}: {held.method}"
    print_table(title, heads, [*rows, *_ceiling(held)], right=(1, 2, 3, 4))
    if held.coverage:
        shares = ", ".join(f"{c.level:.0%}: {c.interval:.0%}" for c in held.coverage)
        say(f"held-out latencies inside intervals of {shares}")
    if made.choice is not None:
        say(f"auto: {made.choice.reason}")
    if held.unanswered:
        say(f"{len(held.unanswered)} operators could not be held out: none like them is left")
    say(f"model written to {made.loaded.folder}")


def _ceiling(held: HeldOut) -> list[tuple[str, int, str, str, str]]:
    """What the noise of the measurements lets anybody reach, as rows of the same table."""
    if held.ceiling is None:
        return []
    named = (
        ("ceiling: true latency", held.ceiling.perfect),
        ("measured again", held.ceiling.repeated),
    )
    return [
        (
            name,
            held.ceiling.operators,
            f"{share.mape:.1%}",
            f"{share.within_5:.0%}",
            f"{share.within_10:.0%}",
        )
        for name, share in named
    ]
