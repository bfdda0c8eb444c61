"""`elat measure | worker`: from the device to the store."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import budgeting, choosing, metering, options, transferring
from .campaigns import campaign, draw_measuring
from .console import print_json, say

if TYPE_CHECKING:
    from ..flows.budgets import BudgetReport
    from ..flows.choosing import Known
    from ..flows.measuring import Campaign


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    app.command("measure")(measure)
    app.command("worker", hidden=True)(worker)


def measure(
    device: options.Device,
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

    With --generate it measures operators of random configuration instead, of some kinds with
    --kinds; the seed says which.
    With --check-budget it holds latency limits: exit code 8 where one is passed.
    With --energy new launches are metered, too, in a pass of their own.
    """
    subject = _Subject(
        space, generate, options.names_in(kinds), duration, search, transfer_from, samples
    )
    _check(subject, check_budget is not None, bool(strict or junit or markdown))
    report: BudgetReport | None = None
    with campaign(device, protocol, store, seed, tune=tune, energy=energy) as run:
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


@dataclass(frozen=True)
class _Done:
    """What a call of `measure` measured.

    Attributes:
        name: Of the space, if it is one.
        operators: That are known now.
        counts: Of launches and failures.
        ended: Where measuring for so long ended.
    """

    name: str | None
    operators: int
    counts: dict[str, int]
    ended: Known | None = None

    def with_more(self, counts: dict[str, int]) -> _Done:
        """This, and `counts` besides."""
        return replace(self, counts={kind: n + counts[kind] for kind, n in self.counts.items()})


@dataclass(frozen=True)
class _Subject:
    """What is measured: operators of a space, all, chosen or sampled; or generated; or nothing."""

    space: str | None
    generate: int | None
    kinds: tuple[str, ...]
    duration: str | None
    search: Path | None
    transfer_from: str
    samples: int | None

    @property
    def is_none(self) -> bool:
        return self.space is None and self.generate is None

    def measure(self, run: Campaign) -> _Done:
        """Measure it, with a bar."""
        if self.space is not None and self.samples is not None:
            return _Done(*transferring.measure(run, self.space, self.transfer_from, self.samples))
        if self.space is not None and self.duration is not None:
            name, ended = choosing.measure_for(run, self.space, self.duration, self.search)
            counts = {"launches": ended.launches, "failures": ended.failed}
            return _Done(name, ended.operators, counts, ended)
        if self.space is not None:
            return _Done(*_measure_space(run, self.space))
        if self.generate is not None:
            return _Done(*_measure_generated(run, self.generate, self.kinds))
        return _Done(None, 0, {"launches": 0, "failures": 0})

    def say(self, run: Campaign, done: _Done) -> None:
        """Say what is known now."""
        if done.ended is not None and done.name is not None:
            choosing.print_known(run, done.name, done.ended, self.search)
        elif not self.is_none:
            say(
                f"{done.operators} operators of {done.name or 'random configuration'} are known "
                f"on {run.device.id}; {done.counts['launches']} new launches in "
                f"{run.store.location}"
            )


def _check(subject: _Subject, has_budget: bool, is_reported: bool) -> None:
    """Refuse options that do not go together.

    Raises:
        ConfigError: They do not.
    """
    from ..core.errors import ConfigError

    space, transfer_from = subject.space, subject.transfer_from
    if (space is None) == (subject.generate is None) and not (has_budget and subject.is_none):
        raise ConfigError(
            "elat measure takes either --space NAME or --generate N, and exactly one of them; "
            "or --check-budget FILE alone."
        )
    if bool(transfer_from) != (subject.samples is not None) or (transfer_from and space is None):
        raise ConfigError("--space, --samples and --transfer-from go together.")
    if subject.kinds and subject.generate is None:
        raise ConfigError("--kinds says what --generate draws; give --generate N.")
    if subject.duration is not None and transfer_from:
        raise ConfigError("--for and --samples are two ways to choose; give one of them.")
    if subject.duration is not None and space is None:
        raise ConfigError("--for chooses among the operators of a space; give --space NAME.")
    if subject.search is not None and subject.duration is None:
        raise ConfigError("--search says which operators matter to --for; give --for DURATION.")
    if not has_budget and is_reported:
        raise ConfigError("--strict, --junit and --markdown are about --check-budget FILE.")


def _summary(run: Campaign, done: _Done, energy: bool) -> dict[str, Any]:
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


def _measure_space(run: Campaign, space: str) -> tuple[str | None, int, dict[str, int]]:
    """The space's name, how many of its operators are known, and counts of what was done."""
    from ..flows.measuring import measure_space, space_table
    from ..search.spaces import find_space

    found = find_space(space)
    counts = draw_measuring(measure_space(run, found), f"{run.device.id} {found.name}")
    return found.name, len(space_table(run.store, run.device, found)), counts


def _measure_generated(
    run: Campaign, count: int, kinds: tuple[str, ...]
) -> tuple[str | None, int, dict[str, int]]:
    """The same for operators of random configuration, of `kinds` or of all, of no space."""
    from ..flows.measuring import evidence_of, measure_operators
    from ..latency.methods import METHODS, Subjects
    from ..latency.operators.generate import generate

    subjects = Subjects(generate(count, run.seed, kinds))
    counts = draw_measuring(measure_operators(run, subjects), f"{run.device.id} {count} operators")
    method = METHODS[run.condition.method]
    evidence = evidence_of(run.store, run.condition, subjects)
    return None, len(method.latencies(subjects, evidence).entries), counts


def worker(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak JSON lines over stdio.")] = False,
) -> None:
    """Time cases sent as JSON lines; started by `elat measure`, here or on another machine."""
    from ..core.errors import ConfigError
    from ..latency.worker import main

    if not stdio:
        raise ConfigError("The worker speaks over standard input and output: elat worker --stdio.")
    main()
