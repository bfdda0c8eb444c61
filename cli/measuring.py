"""`elat measure | table | calibrate | worker`: from the device to a latency model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import budgeting, choosing, linting, metering, options, transferring
from .console import print_json, progress, say

if TYPE_CHECKING:
    from ..flows.budgets import BudgetReport
    from ..flows.choosing import Known
    from ..flows.measuring import Campaign
    from ..latency.measure import Progress


def register(app: typer.Typer) -> None:
    """Add this group's verbs to `app`."""
    for verb in (measure, table, calibrate):
        app.command(verb.__name__)(verb)
    app.command("worker", hidden=True)(worker)


@contextmanager
def campaign(
    device: str,
    protocol: str,
    store: str | None,
    seed: int,
    *,
    tune: bool = False,
    energy: bool = False,
) -> Iterator[Campaign]:
    """The store, cache and device of one measuring campaign, its clocks held still if asked."""
    from ..devices.device import find_device
    from ..devices.tuning import tuned
    from ..flows.measuring import Campaign, default_cache, default_store
    from ..latency.protocol import find_protocol
    from ..latency.store import open_store

    found, careful = find_device(device), find_protocol(protocol)
    with ExitStack() as stack:
        opened = stack.enter_context(open_store(store or default_store()))
        order = metering.order(found) if energy else None
        if tune:
            changes = stack.enter_context(tuned(found))
            say(f"tuned: {'; '.join(map(str, changes)) or 'nothing had to be changed'}")
        yield Campaign(found, careful, opened, default_cache(), seed, order)


def draw_measuring(steps: Iterator[Progress], title: str) -> dict[str, int]:
    """Draw the progress of a measuring campaign; returns counts of launches and failures."""
    counts = {"launches": 0, "failures": 0}
    with progress() as bars:
        task = bars.add_task(title, total=None)
        for step in steps:
            text = f"{title}: {step.stage}"
            bars.update(task, completed=step.done, total=step.total, description=text)
            if step.launch is not None:
                counts["launches"] += 1
            if step.failure is not None:
                counts["failures"] += 1
                say(f"{step.operator}: {step.failure}")
    return counts


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


def table(
    device: Annotated[
        str | None, typer.Option("--device", help="A device card's name, or its YAML file.")
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(
            "--space",
            help="A search space's name, or its YAML file; with --lint also a network of the zoo.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The table file: .yaml or .parquet.")
    ] = None,
    lint: Annotated[
        Path | None,
        typer.Option("--lint", help="Check this table, ours or one that elat import reads."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option("--against", help="With --lint: a table that rows may be copied from."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option("--unit", help="With --lint, of files that do not say it: ns, us, ms or s."),
    ] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write the latency table of a space on a device from the store, or check a table."""
    from ..core.errors import ConfigError

    if lint is not None:
        if device is not None or out is not None or store is not None:
            raise ConfigError("--lint checks a file; leave --device, --out and --store out.")
        linting.lint(lint, space, against, unit, json)
        return
    if against is not None or unit is not None:
        raise ConfigError("--against and --unit go with --lint FILE.")
    if device is None or space is None or out is None:
        raise ConfigError(
            "A table is made with --device DEVICE --space SPACE --out FILE, all three; a table "
            "that is there is checked with --lint FILE."
        )
    _write_table(device, space, out, store, json)


def _write_table(device: str, space: str, out: Path, store: str | None, json: bool) -> None:
    from ..devices.device import find_device
    from ..flows.measuring import default_store, space_table
    from ..latency.store import open_store
    from ..latency.table import write_table
    from ..search.spaces import find_space

    found = find_device(device)
    with open_store(store or default_store(), create=False) as opened:
        made = space_table(opened, found, find_space(space))
    write_table(made, out)
    linting.warn_of_errors(made, found)
    if json:
        print_json({"operators": len(made), "sha256": made.sha256, "out": str(out)})
    else:
        say(f"{len(made)} operators of {space} on {made.condition}: {out}")


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


def worker(
    stdio: Annotated[bool, typer.Option("--stdio", help="Speak JSON lines over stdio.")] = False,
) -> None:
    """Time cases sent as JSON lines; started by `elat measure`, here or on another machine."""
    from ..core.errors import ConfigError
    from ..latency.worker import main

    if not stdio:
        raise ConfigError("The worker speaks over standard input and output: elat worker --stdio.")
    main()
