"""`elat devices | doctor | runtimes | spaces | models | strategies`: what there is, or why not."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import options
from .console import print_json, print_table


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    for verb in (devices, doctor, runtimes, spaces, models, strategies):
        app.command(verb.__name__)(verb)


def devices(json: options.Json = False) -> None:
    """List the known devices, and what each unavailable one lacks."""
    from ..devices.device import card_paths, find_device
    from ..flows.inventory import describe_device

    found = [describe_device(find_device(name)) for name in card_paths()]
    if json:
        print_json(found)
        return
    rows = [
        (d["id"], d["runtime"], d["precision"], d["threads"], d["reason"] or "available")
        for d in found
    ]
    print_table("", ("device", "runtime", "precision", "threads", "state"), rows, right=(3,))


def doctor(
    device: Annotated[str, typer.Argument(help="A device card's name, or its YAML file.")],
    json: options.Json = False,
) -> None:
    """Examine a device: each check passes, warns or fails, with the repair."""
    from dataclasses import asdict

    from ..core.errors import UnavailableError
    from ..devices.device import find_device
    from ..flows.inventory import examine_device

    checks = examine_device(find_device(device))
    if json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [(c.status, c.name, c.found, c.repair) for c in checks]
        print_table("", ("status", "check", "found", "repair"), rows)
    failed = [check for check in checks if check.status == "fail"]
    if failed:
        raise UnavailableError(f"{device}: {failed[0].name}: {failed[0].repair}")


def runtimes(json: options.Json = False) -> None:
    """List the inference runtimes and whether each can run here."""
    from ..flows.inventory import describe_runtimes

    found = describe_runtimes()
    if json:
        print_json(found)
        return
    rows = [(r["name"], r["version"] or "-", r["reason"] or "available") for r in found]
    print_table("", ("runtime", "version", "state"), rows)


def spaces(json: options.Json = False) -> None:
    """List the search spaces with their exact numbers of architectures."""
    from ..flows.inventory import describe_space
    from ..search.spaces import space_names

    found = [describe_space(name) for name in space_names()]
    if json:
        print_json(found)
        return
    rows = [
        (s["name"], f"{s['architectures']:,}", s["blocks"], s["operators"], _range(s["macs"]))
        for s in found
    ]
    heads = ("space", "architectures", "choice blocks", "operators", "MACs")
    print_table("", heads, rows, right=(1, 2, 3))


def _range(macs: dict[str, Any]) -> str:
    return f"{macs['min'] / 1e6:,.2f} M to {macs['max'] / 1e6:,.2f} M"


def models(json: options.Json = False) -> None:
    """List the latency models."""
    from ..flows.inventory import describe_models

    _name_and_summary("model", describe_models(), json)


def strategies(json: options.Json = False) -> None:
    """List the search strategies."""
    from ..flows.inventory import describe_strategies

    _name_and_summary("strategy", describe_strategies(), json)


def _name_and_summary(noun: str, found: list[dict[str, str]], json: bool) -> None:
    if json:
        print_json(found)
        return
    print_table("", (noun, "what it is"), [(f["name"], f["summary"]) for f in found])
