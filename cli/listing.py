"""`elat doctor | runtimes | spaces | models | strategies`: what there is, or why not."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from . import options
from .console import print_json, print_table, say


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    for verb in (doctor, runtimes, spaces, models, strategies):
        app.command(verb.__name__)(verb)


def doctor(
    device: Annotated[str, typer.Argument(help="A device card's name, or its YAML file.")],
    restore: Annotated[
        bool,
        typer.Option("--restore", help="First put back what a killed run with --tune left."),
    ] = False,
    json: options.Json = False,
) -> None:
    """Examine a device: each check passes, warns or fails, with the repair."""
    from dataclasses import asdict

    from ..core.errors import UnavailableError
    from ..devices.device import find_device
    from ..devices.tuning import restore as put_back
    from ..flows.inventory import examine_device

    found = find_device(device)
    if restore:
        for text in put_back() or ["no run left anything changed"]:
            say(text)
    checks = examine_device(found)
    if json:
        print_json([asdict(check) for check in checks])
    else:
        rows = [(c.status if c.known else "-", c.name, c.found, c.repair) for c in checks]
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


def spaces(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SPACE]...", help="Names or YAML files [default: all bundled]."),
    ] = None,
    json: options.Json = False,
) -> None:
    """List the search spaces: their size, and how fast they are where a latency model says."""
    from ..flows.inventory import describe_space
    from ..search.spaces import space_names

    found = [describe_space(name) for name in names or space_names()]
    if json:
        print_json(found)
        return
    rows = [
        (
            s["name"],
            _count(s["architectures"]),
            s["blocks"],
            s["operators"],
            _range(s["macs"]),
            _range(s["parameters"]),
            "\n".join(_latency(*item) for item in s.get("latency_ms", {}).items()) or "-",
        )
        for s in found
    ]
    heads = ("space", "architectures", "blocks", "operators", "MACs", "parameters", "latency")
    print_table("", heads, rows, right=(1, 2, 3))


def _count(number: int) -> str:
    """All digits where they fit a column, else the first three and the power of ten."""
    if number < 10**21:
        return f"{number:,}"
    digits = str(number)
    return f"{digits[0]}.{digits[1:3]}e{len(digits) - 1}"


def _range(span: dict[str, int]) -> str:
    factor, unit = (1e6, "M") if span["max"] >= 1e6 else (1e3, "k")
    return f"{span['min'] / factor:,.2f} to {span['max'] / factor:,.2f} {unit}"


def _latency(device: str, found: dict[str, Any]) -> str:
    if "reason" in found:
        return f"{device}: {found['reason']}"
    return f"{device}: {found['fastest']:.3g} to {found['slowest']:.3g} ms"


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
