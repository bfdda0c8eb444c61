"""`elat fusion`: which pairs of primitives a device's runtime executes as one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .console import print_json, print_table, progress, say

if TYPE_CHECKING:
    from ..flows.fusing import Detected, FusionOrder
    from ..latency.fusion.decision import Estimate
    from ..latency.fusion.rules import Rule


def register(app: typer.Typer) -> None:
    """Add this group's verb to `app`."""
    app.command("fusion")(fusion)


def fusion(
    device: options.Device,
    rounds: Annotated[
        int, typer.Option("--rounds", min=3, help="Fresh processes that time every pair.")
    ] = 14,
    pair: Annotated[
        list[str] | None,
        typer.Option("--pair", help="Test this pair alone, as dense+add,relu; repeatable."),
    ] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile/--no-profile", help="Ask the runtime's own profiler besides."),
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File of the rules [default: ELAT_HOME/fusion/DEVICE.json]."),
    ] = None,
    seed: options.Seed = 0,
    json: options.Json = False,
) -> None:
    """Find by timing pairs what a runtime fuses; elat predict uses it from then on."""
    from ..core.errors import ConfigError
    from ..devices.device import find_device
    from ..flows.fusing import FusionOrder
    from ..latency.fusion.pairs import PAIRS, find_pair

    if pair and out is None:
        raise ConfigError(
            "Rules of some pairs would replace those of all pairs; name a file with --out."
        )
    pairs = tuple(map(find_pair, pair)) if pair else PAIRS
    order = FusionOrder(find_device(device), rounds, pairs, profile, out, seed)
    found = _drawn(order)
    if json:
        print_json({**found.rules.to_json(), "file": str(found.path)})
        return
    _print(found)


def _drawn(order: FusionOrder) -> Detected:
    """The result, with bars while it is made."""
    from ..flows.fusing import Detected, detect_fusion

    result: Detected | None = None
    with progress() as bars:
        tasks = {
            stage: bars.add_task(f"{stage} pairs", total=None) for stage in ("time", "profile")
        }
        for step in detect_fusion(order):
            if isinstance(step, Detected):
                result = step
            else:
                bars.update(tasks[step.stage], completed=step.done, total=step.total)
    assert result is not None
    return result


def _print(found: Detected) -> None:
    rules = found.rules
    heads = ("first", "second", "T(A) us", "T(B) us", "saved us", "interval", "times", "profile")
    print_table(
        f"{rules.condition} ({rules.origin})",
        (*heads, "held"),
        [_row(rule) for rule in rules.rules],
        right=(2, 3, 4, 5),
    )
    disputed = [str(rule.pair) for rule in rules.rules if rule.is_disputed]
    if disputed:
        say(
            f"times and profile disagree on {len(disputed)}, which stay as they are assumed: "
            f"{'; '.join(disputed)}"
        )
    for rule in rules.failed_controls:
        say(
            f"Warning: {rule.pair} is fused by its times, and cannot be: something else saves "
            "time here, and other pairs may be called fused for it."
        )
    for rule in rules.rules:
        if rule.failure is not None:
            say(f"{rule.pair} could not be timed: {rule.failure}")
    if found.unprofiled is not None:
        say(f"no profile: {found.unprofiled}")
    say(f"rules in {found.path}")


def _row(rule: Rule) -> tuple[str, ...]:
    said = {True: "fused", False: "not fused", None: ""}[rule.profiled]
    ends = (rule.outcome.value, said, "disputed" if rule.is_disputed else rule.verdict.value)
    names = ("+".join(rule.pair.first), rule.pair.second)
    if (decision := rule.decision) is None:
        return (*names, "", "", "", "", *ends)
    estimates = (decision.first, decision.second, decision.saved)
    means = (f"{1e3 * estimate.mean_ms:.1f}" for estimate in estimates)
    return (*names, *means, _interval(decision.saved), *ends)


def _interval(estimate: Estimate) -> str:
    return f"{1e3 * estimate.low_ms:.1f} to {1e3 * estimate.high_ms:.1f}"
