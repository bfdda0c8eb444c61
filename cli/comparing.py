"""`elat compare`: which of two is faster, and how sure that is."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .campaigns import draw_measuring
from .console import print_json, print_table, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..flows.comparing import Compared
    from ..latency.measure import Progress


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("compare")(compare)


def compare(
    a: Annotated[
        str, typer.Argument(help="STORE.db, STORE.db@DEVICE, a device, or DEVICE@PYTHON.")
    ],
    b: Annotated[str, typer.Argument(help="What is compared with A; of the same kind.")],
    space: Annotated[
        str | None, typer.Option("--space", help="Compare what this search space is made of.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option("--network", help="Compare this network of elat zoo; repeatable."),
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option("--margin", help="Least difference that matters: 1% or 0.01 [default: 1%]."),
    ] = None,
    repeatability: Annotated[
        str | None,
        typer.Option(
            "--repeatability",
            help="By how much the device repeats itself; the margin is at least twice that.",
        ),
    ] = None,
    basis: Annotated[
        str | None,
        typer.Option("--basis", help="Compare milliseconds (time) or against the sentinel."),
    ] = None,
    protocol: options.Protocol = "standard",
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Folder for the stores a.db and b.db of a live comparison."),
    ] = None,
    seed: options.Seed = 0,
    allow_different: Annotated[
        bool,
        typer.Option("--allow-different", help="Compare across runtimes, precisions, threads."),
    ] = False,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", help="slower: exit with 8 if any case is slower.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Compare two stored runs, or measure two devices or versions in turns and compare them.

    Each case is FASTER, SLOWER, SAME or AMBIGUOUS: B against A, beyond a margin.
    """
    from ..core.errors import UnknownNameError
    from ..flows.comparing import CompareOrder
    from ..flows.comparing import compare as compare_sides
    from ..flows.verdicts import comparison_json, write_comparison
    from ..latency.comparison import Rule, default_margin
    from ..latency.effects import Basis

    if fail_on not in (None, "slower"):
        raise UnknownNameError("verdict of --fail-on", fail_on, ["slower"])
    if basis is not None and basis not in [*Basis]:
        raise UnknownNameError("basis", basis, [*Basis])
    repeats = None if repeatability is None else _share(repeatability, "--repeatability")
    least = default_margin(repeats) if margin is None else _share(margin, "--margin")
    order = CompareOrder(
        a=a,
        b=b,
        space=space,
        networks=tuple(network or ()),
        rule=Rule(margin=least, basis=None if basis is None else Basis(basis)),
        protocol=protocol,
        folder=store,
        seed=seed,
        is_other_allowed=allow_different,
    )
    compared = _drawn(compare_sides(order), f"{b} against {a}")
    write_comparison(compared, junit, markdown)
    if json:
        print_json(comparison_json(compared))
    else:
        _print(compared)
    if fail_on is not None:
        _fail_on_slower(compared)


def _share(text: str, option: str) -> float:
    """A share written as `1%` or `0.01`."""
    from ..core.errors import ConfigError

    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ConfigError(f"{option} takes a share such as 1% or 0.01; found {text!r}.") from None


def _drawn(steps: Iterator[Progress | Compared], title: str) -> Compared:
    """The result; what is measured before it is drawn, if anything is."""
    from ..flows.comparing import Compared

    first = next(steps)
    if isinstance(first, Compared):
        return first
    found: list[Compared] = []

    def measuring() -> Iterator[Progress]:
        for step in chain([first], steps):
            if isinstance(step, Compared):
                found.append(step)
            else:
                yield step

    draw_measuring(measuring(), title)
    return found[-1]


def _print(compared: Compared) -> None:
    from ..flows.verdicts import grid_of

    grid = grid_of(compared)
    heads = [column.head for column in grid.columns]
    right = [i for i, column in enumerate(grid.columns) if column.is_number]
    rows = [[cell.text for cell in row] for row in grid.rows]
    print_table(f"{compared.b.text} against {compared.a.text}", heads, rows, right=right)
    for note in grid.notes:
        say(note)
    counts = compared.comparison.counts.items()
    say(", ".join(f"{count} {verdict}" for verdict, count in counts))


def _fail_on_slower(compared: Compared) -> None:
    from ..core.errors import CheckError
    from ..latency.comparison import Verdict

    slower = [c for c in compared.comparison.cases if c.verdict is Verdict.SLOWER]
    if slower:
        worst = max(slower, key=lambda case: case.effect_log)
        raise CheckError(
            f"{len(slower)} of {len(compared.comparison.cases)} cases are slower in "
            f"{compared.b.text}; the most: {compared.name(worst.operator)}, "
            f"{worst.difference:+.1%}."
        )
