"""`elat measure | worker`: from the device to the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import budgeting, metering, options, several
from .campaigns import campaign, draw_measuring
from .console import print_json
from .subjects import Done, Subject, check

if TYPE_CHECKING:
    from ..flows.budgets import BudgetReport
    from ..flows.measuring import Campaign


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("measure")(measure)
    app.command("worker", hidden=True)(worker)


def measure(
    device: options.Devices,
    space: Annotated[
        str | None, typer.Option("--space", help="A search space's name, or its YAML file.")
    ] = None,
    generate: Annotated[
        int | None,
        typer.Option(
            "--generate", min=1, help="So many operators of random configuration in its place."
        ),
    ] = None,
    kinds: options.Kinds = "",
    duration: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="With --space: for so long (90s, 20m, 1h), what tells most about its networks.",
        ),
    ] = None,
    search: Annotated[
        Path | None,
        typer.Option(
            "--search",
            help="With --for: a search's run folder; networks as it draws them now, not any.",
        ),
    ] = None,
    transfer_from: options.TransferFrom = "",
    samples: options.Samples = None,
    check_budget: Annotated[
        Path | None,
        typer.Option("--check-budget", help="A YAML file of latency limits to measure and hold."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="A limit inside the interval fails, too.")
    ] = False,
    junit: options.Junit = None,
    markdown: options.Markdown = None,
    protocol: options.Protocol = "screen",
    store: options.Store = None,
    seed: options.Seed = 0,
    tune: options.Tune = False,
    energy: options.Energy = False,
    json: options.Json = False,
) -> None:
    """Measure every operator of a search space on a device; goes on where it was interrupted.

    Several devices are measured at the same time where they are different machines; one that fails
    is set aside while the others go on, and the exit code is 3 then.
    With --generate it measures operators of random configuration instead, of some kinds with
    --kinds; the seed says which.
    With --check-budget it holds latency limits: exit code 8 where one is passed.
    With --energy new launches are metered, too, in a pass of their own.
    """
    subject = Subject(
        space, generate, options.names_in(kinds), duration, search, transfer_from, samples
    )
    check(subject, check_budget is not None, bool(strict or junit or markdown))
    devices = tuple(dict.fromkeys(name for text in device for name in options.names_in(text)))
    if len(devices) != 1:
        subject.check_several(devices, check_budget is not None, tune)
        several.measure(devices, subject.wanted, protocol, store, seed, energy=energy, json=json)
        return
    report: BudgetReport | None = None
    with campaign(devices[0], protocol, store, seed, tune=tune, energy=energy) as run:
        budget = None if check_budget is None else budgeting.read(run, check_budget, space)
        done = subject.measure(run)
        if budget is not None:
            report, more = budgeting.checked(run, budget, draw_measuring)
            done = done.with_more(more)
        summary = _summary(run, done, energy)
    if report is not None:
        summary["budget"] = budgeting.written(report, strict, junit, markdown)
    if json:
        print_json(summary)
    else:
        if report is not None:
            budgeting.print_report(report)
        if energy:
            metering.print_found(summary["energy"])
        subject.say(run, done)
    if report is not None:
        budgeting.fail_over_budget(report, strict)


def _summary(run: Campaign, done: Done, energy: bool) -> dict[str, Any]:
    """What was measured, as JSON."""
    summary: dict[str, Any] = {
        "device": run.device.id,
        "space": done.name,
        "protocol": run.protocol.name,
        "operators": done.operators,
        "new_launches": done.counts["launches"],
        "failures": done.counts["failures"],
        "store": run.store.location,
    }
    if energy:
        summary["energy"] = metering.found(run)
    if done.ended is not None:
        summary["chosen"] = asdict(done.ended)
    return summary


def worker(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak JSON lines over stdio.")] = False,
) -> None:
    """Time cases sent as JSON lines; started by `elat measure`, here or on another machine."""
    from ..core.errors import ConfigError
    from ..latency.worker import main

    if not stdio:
        raise ConfigError("The worker speaks over standard input and output: elat worker --stdio.")
    main()
